/*
 * A route's own numbers in one region: its answers, and what probes of the region let expect of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "track_stats_priv.h"

enum { MS = 1000 };

static const uint64_t second = 1000000, interval = 10 * 1000000;

struct pair {
	struct iso_track_stats ts;
	struct iso_estimate region;
	uint64_t now_us;
};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->now_us = 1000 * second;
	iso_track_stats_init(&p->ts, p->now_us);
	iso_estimate_init(&p->region);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static uint32_t usual(const struct pair *p)
{
	return iso_estimate_usual_us(&p->ts.estimate);
}

static void probe(struct pair *p, uint32_t us)
{
	p->now_us += 10 * second;
	iso_estimate_probe(&p->region, us, p->now_us);
	iso_track_stats_probe(&p->ts, us, p->now_us);
	iso_estimate_tick(&p->ts.estimate, p->now_us);
}

/* One after the other. */
static void answers(struct pair *p, uint32_t us, int n)
{
	for (int i = 0; i < n; i++) {
		p->now_us += us;
		iso_track_stats_good(&p->ts, us, &p->region, p->now_us);
	}
}

static void test_probes_alone_say_nothing(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 5; i++)
		probe(p, 5 * MS);
	assert_int_equal(usual(p), 0);
}

/* A slow route stays slow, whatever a quick probe's few milliseconds more or less are. */
static void test_a_slow_route_is_not_as_quick_as_a_probe(void **state)
{
	static const uint32_t noise[] = { 5, 9, 3, 8, 4, 6, 12, 2 };
	struct pair *p = *state;

	probe(p, 5 * MS);
	answers(p, 2000 * MS, 30);
	for (uint32_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
		probe(p, noise[i] * MS);
		assert_in_range(usual(p), 1996 * MS, 2008 * MS);
	}
}

/* Without a probe before it, the first one that comes is what goes with it. */
static void test_the_first_probe_may_come_later(void **state)
{
	struct pair *p = *state;

	answers(p, 300 * MS, 30);
	for (int i = 0; i < 3; i++)
		probe(p, 50 * MS);
	assert_in_range(usual(p), 299 * MS, 301 * MS);
	for (int i = 0; i < 3; i++)
		probe(p, 250 * MS); /* 200 ms more */
	assert_in_range(usual(p), 499 * MS, 501 * MS);
}

/* 30 ms, then 230 for both; and back with the second good probe, as it was. */
static void test_it_comes_back_with_the_probes(void **state)
{
	struct pair *p = *state;

	probe(p, 10 * MS);
	answers(p, 30 * MS, 100);
	answers(p, 230 * MS, 20);
	assert_in_range(usual(p), 220 * MS, 231 * MS);
	probe(p, 210 * MS);
	probe(p, 210 * MS);
	probe(p, 10 * MS);
	probe(p, 10 * MS);
	assert_in_range(usual(p), 29 * MS, 31 * MS);
}

/* Two regimes are kept: what was learnt in the slow one is no reason to forget the quick one. */
static void test_answers_in_a_slow_time_keep_the_quick_one(void **state)
{
	struct pair *p = *state;

	probe(p, 20 * MS);
	answers(p, 25 * MS, 100);
	for (int i = 0; i < 3; i++) {
		probe(p, 220 * MS);
		answers(p, 260 * MS, 10); /* more than the probes: they queue */
	}
	assert_in_range(usual(p), 255 * MS, 265 * MS);
	probe(p, 20 * MS);
	probe(p, 20 * MS);
	assert_in_range(usual(p), 24 * MS, 26 * MS);
}

/* A deep health check takes longer than the route does. */
static void test_a_route_that_is_quicker_than_the_probe(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 2; i++)
		probe(p, 100 * MS);
	answers(p, 10 * MS, 100);
	for (int i = 0; i < 3; i++)
		probe(p, 50 * MS);
	assert_in_range(usual(p), 4900, 5100);
	for (int i = 0; i < 3; i++)
		probe(p, 200 * MS);
	assert_in_range(usual(p), 19900, 20100);
}

