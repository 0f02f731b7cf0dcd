/*
 * HTTP dates: the three forms, their limits, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "iso/http/date.h"

enum { NOW = 1780000000 /* 2026 */ };

static void check(const char *text, uint64_t want)
{
	uint64_t got = 0;

	if (!iso_http_date_parse(iso_slice_str(text), NOW, &got) || got != want)
		fail_msg("%s: %llu instead of %llu", text, (unsigned long long)got, (unsigned long long)want);
}

static void test_the_three_forms(void **state)
{
	(void)state;
	check("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
	check("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
	check("Sun Nov  6 08:49:37 1994", 784111777);
	check("Thu, 01 Jan 1970 00:00:00 GMT", 0);
	check("Thu, 29 Feb 2024 23:59:60 GMT", 1709251200);
	check("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799);
	check("Thursday, 01-Jan-70 00:00:00 GMT", 3155760000); /* 2070: not more than 50 years ahead */
	check("Friday, 01-Jan-77 00:00:00 GMT", 220924800);
}

static void test_what_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"120",
		"Sun",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		" Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 29 Feb 2023 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:00 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov 1969 08:49:37 GMT",
		"Sun Nov 06 08:49:37 94",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Xyz, 06 Nov 1994 08:49:37 GMT",
	};
	uint64_t got = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (iso_http_date_parse(iso_slice_str(bad[i]), NOW, &got))
			fail_msg("%s", bad[i]);
	assert_int_equal(got, 7); /* untouched */
}

/* Every cut and every changed byte of a good one: no crash, and mostly no date. */
static void test_spoilt(void **state)
{
	const char *good = "Sun, 06 Nov 1994 08:49:37 GMT";
	char text[40];
	uint64_t got;

	(void)state;
	for (size_t len = 0; len < strlen(good); len++)
		assert_false(iso_http_date_parse(iso_slice(good, len), NOW, &got));
	for (size_t i = 0; i < strlen(good); i++) {
		strncpy(text, good, sizeof(text));
		text[i] = '?';
		assert_false(iso_http_date_parse(iso_slice_str(text), NOW, &got));
	}
}

/* A day in each of many months, against the C library. */
static void test_as_the_c_library(void **state)
{
	(void)state;
	for (time_t t = 0; t < 4102444800; t += 1234567) {
		struct tm tm;
		char text[40];

		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		check(text, (uint64_t)t);
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
		check(text, (uint64_t)t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_three_forms),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_spoilt),
		cmocka_unit_test(test_as_the_c_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
