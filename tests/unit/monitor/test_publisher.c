/*
 * Evidence in, board and reports out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rig.h"

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig_init(rig, false);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_done(*state);
	free(*state);
	return 0;
}

static bool resolved(struct rig *rig)
{
	return iso_publisher_names(rig->pub, 0) == ISO_SLOT_RESOLVED &&
	       iso_publisher_names(rig->pub, 1) == ISO_SLOT_RESOLVED;
}

static const struct iso_board *board(struct rig *rig)
{
	return atomic_load(&rig->stand.shared.current);
}

static void test_publishes_at_once_and_resolves(void **state)
{
	struct rig *rig = *state;

	assert_true(board(rig)->version > 1);
	assert_true(board(rig)->regions[0].up);
	assert_false(board(rig)->regions[2].up);
	assert_int_equal(iso_publisher_names(rig->pub, 0), ISO_SLOT_WAITS);
	assert_true(rig_until(rig, resolved));
	assert_int_equal(board(rig)->regions[1].endpoint_count, 1);
	assert_true(board(rig)->regions[1].endpoints[0].usable);
	assert_int_equal(ntohs(board(rig)->regions[1].endpoints[0].addr.u.v4.sin_port), rig->servers[1].port);
}

static void test_latency_makes_weights_and_shares(void **state)
{
	struct rig *rig = *state;
	struct iso_region_report a, b;

	for (int i = 0; i < 100; i++) {
		rig_push(rig, 0, ISO_OUTCOME_OK, 20000);
		rig_push(rig, 1, ISO_OUTCOME_OK, 40000);
	}
	iso_publisher_run_now(rig->pub);
	assert_int_equal(board(rig)->regions[0].weight, ISO_WEIGHT_ONE);
	assert_in_range(board(rig)->regions[1].weight, 3320, 3335); /* a twentieth */
	assert_in_range(board(rig)->regions[1].estimate_us, 39990, 40010);
	a = rig_region(rig, 0);
	b = rig_region(rig, 1);
	assert_true(a.share > 0.95 && a.share < 0.953);
	assert_true(a.share + b.share > 0.9999 && a.share + b.share < 1.0001);
	assert_int_equal(a.ttfb.good, 100);
	assert_in_range(a.ttfb.p99_us, 19600, 20400);
	assert_int_equal(a.outcomes[ISO_OUTCOME_OK], 100);
	assert_int_equal(a.state, ISO_REGION_HEALTHY);
	assert_null(a.words);
	assert_string_equal(iso_region_state_text(a.state), "healthy");
}

static void test_ejection_is_published_at_once(void **state)
{
	struct rig *rig = *state;
	struct iso_region_report a;

	for (int i = 0; i < 3; i++)
		rig_push(rig, 0, ISO_OUTCOME_RESET, 1000);
	iso_publisher_run_now(rig->pub);
	assert_false(board(rig)->regions[0].up);
	assert_int_equal(board(rig)->regions[0].state, ISO_REGION_EJECTED);
	a = rig_region(rig, 0);
	assert_true(a.share == 0);
	assert_non_null(a.words);
	assert_true(a.ejected_until_us > rig->loop.now_us);
	/* The other one fails, too: it stays. */
	for (int i = 0; i < 30; i++)
		rig_push(rig, 1, ISO_OUTCOME_RESET, 1000);
	iso_publisher_run_now(rig->pub);
	assert_true(board(rig)->regions[1].up);
	assert_false(iso_publisher_fails_open(rig->pub, 0));
}

static void test_uplink(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 3; i++)
		rig_push(rig, 0, ISO_OUTCOME_CONNECT, 1000);
	for (int i = 0; i < 3; i++)
		rig_push(rig, 1, ISO_OUTCOME_CONNECT, 1000);
	iso_publisher_run_now(rig->pub);
	assert_true(iso_publisher_uplink_down(rig->pub));
	assert_true(board(rig)->uplink_down);
	assert_true(board(rig)->regions[0].up && board(rig)->regions[1].up);
}

static void test_drain(void **state)
{
	struct rig *rig = *state;
	struct iso_region_report a, b;

	rig->registry.slots[0].drained = true;
	iso_publisher_run_now(rig->pub);
	assert_true(board(rig)->regions[0].drained);
	assert_false(board(rig)->regions[0].up);
	a = rig_region(rig, 0);
	b = rig_region(rig, 1);
	assert_int_equal(a.state, ISO_REGION_DRAINED);
	assert_true(a.share == 0);
	assert_true(b.share > 0.999);
	rig->registry.slots[1].drained = true;
	iso_publisher_run_now(rig->pub);
	assert_true(iso_publisher_fails_open(rig->pub, 0));
	assert_true(rig_region(rig, 1).share == 0); /* drained ones are never used */
}

