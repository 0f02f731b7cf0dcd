/*
 * See view.h. Any thread.
 */
#include "iso/upstream/view.h"

/* A view is half a KiB, most of it room for 16 regions and for `sticky`: clearing it whole costs a pick more
 * than the pick itself. */
void iso_view_init(struct iso_view *view, uint32_t n)
{
	view->n = n;
	view->allowed = view->up = view->suspect = view->tried = view->full = view->trial = 0;
	view->lacking = view->warned = view->explore = view->wary = view->held = 0;
	view->client.placed = view->client.keyed = false;
	view->client.home = 0;
}

void iso_view_add(struct iso_view *view, uint32_t i, const struct iso_cfg_region *region,
		  const struct iso_board_region *board)
{
	uint16_t bit = (uint16_t)(1u << i);

	view->c[i] = (struct iso_candidate){
		.weight = board->weight,
		.cfg_weight = region->weight,
		.ramp = board->ramp,
		.priority = region->priority,
	};
	view->estimate_us[i] = board->estimate_us;
	if (!board->drained)
		view->allowed |= bit;
	if (board->up)
		view->up |= bit;
}

bool iso_view_track(struct iso_view *view, const struct iso_cfg_route *route,
		    const struct iso_board_track *track, bool safe)
{
	const struct iso_cfg_region *regions = route->service->regions;

	if (track == NULL || track->lane_count != view->n)
		return false;
	/* The board may be a step ahead of the caller's file, or behind it. */
	for (uint32_t i = 0; i < view->n; i++)
		if (track->lanes[i].slot != regions[i].slot)
			return false;
	for (uint32_t i = 0; i < view->n; i++) {
		view->c[i].weight = track->lanes[i].weight;
		view->estimate_us[i] = track->lanes[i].estimate_us;
	}
	if (safe)
		view->explore |= track->unmeasured;
	return true;
}

void iso_view_require(struct iso_view *view, const struct iso_board_region *const boards[],
		      const struct iso_cfg_route *route, struct iso_slice path)
{
	uint64_t broken[ISO_VIEW_MAX];

	for (uint32_t i = 0; i < view->n; i++) {
		const struct iso_board_region *board = boards[i];
		enum iso_dependency_state state = board->affected != NULL
							  ? iso_affected_state(board->affected, path)
							  : ISO_DEPENDENCY_PASS;

		broken[i] = board->broken & route->requires_mask;
		if (state == ISO_DEPENDENCY_FAIL)
			broken[i] |= ISO_DEPENDENCY_OF_PATH;
		if (board->warned || (board->uneasy & route->requires_mask) != 0 ||
		    state == ISO_DEPENDENCY_WARN)
			view->warned |= (uint16_t)(1u << i);
	}
	view->lacking = iso_requirement_lacking(broken, view->n, view->allowed & view->up,
						route->requires_mask | ISO_DEPENDENCY_OF_PATH);
}
