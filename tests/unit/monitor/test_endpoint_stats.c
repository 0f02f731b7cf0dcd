/*
 * One address of several: its failures and its slowness are its own, the region goes on by the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/net/resolver.h"
#include "region_stats_priv.h"

enum { MS = 1000, SECOND = 1000 * 1000, THRESHOLD = 2 };

static const struct iso_cfg_health health = { .healthy_threshold = THRESHOLD, .unhealthy_threshold = 3 };

static struct iso_region_stats *rs;
static struct iso_board_region board;
static uint64_t now_us;

static void name(uint32_t index, const char *address)
{
	assert_int_equal(iso_sockaddr_parse(address, 443, &board.endpoints[index].addr), ISO_OK);
	board.endpoints[index].usable = board.endpoints[index].fresh = true;
}

static int setup(void **state)
{
	(void)state;
	rs = calloc(1, sizeof(*rs));
	assert_non_null(rs);
	iso_region_stats_init(rs);
	memset(&board, 0, sizeof(board));
	board.endpoint_count = 2;
	board.endpoints_epoch = 1;
	name(0, "192.0.2.1");
	name(1, "192.0.2.2");
	iso_endpoint_stats_bind(&rs->endpoints, &board);
	now_us = 100 * (uint64_t)SECOND;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(rs);
	return 0;
}

static struct iso_sample sample_of(int endpoint, uint32_t us, enum iso_outcome outcome)
{
	return (struct iso_sample){ .start_us = now_us - us,
				    .end_us = now_us,
				    .endpoint = endpoint < 0 ? ISO_ENDPOINT_NONE : (uint8_t)endpoint,
				    .endpoints_epoch = board.endpoints_epoch,
				    .outcome = (uint8_t)outcome };
}

static void ok(int endpoint, uint32_t us)
{
	struct iso_sample s = sample_of(endpoint, us, ISO_OUTCOME_OK);

	s.status = 200;
	s.ttfb_us = us;
	iso_region_stats_sample(rs, &s);
	now_us += 2 * MS;
}

static void bad(int endpoint, enum iso_outcome outcome)
{
	struct iso_sample s = sample_of(endpoint, 2 * MS, outcome);

	s.fault = ISO_FAULT_REGION;
	s.status = outcome == ISO_OUTCOME_STATUS ? 503 : 0;
	iso_region_stats_sample(rs, &s);
	now_us += 2 * MS;
}

/* Judges the addresses and looks at what the board would say. */
static const struct iso_board_endpoint *look(uint32_t endpoint)
{
	static struct iso_board_region shown;
	struct iso_endpoint_judge judge = { .now_us = now_us, .healthy_threshold = THRESHOLD };

	iso_endpoint_stats_judge(&rs->endpoints, &judge, &rs->estimate);
	shown = board;
	iso_endpoint_stats_fill(&rs->endpoints, &shown);
	return &shown.endpoints[endpoint];
}

static void warm(uint32_t us)
{
	for (int i = 0; i < 200; i++)
		ok(i % 2, us);
}

static void test_one_bad_address_is_ejected_and_the_region_is_not(void **state)
{
	static const enum iso_outcome outcomes[] = { ISO_OUTCOME_CONNECT, ISO_OUTCOME_RESET,
						     ISO_OUTCOME_TIMEOUT, ISO_OUTCOME_STATUS };

	for (size_t k = 0; k < sizeof(outcomes) / sizeof(outcomes[0]); k++) {
		uint32_t before_us;

		if (k > 0) {
			teardown(state);
			setup(state);
		}
		warm(20 * MS);
		before_us = iso_estimate_us(&rs->estimate);
		for (int i = 0; i < 5; i++) {
			assert_null(rs->wish);
			bad(0, outcomes[k]);
		}
		assert_null(rs->wish);
		assert_true(look(0)->ejected);
		assert_false(look(0)->usable);
		assert_true(look(1)->usable);
		/* What it owed is gone with it. */
		assert_in_range(iso_estimate_us(&rs->estimate), before_us, before_us + 1);
		for (int i = 0; i < 20; i++)
			bad(0, outcomes[k]); /* of requests that were under way */
		assert_null(rs->wish);
		assert_in_range(iso_estimate_us(&rs->estimate), before_us, before_us + 1);
	}
}

static void test_both_failing_eject_the_region(void **state)
{
	(void)state;
	warm(20 * MS);
	bad(0, ISO_OUTCOME_RESET);
	bad(0, ISO_OUTCOME_RESET);
	assert_null(rs->wish);
	bad(1, ISO_OUTCOME_RESET);
	assert_non_null(rs->wish);
	assert_true(iso_estimate_us(&rs->estimate) > 30 * MS); /* what was held counts as well */
}

