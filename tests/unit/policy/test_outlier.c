/*
 * Ejection by runs of failures, its time, its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/outlier.h"

static const uint64_t second = 1000000;
static const uint32_t mid = 1u << 31;

static struct iso_outlier fresh(void)
{
	struct iso_outlier o;

	iso_outlier_init(&o);
	return o;
}

static void test_three_transport_failures(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_CONNECT, 10 * second));
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_RESET, 20 * second));
	assert_non_null(iso_outlier_failure(&o, ISO_FAILURE_TIMEOUT, 30 * second));
}

static void test_a_good_answer_breaks_the_run(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	for (uint64_t i = 1; i < 50; i++) {
		assert_null(iso_outlier_failure(&o, ISO_FAILURE_RESET, i * second));
		assert_null(iso_outlier_failure(&o, ISO_FAILURE_RESET, i * second + 1000));
		iso_outlier_good(&o, i * second + 2000);
	}
}

static void test_five_gateway_errors(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		assert_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, i * second));
	assert_non_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, 5 * second));
}

static void test_a_lost_second(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	iso_outlier_good(&o, 9 * second);
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, 10 * second + 1));
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, 10 * second + 2));
	assert_non_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, 10 * second + 3));
	o = fresh();
	iso_outlier_good(&o, 9 * second + 500000); /* within the second: not all failed */
	for (uint64_t i = 1; i <= 3; i++)
		assert_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, 10 * second + i));
	o = fresh();
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, 10 * second));
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, 10 * second + 600000));
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_GATEWAY, 11 * second + 200000)); /* spread over more
											  */
}

/* Whether it is time; then the trial is good at once. */
static bool ended(struct iso_outlier *o, uint64_t now_us)
{
	assert_false(iso_outlier_tick(o, 2, false, now_us));
	if (o->trial == 0)
		return false;
	iso_outlier_trial(o, ISO_TRIAL_GOOD, now_us, now_us);
	return iso_outlier_tick(o, 2, true, now_us);
}

/* Ejected, and half-open since now_us. */
static struct iso_outlier half_open(uint64_t now_us)
{
	struct iso_outlier o = fresh();

	iso_outlier_eject(&o, "why", mid, now_us - 10);
	iso_outlier_probe(&o, true, true, now_us - 2);
	iso_outlier_probe(&o, true, true, now_us - 1);
	o.noticed_us = now_us - 10;
	assert_false(iso_outlier_tick(&o, 2, false, now_us));
	assert_true(o.ejected && o.trial != 0);
	return o;
}

static void test_a_good_trial_brings_it_back(void **state)
{
	struct iso_outlier o = half_open(20 * second);

	(void)state;
	/* What set out before says nothing. */
	iso_outlier_trial(&o, ISO_TRIAL_GOOD, 20 * second - 1, 20 * second + 1);
	assert_false(iso_outlier_tick(&o, 2, true, 20 * second + 2));
	iso_outlier_trial(&o, ISO_TRIAL_GOOD, 20 * second, 20 * second + 3);
	assert_true(iso_outlier_tick(&o, 2, true, 20 * second + 4));
	assert_false(o.ejected || o.trial != 0);
}

static void test_a_bad_trial_ejects_anew_for_longer(void **state)
{
	struct iso_outlier o = half_open(20 * second);

	(void)state;
	iso_outlier_trial(&o, ISO_TRIAL_BAD, 20 * second, 21 * second);
	assert_true(o.ejected && o.trial == 0);
	assert_in_range(o.until_us - 21 * second, 10 * second - 1, 10 * second);
	assert_false(iso_outlier_tick(&o, 2, false, 22 * second));
	assert_int_equal(o.trial, 0); /* its probes must speak for it again */
}

static void test_a_trial_that_was_given_up_is_no_trial(void **state)
{
	struct iso_outlier o = half_open(20 * second);
	uint32_t first = o.trial;

	(void)state;
	iso_outlier_trial(&o, ISO_TRIAL_NONE, 20 * second, 21 * second);
	assert_true(o.ejected && o.trial != 0 && o.trial != first);
}

