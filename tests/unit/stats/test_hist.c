/*
 * Histogram and window against a sorted array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/stats/window.h"

enum { SAMPLES = 5000 };

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void test_percentiles_within_two_percent(void **state)
{
	static uint32_t values[SAMPLES];
	const uint32_t ranks[] = { 1, 100, 5000, 9000, 9500, 9900, 9999, 10000 };
	struct iso_hist hist;
	struct iso_rng rng;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		iso_rng_seed(&rng, seed);
		iso_hist_reset(&hist);
		for (int i = 0; i < SAMPLES; i++) {
			values[i] = iso_rng_below(&rng, 1u << (1 + iso_rng_below(&rng, 26)));
			iso_hist_record(&hist, values[i]);
		}
		qsort(values, SAMPLES, sizeof(values[0]), by_value);
		for (size_t r = 0; r < sizeof(ranks) / sizeof(ranks[0]); r++) {
			uint32_t index = (SAMPLES * ranks[r] + 9999) / 10000;
			double truth = values[index == 0 ? 0 : index - 1];
			double got = iso_hist_percentile(&hist, ranks[r]);

			assert_true(got >= truth * 0.98 - 1 && got <= truth * 1.02 + 1);
		}
	}
}

static void test_merge_is_recording_both(void **state)
{
	struct iso_hist a, b, both;

	(void)state;
	iso_hist_reset(&a);
	iso_hist_reset(&b);
	iso_hist_reset(&both);
	for (uint32_t i = 1; i < 3000; i++) {
		iso_hist_record(i % 3 == 0 ? &a : &b, i * 17);
		iso_hist_record(&both, i * 17);
	}
	iso_hist_merge(&a, &b);
	assert_memory_equal(&a, &both, sizeof(a));
}

static void test_extremes(void **state)
{
	struct iso_hist hist;

	(void)state;
	iso_hist_reset(&hist);
	assert_int_equal(iso_hist_percentile(&hist, 5000), 0);
	iso_hist_record(&hist, 0);
	assert_int_equal(iso_hist_percentile(&hist, 10000), 0);
	iso_hist_record(&hist, UINT32_MAX); /* beyond the range: the last bucket, over two minutes */
	assert_true(iso_hist_percentile(&hist, 10000) > 120u * 1000 * 1000);
}

static void test_window_forgets_after_a_minute(void **state)
{
	static struct iso_window window;
	struct iso_window_sums sums;
	uint64_t t0 = 1000ull * ISO_WINDOW_SLOT_US;

	(void)state;
	iso_window_init(&window);
	iso_window_good(&window, 1000, t0);
	iso_window_bad(&window, t0 + 1);
	iso_window_sum(&window, t0 + 2, &sums);
	assert_int_equal(sums.good, 1);
	assert_int_equal(sums.bad, 1);
	assert_in_range(sums.p50_us, 980, 1020);
	iso_window_good(&window, 9000, t0 + 5ull * ISO_WINDOW_SLOT_US);
	iso_window_sum(&window, t0 + 5ull * ISO_WINDOW_SLOT_US, &sums);
	assert_int_equal(sums.good, 2);
	iso_window_sum(&window, t0 + 6ull * ISO_WINDOW_SLOT_US, &sums);
	assert_int_equal(sums.good, 1);
	assert_int_equal(sums.bad, 0);
}

/* Every value alone, over the whole range of 1 us to 120 s. */
static void test_every_value_within_two_percent(void **state)
{
	struct iso_hist hist;

	(void)state;
	iso_hist_reset(&hist);
	for (uint64_t us = 1; us <= 120000000; us += 1 + us / 331) {
		double got;

		iso_hist_record(&hist, (uint32_t)us);
		got = iso_hist_percentile(&hist, 10000); /* the greatest so far */
		assert_true(got >= 0.98 * (double)us && got <= 1.02 * (double)us);
	}
}

static void test_reset_forgets(void **state)
{
	struct iso_hist hist;

	(void)state;
	iso_hist_reset(&hist);
	iso_hist_record(&hist, 500);
	assert_int_equal(hist.sum_us, 500);
	iso_hist_reset(&hist);
	assert_int_equal(hist.count, 0);
	assert_int_equal(iso_hist_percentile(&hist, 10000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentiles_within_two_percent),
		cmocka_unit_test(test_merge_is_recording_both),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_window_forgets_after_a_minute),
		cmocka_unit_test(test_every_value_within_two_percent),
		cmocka_unit_test(test_reset_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
