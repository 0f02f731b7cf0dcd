/*
 * One region's statistics: what each kind of sample, probe and silence does to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "region_stats_priv.h"

static const uint64_t second = 1000000;
static const struct iso_cfg_health health = { .healthy_threshold = 2, .unhealthy_threshold = 3 };

static int setup(void **state)
{
	struct iso_region_stats *rs = calloc(1, sizeof(*rs));

	assert_non_null(rs);
	iso_region_stats_init(rs);
	*state = rs;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void ok(struct iso_region_stats *rs, uint64_t start_us, uint32_t us)
{
	struct iso_sample s = { .start_us = start_us,
				.end_us = start_us + us,
				.status = 200,
				.ttfb_us = us,
				.outcome = ISO_OUTCOME_OK };

	iso_region_stats_sample(rs, &s);
}

static void bad(struct iso_region_stats *rs, enum iso_outcome outcome, enum iso_fault fault, uint64_t now_us)
{
	struct iso_sample s = { .start_us = now_us - 2000,
				.end_us = now_us,
				.outcome = (uint8_t)outcome,
				.fault = (uint8_t)fault };

	if (outcome == ISO_OUTCOME_STATUS || outcome == ISO_OUTCOME_OK) {
		s.status = fault == ISO_FAULT_REGION ? 503 : 403;
		s.ttfb_us = 2000;
	}
	iso_region_stats_sample(rs, &s);
}

static void probe(struct iso_region_stats *rs, bool passed, uint32_t us, uint64_t now_us)
{
	struct iso_probe_note note = { .at_us = now_us,
				       .ttfb_us = us,
				       .status = passed ? 200 : 503,
				       .passed = passed,
				       .words = passed ? NULL : "words" };

	iso_region_stats_probe(rs, &note, now_us - us, passed ? ISO_OUTCOME_OK : ISO_OUTCOME_STATUS, &health,
			       false);
}

static void test_good_answers(void **state)
{
	struct iso_region_stats *rs = *state;
	struct iso_window_sums sums;

	for (uint64_t i = 0; i < 50; i++)
		ok(rs, 10 * second + i * 10000, 40000);
	iso_window_sum(&rs->window, 11 * second, &sums);
	assert_int_equal(sums.good, 50);
	assert_in_range(sums.p50_us, 39200, 40800);
	assert_in_range(iso_estimate_us(&rs->estimate), 39999, 40001);
	assert_int_equal(rs->outcomes[ISO_OUTCOME_OK], 50);
	assert_int_equal(rs->live_good_us, 10 * second + 49 * 10000 + 40000);
	assert_null(rs->wish);
}

/* A region that refuses every client in 2 ms is neither fast nor to blame. */
static void test_client_faults_say_nothing(void **state)
{
	struct iso_region_stats *rs = *state;
	uint32_t before;

	for (uint64_t i = 0; i < 50; i++)
		ok(rs, 10 * second + i * 10000, 40000);
	before = iso_estimate_us(&rs->estimate);
	for (uint64_t i = 0; i < 500; i++)
		bad(rs, ISO_OUTCOME_OK, i % 2 ? ISO_FAULT_CLIENT : ISO_FAULT_APPLICATION,
		    11 * second + i * 1000);
	assert_int_equal(iso_estimate_us(&rs->estimate), before);
	assert_null(rs->wish);
	assert_int_equal(rs->live_good_us, 10 * second + 49 * 10000 + 40000);
}

static void test_our_own_limits_and_graceful_ends_say_nothing(void **state)
{
	struct iso_region_stats *rs = *state;

	for (uint64_t i = 0; i < 100; i++) {
		bad(rs, ISO_OUTCOME_OVERLOAD, ISO_FAULT_NONE, 10 * second + i);
		bad(rs, ISO_OUTCOME_GOAWAY, ISO_FAULT_NONE, 10 * second + i);
		bad(rs, ISO_OUTCOME_REFUSED_STREAM, ISO_FAULT_NONE, 10 * second + i);
	}
	assert_null(rs->wish);
	assert_int_equal(iso_estimate_us(&rs->estimate), 0);
}

