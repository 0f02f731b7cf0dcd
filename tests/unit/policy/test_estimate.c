/*
 * The prediction: failures add and never subtract, probes carry what has no traffic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/estimate.h"

static const uint64_t second = 1000000;

/* 100 answers of 50 ms, ten a second; ends at *now_us. */
static struct iso_estimate steady(uint64_t *now_us)
{
	struct iso_estimate e;

	iso_estimate_init(&e);
	*now_us = 100 * second;
	for (int i = 0; i < 100; i++) {
		*now_us += 100000;
		iso_estimate_good(&e, 50000, *now_us);
	}
	return e;
}

static void test_unknown_then_probe_then_live(void **state)
{
	struct iso_estimate e;

	(void)state;
	iso_estimate_init(&e);
	assert_int_equal(iso_estimate_us(&e), 0);
	iso_estimate_probe(&e, 300000, second); /* a cold start */
	assert_int_equal(iso_estimate_us(&e), 300000);
	iso_estimate_probe(&e, 40000, 2 * second);
	assert_int_equal(iso_estimate_us(&e), 40000);
	iso_estimate_good(&e, 60000, 3 * second);
	assert_int_equal(iso_estimate_us(&e), 60000);
}

static void test_fast_failure_does_not_look_fast(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);
	uint32_t before = iso_estimate_us(&e), usual = iso_estimate_usual_us(&e);

	(void)state;
	for (int i = 0; i < 10; i++) {
		uint32_t last = iso_estimate_us(&e);

		iso_estimate_failure(&e, 2000, 0, now_us + 1000);
		assert_true(iso_estimate_us(&e) > last);
	}
	/* Ten of a weight of 1/100 of a second each, less what has been added: 1 - 0.99^10 of 950 ms. */
	assert_in_range(iso_estimate_us(&e), before + 90000, before + 91500);
	assert_int_equal(iso_estimate_usual_us(&e), usual);
	assert_int_equal(e.live.fresh_us, now_us);
}

static void test_a_failure_counts_as_the_largest(void **state)
{
	uint64_t now_us;
	struct iso_estimate a = steady(&now_us), b = a, c = a;

	(void)state;
	iso_estimate_failure(&a, 2000, 0, now_us);
	iso_estimate_failure(&b, 5 * second, 0, now_us);
	iso_estimate_failure(&c, 2000, 20 * second, now_us);
	assert_true(iso_estimate_us(&b) > iso_estimate_us(&a));
	assert_true(iso_estimate_us(&c) > iso_estimate_us(&b));
}

static void test_the_clients_fast_errors_say_nothing(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);
	uint32_t before = iso_estimate_us(&e);

	(void)state;
	for (int i = 0; i < 1000; i++)
		iso_estimate_error(&e, 1000, now_us + 1000);
	assert_int_equal(iso_estimate_us(&e), before);
	iso_estimate_error(&e, 500000, now_us + 1000); /* slow ones do */
	assert_true(iso_estimate_us(&e) > before);
}

static void test_good_answers_wear_failures_off(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);

	(void)state;
	for (int i = 0; i < 20; i++)
		iso_estimate_failure(&e, 0, 0, now_us);
	for (int i = 0; i < 1000; i++) {
		now_us += 100000;
		iso_estimate_good(&e, 50000, now_us);
	}
	assert_in_range(iso_estimate_us(&e), 49990, 50010);
}

static void test_stale_decays_to_the_slower_of_two_probes(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);

	(void)state;
	iso_estimate_probe(&e, 200000, now_us + second);
	iso_estimate_tick(&e, now_us + second + 500000); /* live answers are fresh still */
	assert_in_range(iso_estimate_us(&e), 49990, 50010);
	iso_estimate_probe(&e, 100000, now_us + 3 * second);
	for (int i = 0; i <= 50; i++)
		iso_estimate_tick(&e, now_us + 3 * second + (uint64_t)i * 100000);
	/* The first tick starts the clock; 5 s later e^-5 of the 150 ms are left (the ratio is 1 or nearly
	 * so). */
	assert_in_range(iso_estimate_us(&e), 190000, 200000);
}

static void test_no_decay_without_younger_probes(void **state)
{
	uint64_t now_us;
	struct iso_estimate e;

	(void)state;
	iso_estimate_init(&e);
	iso_estimate_probe(&e, 10000, 50 * second);
	e = steady(&now_us);
	for (int i = 0; i < 100; i++)
		iso_estimate_tick(&e, now_us + 10 * second + (uint64_t)i * 100000);
	assert_in_range(iso_estimate_us(&e), 49990, 50010);
}

static void test_failed_probe_stops_the_decay(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);

	(void)state;
	for (int i = 0; i < 20; i++)
		iso_estimate_failure(&e, 0, 0, now_us);
	iso_estimate_probe(&e, 50000, now_us + 3 * second);
	iso_estimate_probe_failed(&e);
	for (int i = 0; i < 100; i++)
		iso_estimate_tick(&e, now_us + 3 * second + (uint64_t)i * 100000);
	assert_true(iso_estimate_us(&e) > 150000);
}

/* Live answers take twice as long as probes: learnt slowly, used when there is no traffic. */
static void test_ratio_is_learnt(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);

	(void)state;
	for (int i = 0; i < 100; i++) {
		now_us += second;
		iso_estimate_good(&e, 50000, now_us);
		iso_estimate_probe(&e, 25000, now_us);
	}
	assert_true(e.ratio > 1.95 && e.ratio < 2.0);
	for (int i = 0; i < 200; i++) /* without live answers nothing is learnt */
		iso_estimate_probe(&e, 5000, now_us + 3 * second);
	assert_true(e.ratio > 1.95 && e.ratio < 2.0);
}

