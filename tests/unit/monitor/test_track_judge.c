/*
 * A route's weights: by its own times where it has any, else by the regions', which neither attracts nor
 * repels; with the regions' states.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "region_stats_priv.h"

enum { N = 3, MS = 1000 };

static const uint64_t second = 1000000;
static const uint32_t draws[N] = { 1u << 31, 1u << 31, 1u << 31 };

struct service {
	struct iso_region_stats *regions[N];
	struct iso_region_facts facts[N];
	struct iso_track_stats *tracks[N];
	struct iso_board_lane lanes[N];
	struct iso_judge judge;
};

static int setup(void **state)
{
	struct service *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	for (int i = 0; i < N; i++) {
		s->regions[i] = malloc(sizeof(*s->regions[i]));
		s->tracks[i] = malloc(sizeof(*s->tracks[i]));
		assert_non_null(s->regions[i]);
		assert_non_null(s->tracks[i]);
		iso_region_stats_init(s->regions[i]);
		iso_track_stats_init(s->tracks[i], 100 * second);
	}
	s->judge = (struct iso_judge){ .now_us = 100 * second, .healthy_threshold = 2, .draws = draws };
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct service *s = *state;

	for (int i = 0; i < N; i++) {
		free(s->regions[i]);
		free(s->tracks[i]);
	}
	free(s);
	return 0;
}

static void judge(struct service *s)
{
	s->judge.now_us += 100 * MS;
	iso_service_judge(s->regions, N, &s->judge, s->facts);
	iso_track_judge(s->tracks, s->regions, s->facts, N, s->judge.now_us, s->lanes);
}

static void region(struct service *s, uint32_t i, uint32_t us)
{
	for (int k = 0; k < 200; k++)
		iso_estimate_good(&s->regions[i]->estimate, us, s->judge.now_us);
}

static void route(struct service *s, uint32_t i, uint32_t us)
{
	for (int k = 0; k < 200; k++)
		iso_track_stats_good(s->tracks[i], us, &s->regions[i]->estimate, s->judge.now_us);
}

static void same_weights(const struct service *s)
{
	for (int i = 0; i < N; i++)
		assert_in_range(s->lanes[i].weight + 2, s->facts[i].weight, s->facts[i].weight + 4);
}

static void test_nothing_is_known(void **state)
{
	struct service *s = *state;

	judge(s);
	for (int i = 0; i < N; i++) {
		assert_int_equal(s->lanes[i].weight, ISO_WEIGHT_ONE);
		assert_int_equal(s->lanes[i].estimate_us, 0);
		assert_int_equal(s->lanes[i].usual_us, 0);
	}
}

static void test_cold_it_goes_as_the_regions(void **state)
{
	struct service *s = *state;

	region(s, 0, 20 * MS);
	region(s, 1, 40 * MS);
	judge(s); /* the third is known to nobody */
	same_weights(s);
	assert_int_equal(s->lanes[1].estimate_us, s->facts[1].estimate_us);
	/* But it is waited for for longer than all others: it may be a slow one. */
	assert_int_equal(s->lanes[1].usual_us, 250 * MS);
	assert_int_equal(s->lanes[2].estimate_us, 0);
	assert_int_equal(s->lanes[2].usual_us, 0);
}

/* A hundred times as slow as the regions' traffic where it is known: so it is expected to be elsewhere. */
static void test_half_cold_it_neither_attracts_nor_repels(void **state)
{
	struct service *s = *state;

	region(s, 0, 20 * MS);
	region(s, 1, 40 * MS);
	region(s, 2, 30 * MS);
	route(s, 0, 2000 * MS);
	judge(s);
	same_weights(s);
	assert_in_range(s->lanes[1].estimate_us, 3990 * MS, 4010 * MS);
	assert_in_range(s->lanes[1].usual_us, 3990 * MS, 4010 * MS);
}

static void test_its_own_times_count(void **state)
{
	struct service *s = *state;

	region(s, 0, 20 * MS);
	region(s, 1, 40 * MS);
	region(s, 2, 40 * MS);
	route(s, 0, 200 * MS);
	route(s, 1, 100 * MS);
	route(s, 2, 100 * MS);
	judge(s);
	assert_int_equal(s->lanes[1].weight, ISO_WEIGHT_ONE);
	assert_int_equal(s->lanes[2].weight, ISO_WEIGHT_ONE);
	assert_in_range(s->lanes[0].weight, 3320, 3335); /* a twentieth: 2^-4.3 */
	assert_int_equal(s->facts[0].weight, ISO_WEIGHT_ONE);
	assert_in_range(s->lanes[0].usual_us, 199 * MS, 201 * MS);
}