static void broken(struct iso_region_stats *rs, uint32_t conn, enum iso_outcome outcome, uint64_t now_us)
{
	struct iso_sample s = { .start_us = now_us - 90000,
				.end_us = now_us,
				.conn = conn,
				.outcome = (uint8_t)outcome,
				.fault = ISO_FAULT_REGION };

	iso_region_stats_sample(rs, &s);
}

static void test_one_dead_connection_ejects_nobody(void **state)
{
	struct iso_region_stats *rs = *state;
	uint32_t one;

	for (uint64_t i = 0; i < 200; i++)
		ok(rs, 10 * second + i * 10000, 40000);
	for (uint64_t i = 0; i < 100; i++)
		broken(rs, 7, i % 2 ? ISO_OUTCOME_RESET : ISO_OUTCOME_TIMEOUT, 12 * second + i);
	assert_null(rs->wish);
	one = iso_estimate_us(&rs->estimate);
	assert_true(one > 40000);
	assert_true(one < 150000); /* 100 streams at 1 s each would be more */
	broken(rs, 8, ISO_OUTCOME_RESET, 12 * second + 200);
	assert_null(rs->wish);
	broken(rs, 7, ISO_OUTCOME_RESET, 12 * second + 201);
	assert_null(rs->wish);
	broken(rs, 9, ISO_OUTCOME_RESET, 12 * second + 202);
	assert_non_null(rs->wish); /* three of them do */
}

static void test_failures_wish_it_out(void **state)
{
	static const enum iso_outcome outcomes[] = { ISO_OUTCOME_CONNECT, ISO_OUTCOME_TLS, ISO_OUTCOME_RESET,
						     ISO_OUTCOME_TIMEOUT, ISO_OUTCOME_PROTOCOL };
	struct iso_region_stats *rs = *state;

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		iso_region_stats_init(rs);
		bad(rs, outcomes[i], ISO_FAULT_REGION, 10 * second);
		bad(rs, outcomes[i], ISO_FAULT_REGION, 20 * second);
		assert_null(rs->wish);
		bad(rs, outcomes[i], ISO_FAULT_REGION, 30 * second);
		assert_non_null(rs->wish);
		ok(rs, 31 * second, 1000); /* it is well again before anything was done */
		assert_null(rs->wish);
	}
}

static void test_throttles_do_not_eject(void **state)
{
	struct iso_region_stats *rs = *state;

	ok(rs, 9 * second, 40000);
	for (uint64_t i = 0; i < 100; i++)
		bad(rs, ISO_OUTCOME_STATUS, ISO_FAULT_THROTTLE, 10 * second + i);
	assert_null(rs->wish);
	assert_true(iso_estimate_us(&rs->estimate) > 500000);
}

/* One client that has used up its quota is no part of the region's failure rate; nor is a limit that is
 * learnt.
 */
static void test_a_quota_is_no_failure(void **state)
{
	struct iso_region_stats *rs = *state;
	struct iso_sample s = { .outcome = ISO_OUTCOME_STATUS,
				.fault = ISO_FAULT_THROTTLE,
				.status = 429,
				.ttfb_us = 2000,
				.start_us = 10 * second,
				.end_us = 10 * second + 2000,
				.api_key = 7 };
	struct iso_window_sums sums;

	ok(rs, 9 * second, 40000);
	for (int i = 0; i < 50; i++)
		iso_region_stats_sample(rs, &s);
	iso_window_sum(&rs->window, 11 * second, &sums);
	assert_int_equal(sums.bad, 0);
	assert_in_range(iso_estimate_us(&rs->estimate), 39999, 40001);
	rs->learns = true;
	s.api_key = 0;
	iso_region_stats_sample(rs, &s);
	iso_window_sum(&rs->window, 11 * second, &sums);
	assert_int_equal(sums.bad, 0);
	rs->learns = false;
	iso_region_stats_sample(rs, &s);
	iso_window_sum(&rs->window, 11 * second, &sums);
	assert_int_equal(sums.bad, 1);
}

/* Retry-After of a region's throttle keeps its limit from growing; that of one client's quota keeps nobody.
 */