static void test_without_a_request_the_probes_must_do(void **state)
{
	struct iso_outlier o = half_open(20 * second);

	(void)state;
	assert_false(iso_outlier_tick(&o, 2, false, 21 * second - 1));
	assert_true(iso_outlier_tick(&o, 2, false, 21 * second));
}

static void test_a_trial_without_an_end_is_bad(void **state)
{
	struct iso_outlier o = half_open(20 * second);

	(void)state;
	assert_false(iso_outlier_tick(&o, 2, true, 25 * second - 1));
	assert_true(o.trial != 0);
	assert_false(iso_outlier_tick(&o, 2, true, 25 * second));
	assert_true(o.ejected && o.trial == 0 && o.until_us > 25 * second);
}

static void test_time_grows_to_the_cap(void **state)
{
	static const uint64_t times_s[] = { 5, 10, 20, 40, 80, 160, 300, 300 };
	struct iso_outlier o = fresh();
	uint64_t now_us = second;

	(void)state;
	for (int i = 0; i < 8; i++) {
		iso_outlier_eject(&o, "why", mid, now_us);
		assert_true(o.ejected);
		assert_in_range(o.until_us - now_us, times_s[i] * second - 1, times_s[i] * second);
		iso_outlier_probe(&o, true, true, second);
		assert_false(ended(&o, o.until_us - 1));
		now_us = o.until_us;
		assert_true(ended(&o, now_us));
		assert_false(o.ejected);
		assert_null(o.words);
		now_us += second;
	}
	/* A minute of peace makes it small again. */
	now_us += 60 * second;
	iso_outlier_eject(&o, "why", mid, now_us);
	assert_in_range(o.until_us - now_us, 5 * second - 1, 5 * second);
}

static void test_jitter_is_ten_per_cent(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	iso_outlier_eject(&o, "why", 0, second);
	assert_int_equal(o.until_us, second + 4500000);
	o = fresh();
	iso_outlier_eject(&o, "why", UINT32_MAX, second);
	assert_in_range(o.until_us, second + 5499990, second + 5500000);
}

static void test_good_probes_end_it_early(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	for (int round = 0; round < 4; round++) {
		uint64_t at_us = (uint64_t)(round + 1) * second;

		iso_outlier_eject(&o, "why", mid, at_us);
		assert_false(ended(&o, at_us + 1));
		iso_outlier_probe(&o, true, true, at_us + 1);
		iso_outlier_probe(&o, false, false, at_us + 2); /* breaks the run */
		iso_outlier_probe(&o, true, true, at_us + 3);
		assert_false(ended(&o, at_us + 3));
		iso_outlier_probe(&o, true, true, at_us + 4);
		assert_true(ended(&o, at_us + 4));
	}
}

static void test_blind_probes_weigh_less_each_time(void **state)
{
	struct iso_outlier o = fresh();
	uint64_t now_us = 10 * second;

	(void)state;
	for (int needed = 2; needed <= 16; needed *= 2) {
		iso_outlier_eject(&o, "why", mid, now_us);
		for (int i = 1; i < needed; i++)
			iso_outlier_probe(&o, true, true, now_us);
		assert_false(ended(&o, now_us));
		iso_outlier_probe(&o, true, true, now_us);
		assert_true(ended(&o, now_us));
		now_us += 2 * second;
	}
	/* One that was slow has noticed it. */
	iso_outlier_eject(&o, "why", mid, now_us);
	iso_outlier_probe(&o, true, false, now_us + 1);
	iso_outlier_probe(&o, true, true, now_us + 2);
	assert_true(ended(&o, now_us + 2));
}

static void test_never_back_without_a_good_probe(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	iso_outlier_eject(&o, "why", mid, second);
	assert_false(ended(&o, 1000 * second));
	iso_outlier_probe(&o, false, false, second);
	assert_false(ended(&o, 1000 * second));
	iso_outlier_probe(&o, true, true, second);
	assert_true(ended(&o, 1000 * second));
}

