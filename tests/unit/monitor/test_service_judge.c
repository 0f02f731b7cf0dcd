/*
 * The judgement over a service: the last one stays, returns ramp, drains, our own uplink.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "region_stats_priv.h"

enum { N = 3 };

static const uint64_t second = 1000000;

struct service {
	struct iso_region_stats *regions[N];
	struct iso_region_facts facts[N];
	struct iso_judge judge;
};

static const uint32_t draws[N] = { 1u << 31, 1u << 31, 1u << 31 };

static int setup(void **state)
{
	struct service *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	for (int i = 0; i < N; i++) {
		s->regions[i] = calloc(1, sizeof(*s->regions[i]));
		assert_non_null(s->regions[i]);
		iso_region_stats_init(s->regions[i]);
	}
	s->judge = (struct iso_judge){ .now_us = 100 * second, .healthy_threshold = 2, .draws = draws };
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct service *s = *state;

	for (int i = 0; i < N; i++)
		free(s->regions[i]);
	free(s);
	return 0;
}

static void judge(struct service *s, uint64_t later_us)
{
	s->judge.now_us += later_us;
	iso_service_judge(s->regions, N, &s->judge, s->facts);
}

static void test_unknown_regions_are_eligible(void **state)
{
	struct service *s = *state;

	judge(s, 0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(s->facts[i].state, ISO_REGION_UNKNOWN);
		assert_true(s->facts[i].up);
		assert_int_equal(s->facts[i].weight, ISO_WEIGHT_ONE);
		assert_int_equal(s->facts[i].ramp, ISO_WEIGHT_ONE);
		assert_int_equal(s->facts[i].estimate_us, 0);
	}
}

static void test_the_last_one_stays(void **state)
{
	struct service *s = *state;
	uint32_t up = 0;

	for (int i = 0; i < N; i++)
		s->regions[i]->wish = "fails";
	judge(s, 0);
	for (int i = 0; i < N; i++)
		up += s->facts[i].up;
	assert_int_equal(up, 1);
	assert_int_equal(s->facts[2].up, true);
	assert_int_equal(s->facts[2].state, ISO_REGION_DEGRADED);
	assert_int_equal(s->facts[0].state, ISO_REGION_EJECTED);
	assert_int_equal(s->facts[0].weight <= ISO_WEIGHT_ONE, true);
}

static void test_the_one_that_answers_stays(void **state)
{
	struct service *s = *state;

	for (int i = 0; i < N; i++) {
		for (int k = 0; k < 3; k++)
			(void)iso_outlier_failure(&s->regions[i]->outlier,
						  i == 1 ? ISO_FAILURE_GATEWAY : ISO_FAILURE_CONNECT,
						  s->judge.now_us - second);
		s->regions[i]->wish = "fails";
	}
	judge(s, 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(s->facts[i].up, i == 1);
}

/* A drained region is no reason to throw out the last one that takes traffic. */
static void test_drained_ones_do_not_count(void **state)
{
	struct service *s = *state;

	s->judge.drained = 1 << 1 | 1 << 2;
	s->regions[0]->wish = "fails";
	judge(s, 0);
	assert_true(s->facts[0].up);
	assert_int_equal(s->facts[1].state, ISO_REGION_DRAINED);
	assert_false(s->facts[1].up);
}

static void test_undrain_ramps(void **state)
{
	struct service *s = *state;

	s->judge.drained = 1;
	judge(s, 0);
	s->judge.drained = 0;
	judge(s, second);
	assert_int_equal(s->facts[0].ramp, ISO_WEIGHT_ONE / 10);
	assert_int_equal(s->facts[0].state, ISO_REGION_DEGRADED);
	judge(s, second);
	assert_in_range(s->facts[0].ramp, ISO_WEIGHT_ONE * 54 / 100, ISO_WEIGHT_ONE * 56 / 100);
	judge(s, second);
	assert_int_equal(s->facts[0].ramp, ISO_WEIGHT_ONE);
}

static void test_uplink_ejects_nobody(void **state)
{
	struct service *s = *state;

	s->judge.uplink_down = true;
	for (int i = 0; i < N; i++)
		s->regions[i]->wish = "connecting failed";
	judge(s, 0);
	for (int i = 0; i < N; i++)
		assert_true(s->facts[i].up);
}