static void test_retry_after_of_a_429(void **state)
{
	struct iso_region_stats *rs = *state;
	struct iso_sample s = { .outcome = ISO_OUTCOME_STATUS,
				.fault = ISO_FAULT_THROTTLE,
				.status = 429,
				.ttfb_us = 2000,
				.start_us = 10 * second,
				.end_us = 10 * second + 2000,
				.retry_after_us = 30 * second,
				.api_key = 7 };

	rs->learns = true;
	ok(rs, 10 * second, 40000);
	for (int i = 0; i < 10; i++)
		iso_region_stats_sample(rs, &s);
	assert_int_equal(rs->throttle.asked_us, 0);
	s.api_key = 8;
	iso_region_stats_sample(rs, &s);
	assert_int_equal(rs->throttle.asked_us, 40 * second + 2000);
	assert_in_range(iso_estimate_us(&rs->estimate), 39999, 40001); /* what does not exceed it goes on */
}

/* Nothing but 429s for a second is no limit: it takes nothing. Also where limits are learnt. */
static void test_a_region_that_refuses_everything(void **state)
{
	struct iso_region_stats *rs = *state;

	rs->learns = true;
	ok(rs, 10 * second, 40000);
	for (uint64_t i = 0; i < 20; i++) {
		assert_null(rs->wish);
		bad(rs, ISO_OUTCOME_STATUS, ISO_FAULT_THROTTLE, 10 * second + i * 50000);
	}
	assert_true(iso_estimate_us(&rs->estimate) > 500000);
	bad(rs, ISO_OUTCOME_STATUS, ISO_FAULT_THROTTLE, 11 * second + 50000);
	assert_non_null(rs->wish);
	/* The request that tries it out says the same. */
	iso_outlier_eject(&rs->outlier, rs->wish, 0, 11 * second + 50000);
	rs->outlier.trial = 1;
	rs->outlier.trial_us = 15 * second;
	bad(rs, ISO_OUTCOME_STATUS, ISO_FAULT_THROTTLE, 16 * second);
	assert_int_equal(rs->outlier.trial, 0);
	assert_true(rs->outlier.ejected);
}

/* One 429, and then nothing: where limits are learnt it is no failure, unless nothing passes. */
static void test_silence_after_a_429(void **state)
{
	struct iso_region_stats *rs = *state;

	rs->learns = true;
	ok(rs, 10 * second, 40000);
	bad(rs, ISO_OUTCOME_STATUS, ISO_FAULT_THROTTLE, 10 * second + 50000);
	iso_region_stats_cells(rs, NULL, 0, 10 * second + 300000);
	assert_int_equal(rs->estimate.bad_run, 0);
	iso_region_stats_cells(rs, NULL, 0, 10 * second + 400000);
	assert_int_equal(rs->estimate.bad_run, 1);
	ok(rs, 10 * second + 410000, 40000);
	iso_region_stats_cells(rs, NULL, 0, 12 * second);
	assert_int_equal(rs->estimate.bad_run, 0);
}

/* Three probes time out while requests are answered well: they do not take it down; without requests they do.
 */
static void test_slow_probes_of_a_region_that_answers(void **state)
{
	struct iso_region_stats *rs = *state;
	struct iso_probe_note note = { .words = "its probe timed out" };

	probe(rs, true, 20000, 9 * second);
	for (uint64_t i = 10; i < 16; i++) {
		if (i < 13)
			ok(rs, i * second + 500000, 40000);
		note.at_us = (i + 1) * second;
		iso_region_stats_probe(rs, &note, i * second, ISO_OUTCOME_TIMEOUT, &health, false);
		assert_int_equal(rs->health.state, i < 15 ? ISO_HEALTH_UP : ISO_HEALTH_DOWN);
	}
	assert_int_equal(rs->probes_ignored, 3);
	assert_int_equal(rs->probes_failed, 3);
}

static void test_what_set_out_before_the_return_is_no_news(void **state)
{
	struct iso_region_stats *rs = *state;

	rs->back_us = 10 * second;
	for (uint64_t i = 0; i < 10; i++)
		bad(rs, ISO_OUTCOME_TIMEOUT, ISO_FAULT_REGION, 10 * second + i); /* began 2 ms earlier */
	assert_null(rs->wish);
	for (uint64_t i = 0; i < 3; i++)
		bad(rs, ISO_OUTCOME_TIMEOUT, ISO_FAULT_REGION, 11 * second + i);
	assert_non_null(rs->wish);
}