static void test_silence_in_a_cell(void **state)
{
	struct rig *rig = *state;
	struct iso_cell *cell = &rig->worker.cells[1];

	rig_push(rig, 1, ISO_OUTCOME_OK, 20000);
	iso_publisher_run_now(rig->pub);
	atomic_store(&cell->oldest_us, rig->loop.now_us - 300000);
	atomic_store(&cell->waiting, 1);
	atomic_store(&cell->in_flight, 4);
	atomic_store(&cell->connections, 2);
	iso_publisher_run_now(rig->pub);
	assert_true(board(rig)->regions[1].suspect);
	assert_true(board(rig)->regions[1].up);
	assert_int_equal(rig_region(rig, 1).in_flight, 4);
	assert_int_equal(rig_region(rig, 1).connections, 2);
	assert_true(rig_region(rig, 1).suspect);
	/* A wait that has just ended is not silence. */
	atomic_store(&rig->worker.cells[0].waiting, 1);
	iso_publisher_run_now(rig->pub);
	assert_false(board(rig)->regions[0].suspect);
}

static void test_samples_of_strange_slots(void **state)
{
	struct rig *rig = *state;

	rig_push(rig, ISO_REGION_SLOTS - 1, ISO_OUTCOME_OK, 1000);
	rig_push(rig, UINT16_MAX, ISO_OUTCOME_RESET, 1000);
	rig_push(rig, 0, (enum iso_outcome)200, 1000);
	iso_publisher_run_now(rig->pub);
	assert_false(iso_publisher_region(rig->pub, ISO_REGION_SLOTS - 1, &(struct iso_region_report){ 0 }));
	assert_false(iso_publisher_region(rig->pub, UINT32_MAX, &(struct iso_region_report){ 0 }));
	assert_true(board(rig)->regions[0].up);
}

/* A reload that keeps a region keeps what was learnt; another region in its slot begins anew. */
static void test_rebinding(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 10; i++) {
		rig_push(rig, 0, ISO_OUTCOME_OK, 20000);
		rig_push(rig, 1, ISO_OUTCOME_OK, 20000);
	}
	iso_publisher_run_now(rig->pub);
	rig->service.regions[1].identity = ISO_SLICE("another");
	assert_int_equal(iso_publisher_bind(rig->pub, rig->snapshot), ISO_OK);
	assert_in_range(rig_region(rig, 0).estimate_us, 19990, 20010);
	assert_int_equal(rig_region(rig, 1).estimate_us, 0);
	assert_int_equal(rig_region(rig, 1).outcomes[ISO_OUTCOME_OK], 0);
	assert_int_equal(rig_region(rig, 1).state, ISO_REGION_UNKNOWN);
	rig->service.region_count = 1;
	assert_int_equal(iso_publisher_bind(rig->pub, rig->snapshot), ISO_OK);
	assert_false(iso_publisher_region(rig->pub, 1, &(struct iso_region_report){ 0 }));
	assert_false(board(rig)->regions[1].up);
	rig->service.region_count = 2;
}

/* Region 0 takes 20 ms, but for the route, which takes 300 there and 30 in region 1. */
static void learn(struct rig *rig)
{
	for (int i = 0; i < 100; i++) {
		rig_push(rig, 0, ISO_OUTCOME_OK, 20000);
		rig_push(rig, 1, ISO_OUTCOME_OK, 40000);
		rig_push_by(rig, 1, 0, 300000);
		rig_push_by(rig, 1, 1, 30000);
	}
	iso_publisher_run_now(rig->pub);
}

