/*
 * The token bucket: income by event and by second, kept for one second at most.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/base/rng.h"
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
		iso_bucket_deposit(&b, 1, now);
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
		iso_bucket_deposit(&b, 1, now += 10000); /* 100 a second, nothing is taken */
	while (iso_bucket_take(&b, 1, now))
		taken++;
	assert_in_range(taken, 20, 24);
	now += 3600ull * S;
	taken = 0;
	while (iso_bucket_take(&b, 1, now))
		taken++;
	assert_int_equal(taken, 3);
}

/* However often it is asked: 3 a second are 3 a second. */
static void test_polling_often_loses_no_income(void **state)
{
	const uint64_t steps_us[] = { 1, 37, 100, 333, 334, 1000, 70000 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps_us) / sizeof(steps_us[0]); i++) {
		struct iso_bucket b;
		uint64_t start = 5 * (uint64_t)S, now = start, taken = 0;

		iso_bucket_init(&b, 3000, 0, now);
		while (now < start + 10 * (uint64_t)S) {
			now += steps_us[i];
			taken += iso_bucket_take(&b, 1, now);
		}
		/* 10 s of 3, and the 3 of the beginning; a pause may let a little overflow. */
		assert_in_range(taken, 32, 33);
	}
}

static void test_take_is_all_or_nothing(void **state)
{
	struct iso_bucket b;
	uint64_t now = 5 * (uint64_t)S;

	(void)state;
	iso_bucket_init(&b, 3000, 200, now);
	assert_false(iso_bucket_take(&b, 4, now));
	assert_true(iso_bucket_take(&b, 3, now));
	assert_false(iso_bucket_take(&b, 1, now));
	assert_true(iso_bucket_take(&b, 0, now));
	for (int i = 0; i < 4; i++)
		iso_bucket_deposit(&b, 1, now);
	assert_false(iso_bucket_take(&b, 1, now)); /* 0.8 */
	iso_bucket_deposit(&b, 1, now);
	assert_true(iso_bucket_take(&b, 1, now));
	assert_false(iso_bucket_take(&b, 1, now - S)); /* a clock that goes back gives nothing */
}

/* Random traffic: over any stretch from the start, at most its income and the first second's are taken. */
/* Who only looks sees what has come in meanwhile, and no more than is kept. */
static void test_what_there_is_now(void **state)
{
	struct iso_bucket b;

	(void)state;
	iso_bucket_init(&b, 3000, 0, 0);
	assert_true(iso_bucket_take(&b, 3, 0));
	assert_int_equal(iso_bucket_now_milli(&b, 500000), 1500);
	assert_int_equal(iso_bucket_level_milli(&b), 1500);
	assert_int_equal(iso_bucket_now_milli(&b, 5000000), 3000);
}

static void test_never_more_than_the_income(void **state)
{
	struct iso_rng rng;

	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct iso_bucket b;
		uint64_t start = 5 * (uint64_t)S, now = start, events = 0, taken = 0;

		iso_rng_seed(&rng, seed);
		iso_bucket_init(&b, 3000, 200, now);
		for (int i = 0; i < 5000; i++) {
			now += iso_rng_below(&rng, 1u << iso_rng_below(&rng, 20));
			if (iso_rng_below(&rng, 3) > 0) {
				iso_bucket_deposit(&b, 1, now);
				events++;
			} else {
				taken += iso_bucket_take(&b, 1, now);
			}
			assert_true(taken * 1000 <= events * 200 + 3 * (now - start) / 1000 + 3000);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_income_by_event_bounds_what_is_taken),
		cmocka_unit_test(test_savings_are_one_second_of_income),
		cmocka_unit_test(test_polling_often_loses_no_income),
		cmocka_unit_test(test_take_is_all_or_nothing),
		cmocka_unit_test(test_what_there_is_now),
		cmocka_unit_test(test_never_more_than_the_income),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