/* What its requests fail is its own; the regions' other failures count where it is not known. */
static void test_failures(void **state)
{
	struct service *s = *state;
	uint32_t before[2];

	for (uint32_t i = 0; i < N; i++)
		region(s, i, 20 * MS);
	route(s, 0, 20 * MS);
	judge(s);
	before[0] = s->lanes[0].weight;
	before[1] = s->lanes[1].weight;
	for (int k = 0; k < 40; k++)
		iso_estimate_failure(&s->regions[0]->estimate, 0, 0, s->judge.now_us);
	judge(s);
	assert_true(s->facts[0].weight < ISO_WEIGHT_ONE / 2);
	assert_int_equal(s->lanes[0].weight, before[0]);
	for (int k = 0; k < 40; k++)
		iso_estimate_failure(&s->regions[1]->estimate, 0, 0, s->judge.now_us);
	judge(s);
	assert_true(s->lanes[1].weight < before[1] / 2);
	for (int k = 0; k < 40; k++)
		iso_estimate_failure(&s->tracks[0]->estimate, 0, 0, s->judge.now_us);
	judge(s);
	assert_true(s->lanes[0].weight < before[0] / 2);
}

/* Its failures before its first answer: expected as it is elsewhere, and what they cost. */
static void test_failures_where_it_was_never_answered(void **state)
{
	struct service *s = *state;

	for (uint32_t i = 0; i < N; i++)
		region(s, i, 20 * MS);
	route(s, 1, 40 * MS);
	for (int k = 0; k < 2; k++)
		iso_estimate_failure(&s->tracks[0]->estimate, 0, 0, s->judge.now_us);
	judge(s);
	assert_true(s->lanes[0].estimate_us >= 1000 * MS);
	assert_true(s->lanes[0].weight < 10);
	assert_in_range(s->lanes[0].estimate_us, 1039 * MS, 1041 * MS);
}

static void test_what_probes_alone_forgave_gets_little(void **state)
{
	struct service *s = *state;

	for (uint32_t i = 0; i < N; i++) {
		region(s, i, 20 * MS);
		route(s, i, 20 * MS);
	}
	s->tracks[0]->estimate.unproven = true;
	judge(s);
	/* A twentieth of a third, against what is left for two. */
	assert_in_range(s->lanes[0].weight, ISO_WEIGHT_ONE * 33 / 1000, ISO_WEIGHT_ONE * 35 / 1000);
	iso_track_stats_good(s->tracks[0], 20 * MS, &s->regions[0]->estimate, s->judge.now_us);
	judge(s);
	assert_int_equal(s->lanes[0].weight, ISO_WEIGHT_ONE);
}

static void test_the_regions_states_are_its_own(void **state)
{
	struct service *s = *state;

	for (uint32_t i = 0; i < N; i++)
		region(s, i, 20 * MS);
	for (uint32_t i = 0; i < N; i++)
		route(s, i, 500 * MS);
	s->regions[0]->suspect_us = s->judge.now_us;
	s->regions[0]->silent_us = 5 * second;
	s->judge.drained = 1 << 1;
	judge(s);
	assert_int_equal(s->lanes[0].estimate_us, 5 * second);
	assert_in_range(s->lanes[0].usual_us, 499 * MS, 501 * MS);
	assert_true(s->lanes[0].weight < 10);
	s->judge.drained = 0;
	s->regions[0]->silent_us = 0;
	s->judge.now_us += 100 * MS;
	judge(s); /* the second is back: a tenth of its third, the others share the rest */
	assert_in_range(s->lanes[1].weight, ISO_WEIGHT_ONE * 68 / 1000, ISO_WEIGHT_ONE * 70 / 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_known),
		TEST(test_cold_it_goes_as_the_regions),
		TEST(test_half_cold_it_neither_attracts_nor_repels),
		TEST(test_its_own_times_count),
		TEST(test_failures),
		TEST(test_failures_where_it_was_never_answered),
		TEST(test_what_probes_alone_forgave_gets_little),
		TEST(test_the_regions_states_are_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
