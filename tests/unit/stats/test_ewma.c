/*
 * The decaying estimate: calm in noise, quick at a change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/stats/ewma.h"

enum { MS = 1000 };

static uint32_t noisy(struct iso_rng *rng, uint32_t us)
{
	return us * (80 + iso_rng_below(rng, 41)) / 100; /* +-20 % */
}

static void test_calm_in_noise(void **state)
{
	struct iso_rng rng;
	struct iso_ewma e;
	uint64_t now = 1000000;

	(void)state;
	iso_rng_seed(&rng, 3);
	iso_ewma_init(&e);
	assert_false(iso_ewma_known(&e));
	for (int i = 0; i < 5000; i++) {
		now += 10 * MS;
		assert_false(iso_ewma_update(&e, noisy(&rng, 50 * MS), now));
		if (i > 200)
			assert_in_range(iso_ewma_us(&e), 47 * MS, 53 * MS);
	}
}

static void test_change_is_seen_within_four_samples_up_and_five_down(void **state)
{
	struct iso_ewma e;
	uint64_t now = 1000000;

	(void)state;
	iso_ewma_init(&e);
	for (int i = 0; i < 300; i++)
		iso_ewma_update(&e, 25 * MS, now += 10 * MS);
	for (int i = 0; i < 4; i++)
		iso_ewma_update(&e, 225 * MS, now += 100 * MS);
	assert_int_equal(iso_ewma_us(&e), 225 * MS);
	/* Half a second long those that were on their way do not lower it again. */
	for (int i = 0; i < 6; i++)
		iso_ewma_update(&e, 25 * MS, now += 10 * MS);
	assert_true(iso_ewma_us(&e) > 200 * MS);
	now += 500 * MS;
	for (int i = 0; i < 5; i++)
		iso_ewma_update(&e, 25 * MS, now += 10 * MS);
	assert_int_equal(iso_ewma_us(&e), 25 * MS);
}

/* Many a second: the first that was asked for after the first late one had come proves it, 225 ms later. */
static void test_change_is_seen_a_round_after_the_first_late_answer(void **state)
{
	struct iso_ewma e;
	uint64_t now = 1000000, first;

	(void)state;
	iso_ewma_init(&e);
	for (int i = 0; i < 300; i++)
		iso_ewma_update(&e, 25 * MS, now += 10 * MS);
	first = now + 210 * MS;
	for (now = first; now < first + 225 * MS; now += 10 * MS)
		assert_false(iso_ewma_update(&e, 225 * MS, now));
	assert_true(iso_ewma_update(&e, 225 * MS, now));
	assert_int_equal(iso_ewma_us(&e), 225 * MS);
}

/* A lost packet: what was asked for within 300 ms comes all at once, late by 300 to 10 ms. Once a second. */
static void test_what_was_held_up_together_is_no_change(void **state)
{
	struct iso_ewma e;
	uint64_t now = 1000000;

	(void)state;
	iso_ewma_init(&e);
	for (int second = 0; second < 20; second++) {
		for (int i = 0; i < 70; i++)
			iso_ewma_update(&e, 25 * MS, now += 10 * MS);
		now += 300 * MS;
		for (uint32_t late = 300; late >= 10; late -= 10)
			assert_false(iso_ewma_update(&e, (25 + late) * MS, now));
		/* The mean of all is 25 + 4650 / 100; a burst of 30 is up to 30 hundredths of what is known.
		 */
		assert_in_range(iso_ewma_us(&e), 25 * MS, 95 * MS);
	}
}

/* A late answer is as fresh as a usual one to the same request would have been. */
static void test_a_late_sample_is_old(void **state)
{
	struct iso_ewma e;

	(void)state;
	iso_ewma_init(&e);
	iso_ewma_update(&e, 20 * MS, 10000000);
	assert_int_equal(e.fresh_us, 10000000);
	iso_ewma_update(&e, 5 * MS, 10100000);
	assert_int_equal(e.fresh_us, 10100000);
	iso_ewma_set(&e, 20 * MS);
	iso_ewma_update(&e, 4000 * MS, 14500000);
	assert_int_equal(e.fresh_us, 10520000);
	iso_ewma_set(&e, 20 * MS);
	iso_ewma_update(&e, 8000 * MS, 14600000); /* older than what is known */
	assert_int_equal(e.fresh_us, 10520000);
}

