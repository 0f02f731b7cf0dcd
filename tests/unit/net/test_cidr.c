/*
 * Networks: what is one, and who is in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/net/cidr.h"
#include "iso/net/resolver.h"

static void test_parse(void **state)
{
	static const char *const good[] = { "10.0.0.0/8", "192.0.2.1",     "192.0.2.1/32", "0.0.0.0/0",
					    "::/0",       "2001:db8::/32", "::1",          "10.128.0.0/9" };
	static const char *const bad[] = {
		"",         "/8",        "10.0.0.0/33", "10.0.0.1/8", "2001:db8::/129",
		"10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "localhost",  "2001:db8::1/32"
	};
	struct iso_cidr cidr;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (iso_cidr_parse(iso_slice_str(good[i]), &cidr) != ISO_OK)
			fail_msg("%s is a network", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (iso_cidr_parse(iso_slice_str(bad[i]), &cidr) != ISO_EBAD)
			fail_msg("%s is no network", bad[i]);
}

static bool has(struct iso_cidr_set *set, const char *host)
{
	struct iso_sockaddr addr;

	assert_int_equal(iso_sockaddr_parse(host, 0, &addr), ISO_OK);
	return iso_cidr_set_has(set, &addr.u.sa);
}

static void test_membership(void **state)
{
	struct iso_cidr cidrs[3];
	struct iso_cidr_set *set;

	(void)state;
	assert_int_equal(iso_cidr_parse(ISO_SLICE("10.128.0.0/9"), &cidrs[0]), ISO_OK);
	assert_int_equal(iso_cidr_parse(ISO_SLICE("192.0.2.7"), &cidrs[1]), ISO_OK);
	assert_int_equal(iso_cidr_parse(ISO_SLICE("2001:db8::/33"), &cidrs[2]), ISO_OK);
	set = iso_cidr_set_new(cidrs, 3);
	assert_non_null(set);
	assert_true(has(set, "10.128.0.1"));
	assert_true(has(set, "10.255.255.255"));
	assert_false(has(set, "10.127.255.255"));
	assert_true(has(set, "192.0.2.7"));
	assert_false(has(set, "192.0.2.6"));
	assert_true(has(set, "::ffff:192.0.2.7")); /* the same client on a dual-stack socket */
	assert_true(has(set, "2001:db8:7fff::1"));
	assert_false(has(set, "2001:db8:8000::1"));
	assert_false(has(NULL, "10.128.0.1"));
	assert_ptr_equal(iso_cidr_set_ref(set), set);
	iso_cidr_set_unref(set);
	iso_cidr_set_unref(set);
	iso_cidr_set_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse), cmocka_unit_test(test_membership) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
