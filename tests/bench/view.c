/*
 * What a pick looks at: the view of five regions, filled from a board as a worker does it, of a route without
 * and with numbers of its own. Prints nanoseconds; exits with 1 when one of them costs more than the pick
 * may.
 */
#include <stdio.h>
#include <stdlib.h>

#include "iso/base/clock.h"
#include "iso/upstream/view.h"

enum { REGIONS = 5, VIEWS = 2 * 1000 * 1000, ROUNDS = 5, BAR_NS = 100 };

static void fill(const struct iso_board *board, const struct iso_cfg_route *route, struct iso_view *view)
{
	iso_view_init(view, REGIONS);
	for (uint32_t i = 0; i < REGIONS; i++) {
		const struct iso_cfg_region *region = &route->service->regions[i];

		iso_view_add(view, i, region, &board->regions[region->slot]);
	}
	if (route->track != NULL)
		(void)iso_view_track(view, route, iso_board_track(board, route->track->number), true);
}

/* The best of some rounds: the machine is shared. */
static double measure(const struct iso_board *board, const struct iso_cfg_route *route)
{
	double best_ns = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t began_us = iso_clock_mono_us();
		struct iso_view view;
		double ns;

		for (int i = 0; i < VIEWS; i++) {
			fill(board, route, &view);
			__asm__ volatile("" : : "r"(&view), "r"(board), "r"(route) : "memory");
		}
		ns = (double)(iso_clock_mono_us() - began_us) * 1000 / VIEWS;
		best_ns = ns < best_ns ? ns : best_ns;
	}
	return best_ns;
}

int main(void)
{
	struct iso_board *board = calloc(1, sizeof(*board) + sizeof(board->tracks[0]));
	static struct iso_cfg_service service = { .region_count = REGIONS };
	static const struct iso_cfg_track track = { .number = 1 };
	struct iso_cfg_route route = { .service = &service };
	double without_ns, with_ns;

	if (board == NULL)
		return EXIT_FAILURE;
	board->track_count = 1;
	board->tracks[0].lane_count = REGIONS;
	for (uint32_t i = 0; i < REGIONS; i++) {
		service.regions[i].slot = i;
		board->regions[i].up = true;
		board->tracks[0].lanes[i] = (struct iso_board_lane){ ISO_WEIGHT_ONE, 20000, 20000, 0, i };
	}
	without_ns = measure(board, &route);
	route.track = &track;
	with_ns = measure(board, &route);
	free(board);
	printf("view, %d regions: %.1f ns, of a route with numbers of its own: %.1f ns\n", REGIONS,
	       without_ns, with_ns);
	return without_ns < BAR_NS && with_ns < BAR_NS ? EXIT_SUCCESS : EXIT_FAILURE;
}