/* A request that hung was answered at last, once: probes beside it must not learn from that. */
static void test_a_lone_late_answer_teaches_no_ratio(void **state)
{
	uint64_t now_us = 1000 * 1000;
	struct iso_estimate e;

	(void)state;
	iso_estimate_init(&e);
	for (int i = 0; i < 100; i++)
		iso_estimate_good(&e, 25000, now_us += 10000);
	iso_estimate_good(&e, 2000000, now_us += 10000);
	assert_true(iso_estimate_us(&e) > 40000);
	for (int i = 0; i < 8; i++)
		iso_estimate_probe(&e, 25000, now_us += 200 * 1000);
	assert_true(e.ratio > 0.99 && e.ratio < 1.01);
	for (int i = 0; i < 100; i++)
		iso_estimate_tick(&e, now_us += 100 * 1000);
	assert_in_range(iso_estimate_us(&e), 24000, 27000);
}

static void test_ratio_is_clamped(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);

	(void)state;
	for (int i = 0; i < 2000; i++)
		iso_estimate_probe(&e, 1, now_us);
	assert_true(e.ratio <= 8.0);
	for (int i = 0; i < 2000; i++)
		iso_estimate_probe(&e, 50000000, now_us);
	assert_true(e.ratio >= 0.125);
}

/* Two probes since the last failure: they are what is known. One that came before it is no excuse. */
static void test_probes_forgive_failures(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);

	(void)state;
	for (int i = 0; i < 500; i++)
		iso_estimate_failure(&e, 0, 0, now_us + second);
	iso_estimate_probe(&e, 60000, now_us + 20 * second);
	iso_estimate_probe(&e, 55000, now_us + 22 * second);
	iso_estimate_failure(&e, 0, 0, now_us + 23 * second);
	iso_estimate_tick(&e, now_us + 24 * second);
	assert_true(iso_estimate_us(&e) > 900000);
	iso_estimate_probe(&e, 60000, now_us + 25 * second);
	iso_estimate_probe(&e, 55000, now_us + 26 * second);
	iso_estimate_tick(&e, now_us + 27 * second);
	assert_in_range(iso_estimate_us(&e), 59000, 61000);
}

/* A failure alone takes a little; two with nothing good between and before take all, and so does silence. */
static void test_failures_in_a_row(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us), silent;
	uint32_t before_us = iso_estimate_us(&e);

	(void)state;
	iso_estimate_failure(&e, 0, 0, now_us + 10000);
	assert_in_range(iso_estimate_us(&e), before_us + 1000, before_us + before_us / 5 + 1);
	silent = e;
	iso_estimate_failure(&e, 0, 0, now_us + 20000); /* at the same moment: they may be one */
	assert_in_range(iso_estimate_us(&e), before_us + 1000, before_us + before_us);
	iso_estimate_failure(&e, 0, 0, now_us + 60000);
	assert_true(iso_estimate_us(&e) >= 1000000 - 1);
	iso_estimate_tick(&silent, now_us + 300000);
	assert_true(iso_estimate_us(&silent) < 2 * before_us);
	iso_estimate_tick(&silent, now_us + 320000);
	assert_true(iso_estimate_us(&silent) >= 1000000 - 1);
	for (int i = 0; i < 30; i++)
		iso_estimate_good(&e, before_us, now_us + 100000 + (uint64_t)i * 1000);
	assert_true(iso_estimate_us(&e) < 2 * before_us);
}

/* The last answer of a hang comes with its end: what probes and one answer say after it is what counts. */
static void test_the_last_answer_of_a_hang(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);
	uint32_t before_us = iso_estimate_us(&e);

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		iso_estimate_failure(&e, 100000, 0, now_us + i * 100000);
	iso_estimate_good(&e, 4000000, now_us + 4050000);
	assert_true(iso_estimate_us(&e) > 10 * before_us);
	iso_estimate_probe(&e, before_us, now_us + 4200000);
	iso_estimate_probe(&e, before_us, now_us + 4300000);
	iso_estimate_good(&e, before_us, now_us + 4400000);
	assert_true(iso_estimate_us(&e) < 2 * before_us);
}

static void test_absurd_times_stay_bounded(void **state)
{
	uint64_t now_us;
	struct iso_estimate e = steady(&now_us);

	(void)state;
	for (int i = 0; i < 10000; i++)
		iso_estimate_failure(&e, UINT64_MAX, UINT64_MAX, now_us);
	assert_in_range(iso_estimate_us(&e), 1000000, 30000000);
	iso_estimate_good(&e, 0, now_us + 1);
	assert_true(iso_estimate_usual_us(&e) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_then_probe_then_live),
		cmocka_unit_test(test_fast_failure_does_not_look_fast),
		cmocka_unit_test(test_a_failure_counts_as_the_largest),
		cmocka_unit_test(test_the_clients_fast_errors_say_nothing),
		cmocka_unit_test(test_good_answers_wear_failures_off),
		cmocka_unit_test(test_stale_decays_to_the_slower_of_two_probes),
		cmocka_unit_test(test_no_decay_without_younger_probes),
		cmocka_unit_test(test_failed_probe_stops_the_decay),
		cmocka_unit_test(test_ratio_is_learnt),
		cmocka_unit_test(test_a_lone_late_answer_teaches_no_ratio),
		cmocka_unit_test(test_ratio_is_clamped),
		cmocka_unit_test(test_probes_forgive_failures),
		cmocka_unit_test(test_failures_in_a_row),
		cmocka_unit_test(test_the_last_answer_of_a_hang),
		cmocka_unit_test(test_absurd_times_stay_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