static void test_cancelled_counts_its_age(void **state)
{
	struct iso_region_stats *rs = *state;
	struct iso_sample s = { .outcome = ISO_OUTCOME_CANCELLED };
	uint32_t before;

	for (uint64_t i = 0; i < 50; i++)
		ok(rs, 10 * second + i * 10000, 40000);
	before = iso_estimate_us(&rs->estimate);
	s.start_us = 11 * second;
	s.end_us = s.start_us + 10000; /* the client left early */
	iso_region_stats_sample(rs, &s);
	assert_int_equal(iso_estimate_us(&rs->estimate), before);
	s.end_us = s.start_us + 900000;
	iso_region_stats_sample(rs, &s);
	assert_true(iso_estimate_us(&rs->estimate) > before);
}

static void silence(struct iso_region_stats *rs, uint64_t oldest_us, uint64_t progress_us, uint64_t now_us)
{
	struct iso_cell_view cell = { oldest_us, progress_us, 1, 0 };

	iso_region_stats_cells(rs, &cell, 1, now_us);
}

static void test_suspicion_needs_silence_everywhere(void **state)
{
	struct iso_region_stats *rs = *state;
	struct iso_cell_view cells[2] = { { 20 * second, 0, 1, 0 },
					  { 20 * second, 20 * second + 150000, 3, 0 } };

	ok(rs, 10 * second, 20000); /* patience: 80 ms */
	iso_region_stats_cells(rs, cells, 2, 20 * second + 200000);
	assert_int_equal(rs->suspect_us, 0); /* the other worker hears from it */
	cells[1].waiting = 0;
	iso_region_stats_cells(rs, cells, 2, 20 * second + 200000);
	assert_int_equal(rs->suspect_us, 20 * second + 200000);
	assert_int_equal(rs->silent_us, 200000);
	assert_true(iso_region_stats_doubted(rs));
}

static void test_suspicion_is_lifted_by_a_normal_answer(void **state)
{
	struct iso_region_stats *rs = *state;

	for (uint64_t i = 0; i < 100; i++)
		ok(rs, 19 * second + i * 9000, 20000);
	silence(rs, 20 * second, 0, 20 * second + 100000);
	assert_int_not_equal(rs->suspect_us, 0);
	ok(rs, 20 * second, 150000); /* late, and begun before */
	assert_int_not_equal(rs->suspect_us, 0);
	ok(rs, 20 * second + 200000, 150000); /* begun after, but late */
	assert_int_not_equal(rs->suspect_us, 0);
	bad(rs, ISO_OUTCOME_STATUS, ISO_FAULT_REGION, 21 * second); /* an error is not normal */
	assert_int_not_equal(rs->suspect_us, 0);
	ok(rs, 21 * second, 21000);
	assert_int_equal(rs->suspect_us, 0);
	assert_int_equal(rs->normal_us, 21 * second);
}

static void test_a_probe_lifts_or_confirms(void **state)
{
	struct iso_region_stats *rs = *state;

	ok(rs, 10 * second, 20000);
	silence(rs, 20 * second, 0, 20 * second + 100000);
	probe(rs, true, 30000, 20 * second + 200000);
	assert_int_equal(rs->suspect_us, 0);
	silence(rs, 30 * second, 0, 30 * second + 150000);
	probe(rs, false, 30000, 30 * second + 200000);
	assert_int_not_equal(rs->suspect_us, 0);
	assert_non_null(rs->wish);
}

/* A deep check takes 500 ms where traffic takes 20: that is normal for a probe. */
static void test_slow_probes_can_be_normal(void **state)
{
	struct iso_region_stats *rs = *state;

	probe(rs, true, 500000, 9 * second);
	ok(rs, 10 * second, 20000);
	silence(rs, 20 * second, 0, 20 * second + 100000);
	probe(rs, true, 520000, 21 * second);
	assert_int_equal(rs->suspect_us, 0);
}

static void test_uplink_excuses_failed_connects(void **state)
{
	struct iso_region_stats *rs = *state;
	struct iso_probe_note note = { .words = "connect" };

	for (uint64_t i = 0; i < 5; i++) {
		note.at_us = (10 + i) * second;
		iso_region_stats_probe(rs, &note, note.at_us - 10, ISO_OUTCOME_CONNECT, &health, true);
	}
	assert_int_equal(rs->health.state, ISO_HEALTH_UNKNOWN);
	for (uint64_t i = 0; i < 3; i++) {
		note.at_us = (20 + i) * second;
		iso_region_stats_probe(rs, &note, note.at_us - 10, ISO_OUTCOME_CONNECT, &health, false);
	}
	assert_int_equal(rs->health.state, ISO_HEALTH_DOWN);
}

