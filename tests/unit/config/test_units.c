/*
 * Durations and sizes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "units_priv.h"

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
	} good[] = {
		{ "250ms", 250000 },
		{ "10s", 10000000 },
		{ "5m", 300000000 },
		{ "1h", UINT64_C(3600000000) },
		{ "1.5s", 1500000 },
		{ "1.1s", 1100000 },
		{ "0s", 0 },
		{ "7us", 7 },
		{ "0.25ms", 250 },
		{ "0.0000015s", 1 },
		{ "007s", 7000000 },
		{ "2.000000000000h", UINT64_C(7200000000) },
		{ "0.999999999999h", UINT64_C(3599999999) },
	};
	static const char *const bad[] = { "",
					   "s",
					   "10",
					   "10 s",
					   " 10s",
					   "10s ",
					   "-1s",
					   "+1s",
					   "1.s",
					   ".5s",
					   "1,5s",
					   "1e3s",
					   "10sec",
					   "10S",
					   "10d",
					   "1s1s",
					   "0x1s",
					   "1..5s",
					   "1.5",
					   "99999999999999999999s",
					   "1000000000000s",
					   "1.0000000000000s",
					   "10\xc2\xb5s" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t us = UINT64_MAX;

		assert_int_equal(iso_unit_duration(iso_slice_str(good[i].text), &us), ISO_OK);
		assert_int_equal(us, good[i].us);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t us = 42;

		assert_int_equal(iso_unit_duration(iso_slice_str(bad[i]), &us), ISO_EBAD);
		assert_int_equal(us, 42);
	}
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "512B", 512 },    { "64KiB", 65536 }, { "1MiB", 1048576 }, { "2GiB", UINT64_C(2147483648) },
		{ "1.5KiB", 1536 }, { "0B", 0 },        { "0.5B", 0 },
	};
	static const char *const bad[] = { "",  "512",  "64KB", "64kib",           "1M", "1 MiB", "-1B",
					   "B", "1TiB", "1.B",  "999999999999GiB0" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t bytes = UINT64_MAX;

		assert_int_equal(iso_unit_size(iso_slice_str(good[i].text), &bytes), ISO_OK);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t bytes = 42;

		assert_int_equal(iso_unit_size(iso_slice_str(bad[i]), &bytes), ISO_EBAD);
		assert_int_equal(bytes, 42);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
