/*
 * Weights: computed by hand from the formula in ARCHITECTURE.md section 4, decision 9.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/weight.h"

static void test_reference_values(void **state)
{
	(void)state;
	assert_int_equal(iso_weight_latency(50000, 50000, 100), 65536);
	assert_int_equal(iso_weight_latency(40000, 50000, 100), 65536);
	/* 65536 x 2^-4.3 = 65536 x 0.050766 */
	assert_in_range(iso_weight_latency(100000, 50000, 100), 3326, 3328);
	/* Beyond twice: 2^-4.3 x 1.25^-8.6 = 0.050766 x 0.146749 = 0.0074499, x 65536 = 488.2 */
	assert_in_range(iso_weight_latency(100000, 40000, 100), 488, 489);
	/* 2^-4.3 x 2^-8.6 = 2^-12.9, x 65536 = 2^3.1 = 8.57; 2^-4.3 x 2.75^-8.6 x 65536 = 0.554; x 6^-8.6:
	 * 0.0007 */
	assert_in_range(iso_weight_latency(40000, 10000, 100), 8, 9);
	assert_int_equal(iso_weight_latency(220000, 40000, 100), 1);
	assert_int_equal(iso_weight_latency(120000, 10000, 100), 0);
	assert_int_equal(iso_weight_latency(UINT32_MAX, 5000, 100), 0);
}

static void test_floor_of_5_ms(void **state)
{
	(void)state;
	assert_int_equal(iso_weight_latency(5000, 100, 100), 65536);
	assert_int_equal(iso_weight_latency(10000, 100, 100), iso_weight_latency(10000, 5000, 100));
}

static void test_small_differences_are_flat(void **state)
{
	(void)state;
	/* 5 %: ln 1.05 = 0.04879; squared / 0.25 = 0.009522; exp(-4.3 x that) = 0.95988 */
	assert_in_range(iso_weight_latency(52500, 50000, 100), 62900, 62912);
	/* Where the flat part ends both formulas agree: e^0.25. */
	assert_in_range(iso_weight_latency(64201, 50000, 100), 22360, 22380);
	/* 10 answers: the flat part is 1.6 / sqrt(10) = 0.506 wide; ln 1.25 = 0.22314; 0.0984; x 4.3;
	 * e^-0.4231 */
	assert_in_range(iso_weight_latency(62500, 50000, 10), 42920, 42940);
}

static void test_weights_fall_with_the_estimate(void **state)
{
	(void)state;
	for (uint32_t samples = 0; samples < 60; samples += 3) {
		uint32_t last = ISO_WEIGHT_ONE;

		for (uint32_t us = 20000; us < 400000; us += 500) {
			uint32_t weight = iso_weight_latency(us, 30000, samples);

			assert_true(weight <= last);
			last = weight;
		}
	}
}

static void test_unknown_counts_as_the_best(void **state)
{
	const struct iso_weight_input in[] = { { 0, 0, 65536 },
					       { 80000, 100, 65536 },
					       { 40000, 100, 65536 } };
	const struct iso_weight_input none[] = { { 0, 0, 65536 }, { 0, 0, 65536 } };
	uint32_t w[3];

	(void)state;
	iso_weights_publish(in, 7, 3, w);
	assert_int_equal(w[0], 65536);
	assert_int_equal(w[2], 65536);
	assert_in_range(w[1], 3326, 3328);
	iso_weights_publish(none, 3, 2, w);
	assert_int_equal(w[0], 65536);
	assert_int_equal(w[1], 65536);
}

static void test_a_ramp_is_a_part_of_the_share(void **state)
{
	/* At full ramp: 1 / (1 + 0.00013). At a tenth: 0.09999 against 0.90001. */
	struct iso_weight_input in[] = { { 10000, 100, 6554 }, { 40000, 100, 65536 } };
	uint32_t w[2];
	double share;

	(void)state;
	iso_weights_publish(in, 3, 2, w);
	share = w[0] / (double)(w[0] + w[1]);
	assert_true(share > 0.0995 && share < 0.1002);
	assert_int_equal(w[1], 65536);
	/* Both ramp alike: nothing to give away. */
	in[1].ramp = 6554;
	iso_weights_publish(in, 3, 2, w);
	assert_int_equal(w[0], 65536);
	assert_in_range(w[1], 8, 9);
	/* Nothing to give away to either: alone. */
	iso_weights_publish(in, 1, 2, w);
	assert_int_equal(w[0], 65536);
}

static void test_absence(void **state)
{
	const struct iso_weight_input in[] = { { 10000, 100, 0 },
					       { 40000, 100, 65536 },
					       { 80000, 100, 65536 } };
	uint32_t w[3];

	(void)state;
	/* The best of those that are up sets the scale; the fast one that is out has a weight for failing
	 * open. */
	iso_weights_publish(in, 6, 3, w);
	assert_int_equal(w[0], 65536);
	assert_int_equal(w[1], 65536);
	assert_in_range(w[2], 3326, 3328);
	iso_weights_publish(in, 0, 3, w);
	assert_int_equal(w[0], 65536);
	assert_in_range(w[1], 8, 9);
	/* Ramps of 0 everywhere are no weights at all: a pick then takes all alike. */
	iso_weights_publish(in, 1, 1, w);
	assert_int_equal(w[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference_values),
		cmocka_unit_test(test_floor_of_5_ms),
		cmocka_unit_test(test_small_differences_are_flat),
		cmocka_unit_test(test_weights_fall_with_the_estimate),
		cmocka_unit_test(test_unknown_counts_as_the_best),
		cmocka_unit_test(test_a_ramp_is_a_part_of_the_share),
		cmocka_unit_test(test_absence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