/* What is kept of routes: number 2 alone. */
static struct iso_track_stats *track_of(struct iso_region_stats *rs, struct iso_track_stats *tracks[])
{
	tracks[1] = malloc(sizeof(*tracks[1]));
	assert_non_null(tracks[1]);
	iso_track_stats_init(tracks[1], 0);
	rs->tracks = tracks;
	return tracks[1];
}

static void ok_by(struct iso_region_stats *rs, uint8_t track, uint32_t us, uint64_t now_us)
{
	struct iso_sample s = { .start_us = now_us - us,
				.end_us = now_us,
				.status = 200,
				.ttfb_us = us,
				.outcome = ISO_OUTCOME_OK,
				.track = track };

	iso_region_stats_sample(rs, &s);
	s.kind = ISO_SAMPLE_TOTAL;
	s.us = 2 * us;
	iso_region_stats_sample(rs, &s);
}

static void test_a_route_has_its_own(void **state)
{
	struct iso_track_stats *tracks[ISO_TRACK_SLOTS] = { NULL };
	struct iso_region_stats *rs = *state;
	struct iso_track_stats *ts = track_of(rs, tracks);
	struct iso_window_sums sums;

	for (uint64_t i = 0; i < 50; i++) {
		ok_by(rs, 0, 20000, 10 * second + i * 10000);
		ok_by(rs, 2, 400000, 10 * second + i * 10000);
		ok_by(rs, 1, 20000, 10 * second + i * 10000); /* nothing is kept of that one */
		ok_by(rs, 200, 20000, 10 * second + i * 10000);
	}
	assert_in_range(iso_estimate_us(&ts->estimate), 399000, 401000);
	assert_true(iso_estimate_us(&rs->estimate) < 200000);
	iso_window_sum(&ts->window, 11 * second, &sums);
	assert_int_equal(sums.good, 50);
	assert_in_range(sums.p99_us, 392000, 408000);
	iso_window_sum(&ts->totals, 11 * second, &sums);
	assert_in_range(sums.p50_us, 784000, 816000);
	iso_window_sum(&rs->totals, 11 * second, &sums);
	assert_int_equal(sums.good, 200);
	free(ts);
}

/* A failure is the region's and the route's; another route's is not. */
static void test_a_failure_is_its_routes_too(void **state)
{
	static const enum iso_outcome outcomes[] = { ISO_OUTCOME_RESET, ISO_OUTCOME_TIMEOUT,
						     ISO_OUTCOME_STATUS };
	struct iso_track_stats *tracks[ISO_TRACK_SLOTS] = { NULL };
	struct iso_region_stats *rs = *state;
	struct iso_track_stats *ts = track_of(rs, tracks);
	struct iso_window_sums sums;
	uint32_t usual_us;

	for (uint64_t i = 0; i < 50; i++)
		ok_by(rs, 2, 20000, 10 * second + i * 10000);
	usual_us = iso_estimate_usual_us(&ts->estimate);
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		uint32_t before_us = iso_estimate_us(&ts->estimate),
			 of_all_us = iso_estimate_us(&rs->estimate);
		struct iso_sample s = { .start_us = 11 * second,
					.end_us = 11 * second + 2000,
					.outcome = (uint8_t)outcomes[i],
					.fault = ISO_FAULT_REGION,
					.status = outcomes[i] == ISO_OUTCOME_STATUS ? 503 : 0,
					.ttfb_us = outcomes[i] == ISO_OUTCOME_STATUS ? 2000 : 0 };

		iso_region_stats_sample(rs, &s);
		assert_int_equal(iso_estimate_us(&ts->estimate), before_us);
		s.track = 2;
		iso_region_stats_sample(rs, &s);
		/* The third is one more of two in a row, which have counted in full. */
		assert_true(iso_estimate_us(&ts->estimate) > before_us || i == 2);
		assert_true(iso_estimate_us(&rs->estimate) >= of_all_us);
		assert_int_equal(iso_estimate_usual_us(&ts->estimate), usual_us);
	}
	assert_true(iso_estimate_us(&ts->estimate) >= second);
	iso_window_sum(&ts->window, 12 * second, &sums);
	assert_int_equal(sums.bad, 3);
	free(ts);
}