static void test_an_absurd_probe(void **state)
{
	struct pair *p = *state;

	probe(p, 0);
	answers(p, 1, 10);
	probe(p, 0);
	probe(p, UINT32_MAX);
	probe(p, UINT32_MAX);
	assert_true(usual(p) > 0 && usual(p) <= 30 * second);
}

static void test_failures_only_add(void **state)
{
	struct pair *p = *state;
	uint32_t before_us;

	probe(p, 5 * MS);
	answers(p, 100 * MS, 50);
	before_us = iso_estimate_us(&p->ts.estimate);
	for (int i = 0; i < 5; i++) {
		iso_estimate_failure(&p->ts.estimate, 2 * MS, 0, p->now_us);
		assert_true(iso_estimate_us(&p->ts.estimate) > before_us);
		before_us = iso_estimate_us(&p->ts.estimate);
		assert_in_range(usual(p), 99 * MS, 101 * MS);
	}
}

static void test_an_address_that_falls_out_of_use(void **state)
{
	struct pair *p = *state;

	answers(p, 600 * MS, 30);
	iso_track_stats_without(&p->ts, 100 * MS, 150 * MS); /* not that way */
	iso_track_stats_without(&p->ts, 0, 0);
	assert_in_range(usual(p), 599 * MS, 601 * MS);
	iso_track_stats_without(&p->ts, 300 * MS, 100 * MS);
	assert_in_range(usual(p), 199 * MS, 201 * MS);
}

static void test_when_it_is_unmeasured(void **state)
{
	struct pair *p = *state;
	uint64_t bound_us = p->now_us;

	assert_false(iso_track_stats_unmeasured(&p->ts, interval, bound_us + 2 * interval));
	assert_true(iso_track_stats_unmeasured(&p->ts, interval, bound_us + 2 * interval + 1));
	answers(p, 2000 * MS, 10);
	assert_false(iso_track_stats_unmeasured(&p->ts, interval, p->now_us + 2 * interval));
	assert_true(iso_track_stats_unmeasured(&p->ts, interval, p->now_us + 2 * interval + 1));
	/* One try is enough for as long, if it fails. */
	iso_estimate_failure(&p->ts.estimate, 0, 0, p->now_us + second);
	assert_false(iso_track_stats_unmeasured(&p->ts, interval, p->now_us + 2 * interval + 1));
	/* A quick answer calls for others, until they agree. */
	answers(p, 20 * MS, 1);
	assert_true(iso_track_stats_unmeasured(&p->ts, interval, p->now_us));
	answers(p, 20 * MS, 4);
	assert_false(iso_track_stats_unmeasured(&p->ts, interval, p->now_us));
	assert_in_range(usual(p), 19 * MS, 21 * MS);
}

static void test_numbers_name_tracks(void **state)
{
	struct pair *p = *state;
	struct iso_track_stats *tracks[ISO_TRACK_SLOTS] = { &p->ts };

	tracks[ISO_TRACK_SLOTS - 1] = &p->ts;
	assert_ptr_equal(iso_track_of(tracks, 1), &p->ts);
	assert_ptr_equal(iso_track_of(tracks, ISO_TRACK_SLOTS), &p->ts);
	assert_null(iso_track_of(tracks, 2));
	assert_null(iso_track_of(tracks, 0));
	assert_null(iso_track_of(tracks, ISO_TRACK_SLOTS + 1));
	assert_null(iso_track_of(tracks, UINT8_MAX));
	assert_null(iso_track_of(NULL, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_probes_alone_say_nothing),
		TEST(test_a_slow_route_is_not_as_quick_as_a_probe),
		TEST(test_the_first_probe_may_come_later),
		TEST(test_it_comes_back_with_the_probes),
		TEST(test_answers_in_a_slow_time_keep_the_quick_one),
		TEST(test_a_route_that_is_quicker_than_the_probe),
		TEST(test_an_absurd_probe),
		TEST(test_failures_only_add),
		TEST(test_an_address_that_falls_out_of_use),
		TEST(test_when_it_is_unmeasured),
		TEST(test_numbers_name_tracks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
