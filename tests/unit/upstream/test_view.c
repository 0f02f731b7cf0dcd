/*
 * What a policy sees of a route that is measured by itself: its own numbers, as long as board and file speak
 * of the same regions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/upstream/view.h"

enum { N = 2, TRACKS = 3 };

struct set {
	struct iso_board *board;
	struct iso_cfg_service service;
	struct iso_cfg_route route;
	struct iso_view view;
};

/* Two regions in slots 5 and 9; the board keeps track 3 alone. */
static int setup(void **state)
{
	struct set *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->board = calloc(1, sizeof(*s->board) + TRACKS * sizeof(s->board->tracks[0]));
	assert_non_null(s->board);
	s->board->track_count = TRACKS;
	s->board->tracks[2] = (struct iso_board_track){
		.lane_count = N, .unmeasured = 2, .lanes = { { 11, 12, 13, 14, 5 }, { 21, 22, 23, 24, 9 } }
	};
	s->service.region_count = N;
	s->service.regions[0].slot = 5;
	s->service.regions[1].slot = 9;
	s->route.service = &s->service;
	iso_view_init(&s->view, N);
	for (uint32_t i = 0; i < N; i++) {
		s->board->regions[s->service.regions[i].slot].weight = 1000 + i;
		iso_view_add(&s->view, i, &s->service.regions[i],
			     &s->board->regions[s->service.regions[i].slot]);
	}
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct set *s = *state;

	free(s->board);
	free(s);
	return 0;
}

static void test_numbers_on_the_board(void **state)
{
	struct set *s = *state;

	assert_ptr_equal(iso_board_track(s->board, 3), &s->board->tracks[2]);
	assert_null(iso_board_track(s->board, 0));
	assert_null(iso_board_track(s->board, 1)); /* nothing is kept */
	assert_null(iso_board_track(s->board, 4));
	assert_null(iso_board_track(s->board, UINT32_MAX));
	assert_ptr_equal(iso_board_lane(s->board, 3, 1, 9), &s->board->tracks[2].lanes[1]);
	assert_null(iso_board_lane(s->board, 3, 1, 5)); /* another region stands there in this file */
	assert_null(iso_board_lane(s->board, 3, 2, 0));
	assert_null(iso_board_lane(s->board, 0, 0, 5));
}

static void test_its_own_numbers(void **state)
{
	struct set *s = *state;

	assert_true(iso_view_track(&s->view, &s->route, iso_board_track(s->board, 3), false));
	assert_int_equal(s->view.c[0].weight, 11);
	assert_int_equal(s->view.c[1].weight, 21);
	assert_int_equal(s->view.estimate_us[1], 22);
	assert_int_equal(s->view.explore, 0);
	assert_true(iso_view_track(&s->view, &s->route, iso_board_track(s->board, 3), true));
	assert_int_equal(s->view.explore, 2);
}

static void unchanged(struct set *s, const struct iso_board_track *track)
{
	assert_false(iso_view_track(&s->view, &s->route, track, true));
	assert_int_equal(s->view.c[0].weight, 1000);
	assert_int_equal(s->view.c[1].weight, 1001);
	assert_int_equal(s->view.explore, 0);
}

static void test_a_board_of_another_file(void **state)
{
	struct set *s = *state;

	unchanged(s, NULL);
	s->service.regions[0].slot = 9;
	s->service.regions[1].slot = 5;
	unchanged(s, iso_board_track(s->board, 3));
	s->service.regions[0].slot = 5;
	s->service.regions[1].slot = 10;
	unchanged(s, iso_board_track(s->board, 3));
	s->service.regions[1].slot = 9;
	s->board->tracks[2].lane_count = 3;
	unchanged(s, iso_board_track(s->board, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_numbers_on_the_board),
		TEST(test_its_own_numbers),
		TEST(test_a_board_of_another_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