/* The first regions to fail went before it was clear that it was the uplink. */
static void test_uplink_pardons(void **state)
{
	struct service *s = *state;

	for (uint64_t i = 0; i < 3; i++) {
		struct iso_sample sample = { .start_us = 100 * second - 5,
					     .end_us = 100 * second,
					     .outcome = ISO_OUTCOME_CONNECT,
					     .fault = ISO_FAULT_REGION };

		iso_region_stats_sample(s->regions[0], &sample);
	}
	judge(s, 0);
	assert_int_equal(s->facts[0].state, ISO_REGION_EJECTED);
	s->judge.uplink_down = true;
	judge(s, 500000);
	assert_true(s->facts[0].up);
}

static void test_down_by_probes(void **state)
{
	struct service *s = *state;

	for (int i = 0; i < 3; i++)
		iso_health_fail(&s->regions[1]->health, 3);
	judge(s, 0);
	assert_int_equal(s->facts[1].state, ISO_REGION_UNHEALTHY);
	assert_false(s->facts[1].up);
	/* All down: weights are there for failing open. */
	for (int r = 0; r < N; r++)
		for (int i = 0; i < 3; i++)
			iso_health_fail(&s->regions[r]->health, 3);
	judge(s, 100000);
	for (int i = 0; i < N; i++) {
		assert_false(s->facts[i].up);
		assert_int_equal(s->facts[i].weight, ISO_WEIGHT_ONE);
	}
}

static void test_a_wish_of_the_past_is_forgotten(void **state)
{
	struct service *s = *state;

	s->regions[0]->wish = "fails";
	judge(s, 0);
	assert_false(s->facts[0].up);
	s->regions[0]->wish = "fails still"; /* a straggler */
	for (int i = 0; i < 2; i++)
		iso_outlier_probe(&s->regions[0]->outlier, true, true, s->judge.now_us);
	judge(s, 100000);
	assert_true(s->facts[0].trial != 0);
	assert_false(s->facts[0].up);
	judge(s, 1000000); /* no request tried it */
	assert_true(s->facts[0].up);
}

static void test_silence_counts_while_it_lasts(void **state)
{
	struct service *s = *state;

	for (int i = 0; i < N; i++)
		iso_estimate_good(&s->regions[i]->estimate, 30000, 99 * second);
	s->regions[0]->suspect_us = 100 * second;
	s->regions[0]->silent_us = 400000;
	judge(s, 0);
	assert_true(s->facts[0].suspect);
	assert_int_equal(s->facts[0].estimate_us, 400000);
	assert_int_equal(s->facts[0].usual_us, 30000);
	assert_true(s->facts[0].weight < 200);
	assert_int_equal(s->facts[0].state, ISO_REGION_DEGRADED);
}

/* Half of a region's answers are 429, all to one client's key: its rate is no reason to throw it out. */
static void test_one_clients_quota_ejects_nobody(void **state)
{
	struct service *s = *state;

	for (int i = 0; i < 3000; i++) {
		for (int r = 0; r < N; r++) {
			struct iso_sample sample = { .start_us = s->judge.now_us - 20000,
						     .end_us = s->judge.now_us,
						     .outcome = ISO_OUTCOME_OK,
						     .status = 200,
						     .ttfb_us = 20000 };

			if (r == 0 && i > 1500 && i % 2 == 0) {
				sample.outcome = ISO_OUTCOME_STATUS;
				sample.fault = ISO_FAULT_THROTTLE;
				sample.status = 429;
				sample.api_key = 42;
			}
			iso_region_stats_sample(s->regions[r], &sample);
		}
		judge(s, 10000);
		assert_true(s->facts[0].up);
		assert_int_equal(s->facts[0].weight, ISO_WEIGHT_ONE);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_regions_are_eligible),
		TEST(test_the_last_one_stays),
		TEST(test_the_one_that_answers_stays),
		TEST(test_drained_ones_do_not_count),
		TEST(test_undrain_ramps),
		TEST(test_uplink_ejects_nobody),
		TEST(test_uplink_pardons),
		TEST(test_down_by_probes),
		TEST(test_a_wish_of_the_past_is_forgotten),
		TEST(test_silence_counts_while_it_lasts),
		TEST(test_one_clients_quota_ejects_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