static void test_runs_begin_anew_after_the_return(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		(void)iso_outlier_failure(&o, ISO_FAILURE_RESET, second + i);
	iso_outlier_eject(&o, "why", mid, second + 3);
	iso_outlier_probe(&o, true, true, second);
	iso_outlier_probe(&o, true, true, second);
	assert_true(ended(&o, second + 4));
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_RESET, second + 5));
	assert_null(iso_outlier_failure(&o, ISO_FAILURE_RESET, second + 6));
}

static void test_uplink(void **state)
{
	struct iso_outlier a = fresh(), b = fresh();
	const struct iso_outlier *const both[] = { &a, &b };

	(void)state;
	assert_false(iso_outlier_uplink_down(both, 2, 10 * second));
	(void)iso_outlier_failure(&a, ISO_FAILURE_CONNECT, 10 * second);
	assert_false(iso_outlier_uplink_down(both, 2, 10 * second));
	(void)iso_outlier_failure(&b, ISO_FAILURE_CONNECT, 10 * second + 500000);
	assert_true(iso_outlier_uplink_down(both, 2, 10 * second + 500000));
	assert_false(iso_outlier_uplink_down(both, 1, 10 * second + 500000)); /* a lone region proves nothing
									       */
	assert_false(iso_outlier_uplink_down(both, 2, 11 * second + 1));      /* too long ago */
	iso_outlier_reached(&a, false, 11 * second);                          /* its probe, too */
	assert_true(iso_outlier_uplink_down(both, 2, 11 * second + 1));
	(void)iso_outlier_failure(&b, ISO_FAILURE_GATEWAY, 11 * second + 2); /* even an error is an answer */
	assert_false(iso_outlier_uplink_down(both, 2, 11 * second + 3));
	assert_false(iso_outlier_uplink_down(both, 0, 11 * second));
}

static void test_resets_are_not_the_uplink(void **state)
{
	struct iso_outlier a = fresh(), b = fresh();
	const struct iso_outlier *const both[] = { &a, &b };

	(void)state;
	(void)iso_outlier_failure(&a, ISO_FAILURE_RESET, second);
	(void)iso_outlier_failure(&b, ISO_FAILURE_TLS, second);
	assert_false(iso_outlier_uplink_down(both, 2, second));
}

static void test_pardon_does_not_count(void **state)
{
	struct iso_outlier o = fresh();

	(void)state;
	iso_outlier_eject(&o, "why", mid, second);
	iso_outlier_pardon(&o);
	assert_false(o.ejected);
	assert_int_equal(o.times, 0);
	iso_outlier_pardon(&o);
	assert_int_equal(o.times, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_trial_brings_it_back),
		cmocka_unit_test(test_a_bad_trial_ejects_anew_for_longer),
		cmocka_unit_test(test_a_trial_that_was_given_up_is_no_trial),
		cmocka_unit_test(test_without_a_request_the_probes_must_do),
		cmocka_unit_test(test_a_trial_without_an_end_is_bad),
		cmocka_unit_test(test_three_transport_failures),
		cmocka_unit_test(test_a_good_answer_breaks_the_run),
		cmocka_unit_test(test_five_gateway_errors),
		cmocka_unit_test(test_a_lost_second),
		cmocka_unit_test(test_time_grows_to_the_cap),
		cmocka_unit_test(test_jitter_is_ten_per_cent),
		cmocka_unit_test(test_good_probes_end_it_early),
		cmocka_unit_test(test_blind_probes_weigh_less_each_time),
		cmocka_unit_test(test_never_back_without_a_good_probe),
		cmocka_unit_test(test_runs_begin_anew_after_the_return),
		cmocka_unit_test(test_uplink),
		cmocka_unit_test(test_resets_are_not_the_uplink),
		cmocka_unit_test(test_pardon_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
