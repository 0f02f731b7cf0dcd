/*
 * Addresses from and to text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/net/listener.h"
#include "iso/net/resolver.h"

static void test_round_trip(void **state)
{
	static const char *const good[] = { "127.0.0.1:80", "0.0.0.0:0", "[::1]:443", "[2001:db8::1]:65535" };
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct iso_sockaddr addr, again;

		assert_int_equal(iso_listener_parse(iso_slice_str(good[i]), &addr), ISO_OK);
		iso_sockaddr_format(&addr.u.sa, text, sizeof(text));
		assert_string_equal(text, good[i]);
		assert_int_equal(iso_listener_parse(iso_slice_str(text), &again), ISO_OK);
		assert_true(iso_sockaddr_eq(&addr, &again));
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x",
					   "localhost:80", "::1:80", "[::1]", "[::1:80", "256.0.0.1:80", "1.2.3:80" };
	struct iso_sockaddr addr;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (iso_listener_parse(iso_slice_str(bad[i]), &addr) != ISO_EBAD)
			fail_msg("accepted: %s", bad[i]);
}

static void test_difference(void **state)
{
	struct iso_sockaddr a, b;

	(void)state;
	assert_int_equal(iso_sockaddr_parse("127.0.0.1", 80, &a), ISO_OK);
	assert_int_equal(iso_sockaddr_parse("127.0.0.1", 81, &b), ISO_OK);
	assert_false(iso_sockaddr_eq(&a, &b));
	assert_int_equal(iso_sockaddr_parse("::1", 80, &b), ISO_OK);
	assert_false(iso_sockaddr_eq(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
