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
	static const char *const bad[] = {
		"",
		":",
		":80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:x",
		"localhost:80",
		"::1:80",
		"[::1]",
		"[::1:80",
		"256.0.0.1:80",
		"1.2.3:80",
		"[127.0.0.1]:80",
		"[]:80",
		"[:80",
		"]:80",
		"::80",
		"127.0.0.1:-1",
		"127.0.0.1: 80",
		"127.0.0.1:+80",
		" 127.0.0.1:80",
		"[fe80::1%lo]:80",
		"*:80",
		"0x7f.0.0.1:80",
		"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:80"
	};
	struct iso_sockaddr addr;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (iso_listener_parse(iso_slice_str(bad[i]), &addr) != ISO_EBAD)
			fail_msg("accepted: %s", bad[i]);
	/* A NUL inside a slice: what comes before it looks fine. */
	assert_int_equal(iso_listener_parse(ISO_SLICE("127.0.0.1\0x:80"), &addr), ISO_EBAD);
	assert_int_equal(iso_listener_parse(ISO_SLICE("[::1]\0:80"), &addr), ISO_EBAD);
}

static void test_literals(void **state)
{
	static const char *const bad[] = { "",           "[",           "]",         "[]",        "[::1",
					   "::1]",       "[127.0.0.1]", "[[::1]]",   "localhost", "127.1",
					   "127.0.0.1.", "1::2::3",     "127.0.0.01" };
	struct iso_sockaddr addr;
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (iso_sockaddr_parse(bad[i], 80, &addr) != ISO_EBAD)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(iso_sockaddr_parse("[2001:DB8::0:1]", 65535, &addr), ISO_OK);
	iso_sockaddr_format(&addr.u.sa, text, sizeof(text));
	assert_string_equal(text, "[2001:db8::1]:65535"); /* RFC 5952 */
	assert_int_equal(iso_sockaddr_parse("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65535, &addr),
			 ISO_OK);
	iso_sockaddr_format(&addr.u.sa, text, sizeof(text));
	assert_string_equal(text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
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
		cmocka_unit_test(test_literals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
