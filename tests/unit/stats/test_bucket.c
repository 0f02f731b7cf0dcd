/*
 * The token bucket: income by event and by second, kept for one second at most.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/stats/bucket.h"

enum { S = 1000000 };

static void test_income_by_event_bounds_what_is_taken(void **state)
{
	struct iso_bucket b;
	uint64_t now = 5 * (uint64_t)S, taken = 0;

	(void)state;
	iso_bucket_init(&b, 3000, 200, now);
	/* 1,000 requests a second for 10 s, each of which would like two retries. */
	for (int i = 0; i < 10000; i++) {
		now += 1000;
		iso_bucket_deposit(&b, now);
		taken += iso_bucket_take(&b, 1, now);
		taken += iso_bucket_take(&b, 1, now);
	}
	/* 0.2 a request and 3 a second, plus the first second's 3. */
	assert_in_range(taken, 2000, 2000 + 30 + 3);
}

static void test_savings_are_one_second_of_income(void **state)
{
	struct iso_bucket b;
	uint64_t now = 5 * (uint64_t)S, taken = 0;

	(void)state;
	iso_bucket_init(&b, 3000, 200, now);
	for (int i = 0; i < 5000; i++)
		iso_bucket_deposit(&b, now += 10000); /* 100 a second, nothing is taken */
	while (iso_bucket_take(&b, 1, now))
		taken++;
	assert_in_range(taken, 20, 24);
	now += 3600ull * S;
	taken = 0;
	while (iso_bucket_take(&b, 1, now))
		taken++;
	assert_int_equal(taken, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_income_by_event_bounds_what_is_taken),
		cmocka_unit_test(test_savings_are_one_second_of_income),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