/* Nobody knows how long a route takes where it was never answered: that it took longer ejects nobody. */
static void test_a_route_that_was_never_answered(void **state)
{
	struct iso_track_stats *tracks[ISO_TRACK_SLOTS] = { NULL };
	struct iso_region_stats *rs = *state;
	struct iso_track_stats *ts = track_of(rs, tracks);
	struct iso_sample s = { .start_us = 10 * second,
				.end_us = 11 * second,
				.outcome = ISO_OUTCOME_TIMEOUT,
				.fault = ISO_FAULT_REGION,
				.track = 2 };

	ok(rs, 9 * second, 20000);
	for (int i = 0; i < 10; i++)
		iso_region_stats_sample(rs, &s);
	assert_null(rs->wish);
	assert_int_equal(rs->estimate.struck_us, 0);
	assert_true(iso_estimate_us(&ts->estimate) >= second);
	ok_by(rs, 2, 900000, 12 * second);
	for (int i = 0; i < 10; i++)
		iso_region_stats_sample(rs, &s);
	assert_non_null(rs->wish);
	free(ts);
}

/* What a slow route takes is normal, though it is a hundred times what the region does: it lifts a suspicion.
 */
static void test_normal_by_its_route(void **state)
{
	struct iso_track_stats *tracks[ISO_TRACK_SLOTS] = { NULL };
	struct iso_region_stats *rs = *state;
	struct iso_track_stats *ts = track_of(rs, tracks);

	ok(rs, 10 * second, 20000);
	silence(rs, 20 * second, 0, 20 * second + 200000);
	assert_true(rs->suspect_us != 0);
	ts->usual_us = 20000;
	ok_by(rs, 2, 2000000, 25 * second);
	assert_true(rs->suspect_us != 0);
	ts->usual_us = 2000000;
	ok_by(rs, 2, 2000000, 25 * second);
	assert_int_equal(rs->suspect_us, 0);
	free(ts);
}

/* What waits by its route's time is in no worker's oldest_us; overdue it counts as silence does. */
static void test_overdue_by_its_route(void **state)
{
	struct iso_region_stats *rs = *state;
	struct iso_cell_view waits = { 0, 20 * second, 1, 0 }, overdue = { 0, 20 * second, 1, 20 * second };
	struct iso_cell_view both[2] = { overdue, { 0, 21 * second, 1, 0 } };

	ok(rs, 10 * second, 20000);
	iso_region_stats_cells(rs, &waits, 1, 21 * second);
	assert_int_equal(rs->suspect_us, 0);
	iso_region_stats_cells(rs, both, 2, 21 * second);
	assert_int_equal(rs->suspect_us, 0); /* the other worker hears from it */
	iso_region_stats_cells(rs, &overdue, 1, 21 * second);
	assert_int_equal(rs->suspect_us, 21 * second);
	assert_int_equal(rs->silent_us, second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good_answers),
		TEST(test_a_route_has_its_own),
		TEST(test_a_failure_is_its_routes_too),
		TEST(test_a_route_that_was_never_answered),
		TEST(test_normal_by_its_route),
		TEST(test_overdue_by_its_route),
		TEST(test_client_faults_say_nothing),
		TEST(test_our_own_limits_and_graceful_ends_say_nothing),
		TEST(test_one_dead_connection_ejects_nobody),
		TEST(test_failures_wish_it_out),
		TEST(test_throttles_do_not_eject),
		TEST(test_a_quota_is_no_failure),
		TEST(test_slow_probes_of_a_region_that_answers),
		TEST(test_a_region_that_refuses_everything),
		TEST(test_retry_after_of_a_429),
		TEST(test_silence_after_a_429),
		TEST(test_what_set_out_before_the_return_is_no_news),
		TEST(test_cancelled_counts_its_age),
		TEST(test_suspicion_needs_silence_everywhere),
		TEST(test_suspicion_is_lifted_by_a_normal_answer),
		TEST(test_a_probe_lifts_or_confirms),
		TEST(test_slow_probes_can_be_normal),
		TEST(test_uplink_excuses_failed_connects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