/* The one that is left carries the region: its failures are the region's, and it is never ejected. */
static void test_the_last_address(void **state)
{
	(void)state;
	warm(20 * MS);
	for (int i = 0; i < 3; i++)
		bad(0, ISO_OUTCOME_RESET);
	assert_true(look(0)->ejected);
	ok(1, 20 * MS);
	for (int i = 0; i < 3; i++)
		bad(1, ISO_OUTCOME_RESET);
	assert_non_null(rs->wish);
	assert_false(look(1)->ejected);
	/* DNS takes it away: the other one has to do. */
	board.endpoints[1].usable = false;
	iso_endpoint_stats_bind(&rs->endpoints, &board);
	assert_true(look(0)->usable);
}

static void test_a_failure_of_an_unknown_address_is_the_regions(void **state)
{
	(void)state;
	warm(20 * MS);
	for (int i = 0; i < 3; i++)
		bad(-1, ISO_OUTCOME_CONNECT);
	assert_non_null(rs->wish);
	assert_false(look(0)->ejected || look(1)->ejected);
}

/* A failure now and then is neither: it is the region's, once the address has answered well again. */
static void test_failures_between_good_answers_are_charged(void **state)
{
	uint32_t before_us;

	(void)state;
	warm(20 * MS);
	before_us = iso_estimate_us(&rs->estimate);
	for (int i = 0; i < 20; i++) {
		bad(0, ISO_OUTCOME_STATUS);
		ok(0, 20 * MS);
		ok(1, 20 * MS);
	}
	assert_true(iso_estimate_us(&rs->estimate) > before_us + 50 * MS);
	assert_null(rs->wish);
}

/* So it is of its route's own numbers: held while the address alone may be the cause, then charged. */
static void test_they_are_charged_to_their_route_too(void **state)
{
	struct iso_track_stats *tracks[ISO_TRACK_SLOTS] = { NULL };
	struct iso_sample s;
	uint32_t before_us;

	(void)state;
	tracks[4] = malloc(sizeof(*tracks[4]));
	assert_non_null(tracks[4]);
	iso_track_stats_init(tracks[4], 0);
	rs->tracks = tracks;
	warm(20 * MS);
	iso_track_stats_good(tracks[4], 20 * MS, &rs->estimate, now_us);
	before_us = iso_estimate_us(&tracks[4]->estimate);
	s = sample_of(0, 2 * MS, ISO_OUTCOME_STATUS);
	s.fault = ISO_FAULT_REGION;
	s.status = 503;
	s.track = 5;
	iso_region_stats_sample(rs, &s);
	assert_int_equal(iso_estimate_us(&tracks[4]->estimate), before_us);
	ok(0, 20 * MS);
	assert_true(iso_estimate_us(&tracks[4]->estimate) > before_us);
	rs->tracks = NULL;
	free(tracks[4]);
}

static void test_a_slower_address(void **state)
{
	(void)state;
	warm(20 * MS);
	assert_false(look(0)->slower || look(1)->slower);
	for (int i = 0; i < 5; i++)
		ok(0, 220 * MS);
	assert_true(look(0)->slower);
	assert_false(look(1)->slower);
	assert_true(look(0)->usable);
	for (int i = 0; i < 120; i++)
		ok(0, 220 * MS); /* still under way: not what a new request would see */
	assert_in_range(look(0)->estimate_us, 100 * MS, 230 * MS);
	assert_true(iso_estimate_us(&rs->estimate) < 40 * MS);
	assert_int_equal(iso_endpoint_stats_wanting(&rs->endpoints), 0);
	assert_int_equal(iso_endpoint_stats_wanting(&rs->endpoints), 0);
}

static bool probe(uint32_t endpoint, bool passed, uint32_t us)
{
	struct iso_sample s = sample_of((int)endpoint, us, passed ? ISO_OUTCOME_OK : ISO_OUTCOME_CONNECT);

	s.ttfb_us = us;
	s.probe = true;
	now_us += 300 * MS;
	return iso_endpoint_stats_probe(&rs->endpoints, (int)endpoint, &s, passed,
					health.unhealthy_threshold);
}

/* Its own probes bring it back, and each time it fails too soon after that it stays out for longer. */
static void test_the_way_back(void **state)
{
	uint64_t first_us = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		uint64_t out_us;

		warm(20 * MS);
		for (int i = 0; i < 3; i++)
			bad(0, ISO_OUTCOME_RESET);
		assert_true(look(0)->ejected);
		out_us = rs->endpoints.v[0].outlier.until_us - now_us;
		assert_true(out_us > first_us * 3 / 2);
		first_us = out_us;
		assert_int_equal(iso_endpoint_stats_wanting(&rs->endpoints), 0);
		(void)probe(0, false, 20 * MS);
		for (int i = 0; i < 100 && look(0)->ejected; i++)
			(void)probe(0, true, 20 * MS);
		assert_true(look(0)->usable);
		assert_false(look(0)->slower);
	}
}