static void test_a_route_of_its_own(void **state)
{
	struct rig *rig = *state;
	const struct iso_board_track *track;
	struct iso_track_report report;
	struct iso_view view;

	assert_int_equal(board(rig)->track_count, 0);
	assert_null(iso_board_track(board(rig), 1));
	rig_measure(rig, "s/1");
	assert_int_equal(rig->snapshot->tracks[0].number, 1);
	track = iso_board_track(board(rig), 1);
	assert_non_null(track);
	assert_int_equal(track->lane_count, 2);
	assert_false(rig_track(rig).lanes[0].own);
	learn(rig);
	track = iso_board_track(board(rig), 1);
	assert_int_equal(track->lanes[1].weight, ISO_WEIGHT_ONE);
	assert_in_range(track->lanes[0].weight, 0, 10);
	assert_in_range(track->lanes[0].usual_us, 299000, 301000);
	assert_int_equal(track->lanes[0].hedge_us, 0);
	assert_int_equal(track->lanes[1].slot, 1);
	report = rig_track(rig);
	assert_true(report.lanes[0].own && report.lanes[1].own);
	assert_true(report.lanes[1].share > 0.99);
	assert_int_equal(report.lanes[0].ttfb.good, 100);
	assert_in_range(report.lanes[1].ttfb.p95_us, 29400, 30600);
	assert_in_range(report.lanes[1].estimate_us, 29990, 30010);
	iso_publisher_view(rig->pub, &rig->route, ISO_SLICE("/"), &view);
	assert_int_equal(view.c[0].weight, track->lanes[0].weight);
	assert_int_equal(view.estimate_us[1], track->lanes[1].estimate_us);
	rig->route.track = NULL;
	assert_false(iso_publisher_track(rig->pub, &rig->route, &report));
}

static void test_hedges_after_the_routes_percentile(void **state)
{
	struct rig *rig = *state;

	rig->service.hedge.after = ISO_HEDGE_P99;
	rig_measure(rig, "s/1");
	rig->route.hedge.after = ISO_HEDGE_P99;
	rig->loop.now_us += 2000000;
	for (int i = 0; i < 30; i++)
		rig_push(rig, 0, ISO_OUTCOME_OK, 20000);
	iso_publisher_run_now(rig->pub);
	assert_in_range(iso_board_track(board(rig), 1)->lanes[0].hedge_us, 19600, 20400); /* as all */
	rig->loop.now_us += 2000000;
	for (int i = 0; i < 30; i++)
		rig_push_by(rig, 1, 0, 300000);
	iso_publisher_run_now(rig->pub);
	assert_in_range(iso_board_track(board(rig), 1)->lanes[0].hedge_us, 294000, 306000);
}

static void test_a_routes_numbers_outlive_a_reload(void **state)
{
	struct rig *rig = *state;

	rig_measure(rig, "s/1");
	learn(rig);
	rig_measure(rig, "s/1");
	assert_int_equal(rig_track(rig).lanes[0].ttfb.good, 100);
	/* Another region in its slot: the route is new there. */
	rig->service.regions[1].identity = ISO_SLICE("another");
	assert_int_equal(iso_publisher_bind(rig->pub, rig->snapshot), ISO_OK);
	assert_true(rig_track(rig).lanes[0].own);
	assert_false(rig_track(rig).lanes[1].own);
	/* Another route, and the first one again: its slot was kept for one reload. */
	rig_measure(rig, "s/2");
	assert_int_equal(rig->snapshot->tracks[0].number, 2);
	assert_false(rig_track(rig).lanes[0].own);
	assert_null(iso_board_track(board(rig), 1));
	rig_measure(rig, "s/1");
	assert_true(rig_track(rig).lanes[0].own);
	rig_measure(rig, "s/3");
	rig_measure(rig, "s/4");
	rig_measure(rig, "s/1");
	assert_false(rig_track(rig).lanes[0].own);
	/* No route at all: late samples of one that has gone harm nobody. */
	rig->snapshot->track_count = 0;
	assert_int_equal(iso_publisher_bind(rig->pub, rig->snapshot), ISO_OK);
	rig_push_by(rig, 1, 0, 300000);
	rig_push_by(rig, 77, 0, 300000);
	iso_publisher_run_now(rig->pub);
	assert_int_equal(board(rig)->track_count, 0);
}

static bool ticked(struct rig *rig)
{
	return board(rig)->version > 6;
}

static void test_publishes_by_itself(void **state)
{
	assert_true(rig_until(*state, ticked));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_publishes_at_once_and_resolves),
		TEST(test_latency_makes_weights_and_shares),
		TEST(test_ejection_is_published_at_once),
		TEST(test_uplink),
		TEST(test_drain),
		TEST(test_silence_in_a_cell),
		TEST(test_samples_of_strange_slots),
		TEST(test_rebinding),
		TEST(test_a_route_of_its_own),
		TEST(test_hedges_after_the_routes_percentile),
		TEST(test_a_routes_numbers_outlive_a_reload),
		TEST(test_publishes_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
