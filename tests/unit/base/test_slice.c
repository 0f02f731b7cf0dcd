/*
 * Slices: comparison, trimming, lists, numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/base/err.h"
#include "iso/base/slice.h"

static void test_comparison(void **state)
{
	(void)state;
	assert_true(iso_slice_eq(ISO_SLICE("abc"), ISO_SLICE("abc")));
	assert_false(iso_slice_eq(ISO_SLICE("abc"), ISO_SLICE("abd")));
	assert_false(iso_slice_eq(ISO_SLICE("abc"), ISO_SLICE("ab")));
	assert_true(iso_slice_eq(iso_slice(NULL, 0), ISO_SLICE("")));
	assert_true(iso_slice_eq_nocase(ISO_SLICE("HoSt"), ISO_SLICE("hOsT")));
	assert_false(iso_slice_eq_nocase(ISO_SLICE("host"), ISO_SLICE("hos[")));
	assert_true(iso_slice_starts(ISO_SLICE("/prod/x"), ISO_SLICE("/prod")));
	assert_false(iso_slice_starts(ISO_SLICE("/pro"), ISO_SLICE("/prod")));
}

static void test_trim(void **state)
{
	(void)state;
	assert_true(iso_slice_eq(iso_slice_trim(ISO_SLICE(" \t a b\t ")), ISO_SLICE("a b")));
	assert_int_equal(iso_slice_trim(ISO_SLICE("  ")).len, 0);
}

static void test_list(void **state)
{
	struct iso_slice rest = ISO_SLICE("a, b,, c"), part;
	const char *expected[] = { "a", "b", "", "c" };

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_true(iso_slice_next(&rest, ',', &part));
		assert_true(iso_slice_eq(part, iso_slice_str(expected[i])));
	}
	assert_false(iso_slice_next(&rest, ',', &part));
}

static void test_numbers(void **state)
{
	const char *bad[] = { "", "-1", "+1", " 1", "1 ", "1a", "0x10", "1,2", "18446744073709551616" };
	uint64_t n = 7;

	(void)state;
	assert_int_equal(iso_slice_u64(ISO_SLICE("18446744073709551615"), &n), ISO_OK);
	assert_true(n == UINT64_MAX);
	assert_int_equal(iso_slice_u64(ISO_SLICE("007"), &n), ISO_OK);
	assert_int_equal(n, 7);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(iso_slice_u64(iso_slice_str(bad[i]), &n), ISO_EBAD);
		assert_int_equal(n, 7); /* untouched on failure */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comparison),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