/* A probe of the region that one address failed is asked of another one before it counts. */
static void test_probes_fail_at_one_address(void **state)
{
	(void)state;
	warm(20 * MS);
	assert_int_equal(iso_endpoint_stats_sound(&rs->endpoints), -1);
	assert_true(probe(0, false, MS));
	assert_int_equal(iso_endpoint_stats_sound(&rs->endpoints), 1);
	assert_int_equal(iso_endpoint_stats_wanting(&rs->endpoints), 0);
	assert_false(probe(1, false, MS)); /* both: the region */
	assert_false(probe(1, true, 20 * MS));
	assert_true(probe(0, false, MS));
	assert_true(probe(0, false, MS));
	assert_true(look(0)->ejected);
	assert_int_equal(iso_endpoint_stats_sound(&rs->endpoints), -1);
}

static void link_event(uint32_t endpoint, enum iso_sample_kind kind, uint32_t serial, uint32_t us)
{
	struct iso_sample s = sample_of((int)endpoint, us, ISO_OUTCOME_CONNECT);

	s.kind = (uint8_t)kind;
	s.conn = serial;
	s.us = us;
	s.connect_us = us;
	s.tls_us = 2 * us;
	iso_region_stats_sample(rs, &s);
	now_us += MS;
}

/* A dead address shows without a request being lost. */
static void test_connections_that_fail_idle(void **state)
{
	(void)state;
	warm(20 * MS);
	for (uint32_t i = 1; i <= 3; i++)
		for (int again = 0; again < 3; again++)
			link_event(0, ISO_SAMPLE_LINK_DOWN, i, MS);
	assert_null(rs->wish);
	assert_true(look(0)->ejected);
	assert_int_equal(rs->outlier.transport_run, 0);
}

static void test_round_trips_and_handshakes(void **state)
{
	struct iso_window_sums sums;

	(void)state;
	assert_int_equal(iso_endpoint_stats_rtt_us(&rs->endpoints), 0);
	link_event(0, ISO_SAMPLE_LINK_UP, 1, 30 * MS);
	link_event(1, ISO_SAMPLE_LINK_UP, 2, 10 * MS);
	assert_int_equal(iso_endpoint_stats_rtt_us(&rs->endpoints), 10 * MS);
	for (int i = 0; i < 50; i++)
		link_event(1, ISO_SAMPLE_RTT, 0, 12 * MS);
	assert_in_range(look(1)->rtt_us, 11 * MS, 12 * MS);
	assert_int_equal(look(0)->rtt_us, 30 * MS);
	assert_int_equal(look(0)->estimate_us, 0); /* the application has not been measured by it */
	iso_window_sum(&rs->connects, now_us, &sums);
	assert_int_equal(sums.good, 2);
	iso_window_sum(&rs->handshakes, now_us, &sums);
	assert_in_range(sums.p99_us, 59 * MS, 61 * MS);
}

/* What is known goes with the address; a sample that means an index of before says nothing. */
static void test_indexes_change(void **state)
{
	struct iso_sample late;

	(void)state;
	warm(20 * MS);
	for (int i = 0; i < 5; i++)
		ok(1, 220 * MS);
	for (int i = 0; i < 3; i++)
		bad(0, ISO_OUTCOME_RESET);
	assert_true(look(0)->ejected);
	late = sample_of(0, MS, ISO_OUTCOME_RESET);
	late.fault = ISO_FAULT_REGION;
	board.endpoints_epoch++;
	name(0, "192.0.2.9");
	name(1, "192.0.2.1");
	iso_endpoint_stats_bind(&rs->endpoints, &board);
	assert_false(look(0)->ejected);
	assert_true(look(1)->ejected);
	assert_int_equal(look(0)->estimate_us, 0);
	for (int i = 0; i < 2; i++)
		iso_region_stats_sample(rs, &late);
	assert_int_equal(rs->endpoints.v[0].outlier.transport_run, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_bad_address_is_ejected_and_the_region_is_not),
		TEST(test_both_failing_eject_the_region),
		TEST(test_the_last_address),
		TEST(test_a_failure_of_an_unknown_address_is_the_regions),
		TEST(test_failures_between_good_answers_are_charged),
		TEST(test_they_are_charged_to_their_route_too),
		TEST(test_a_slower_address),
		TEST(test_the_way_back),
		TEST(test_probes_fail_at_one_address),
		TEST(test_connections_that_fail_idle),
		TEST(test_round_trips_and_handshakes),
		TEST(test_indexes_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