static void test_decay_moves_towards_the_target(void **state)
{
	struct iso_ewma e;

	(void)state;
	iso_ewma_init(&e);
	iso_ewma_set(&e, 200 * MS);
	iso_ewma_decay(&e, 20 * MS, 1000000, 1000000);
	/* 20 + 180/e = 86.2 */
	assert_in_range(iso_ewma_us(&e), 86 * MS, 87 * MS);
	iso_ewma_decay(&e, 20 * MS, 20000000, 1000000);
	assert_in_range(iso_ewma_us(&e), 20 * MS, 20 * MS + 10);
}

static void test_first_samples_weigh_the_same(void **state)
{
	struct iso_rng rng;
	struct iso_ewma e;
	uint64_t now = 1000000;
	double sum = 0;

	(void)state;
	iso_rng_seed(&rng, 8);
	iso_ewma_init(&e);
	for (int i = 1; i <= 99; i++) {
		uint32_t us = noisy(&rng, 50 * MS);

		iso_ewma_update(&e, us, now += 10 * MS);
		sum += us;
		assert_in_range(iso_ewma_us(&e), (uint32_t)(sum / i) - 2, (uint32_t)(sum / i) + 2);
	}
}

/* From 100 samples on: 1/100 each, or 1 - exp(-dt/10 s) when that is more. */
static void test_weight_by_count_and_by_time(void **state)
{
	struct iso_ewma e, seldom;
	uint64_t now = 1000000;

	(void)state;
	iso_ewma_init(&e);
	for (int i = 0; i < 300; i++)
		iso_ewma_update(&e, 50 * MS, now += MS);
	seldom = e;
	iso_ewma_update(&e, 60 * MS, now + MS);
	assert_in_range(iso_ewma_us(&e), 50099, 50101);
	iso_ewma_update(&seldom, 60 * MS, now + 10000 * MS);
	assert_in_range(iso_ewma_us(&seldom), 56320, 56322); /* 50 + 10 (1 - 1/e) = 56.3212 ms */
}

static void test_zero_and_the_greatest_sample(void **state)
{
	struct iso_ewma e;

	(void)state;
	iso_ewma_init(&e);
	iso_ewma_update(&e, 0, 1);
	assert_true(iso_ewma_known(&e));
	for (uint64_t i = 0; i < 10; i++)
		iso_ewma_update(&e, UINT32_MAX, 2 + i);
	assert_in_range(iso_ewma_us(&e), 3904515700u, 3904515740u); /* 10/11 of the greatest */
	for (uint64_t i = 0; i < 200; i++)
		iso_ewma_update(&e, 0, 20 + i);
	assert_true(iso_ewma_known(&e));
}

static void test_the_middle_of_the_last_few(void **state)
{
	static const uint32_t samples[] = { 30, 10, 20, 900000, 40 };
	struct iso_ewma e;

	(void)state;
	iso_ewma_init(&e);
	for (uint32_t i = 0; i < ISO_EWMA_RECENT; i++) {
		assert_int_equal(iso_ewma_recent_us(&e), 0);
		iso_ewma_update(&e, samples[i], 1 + i);
	}
	assert_int_equal(iso_ewma_recent_us(&e), 30);
	iso_ewma_update(&e, 5, 10); /* in place of the first */
	assert_int_equal(iso_ewma_recent_us(&e), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calm_in_noise),
		cmocka_unit_test(test_the_middle_of_the_last_few),
		cmocka_unit_test(test_change_is_seen_within_four_samples_up_and_five_down),
		cmocka_unit_test(test_change_is_seen_a_round_after_the_first_late_answer),
		cmocka_unit_test(test_what_was_held_up_together_is_no_change),
		cmocka_unit_test(test_a_late_sample_is_old),
		cmocka_unit_test(test_decay_moves_towards_the_target),
		cmocka_unit_test(test_first_samples_weigh_the_same),
		cmocka_unit_test(test_weight_by_count_and_by_time),
		cmocka_unit_test(test_zero_and_the_greatest_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
