/*
 * From the configuration and the board to what a policy may see. For picks on workers and for explanations on
 * the control thread, so that both see the same.
 */
#ifndef ISO_UPSTREAM_VIEW_H
#define ISO_UPSTREAM_VIEW_H

#include "iso/upstream/board.h"

/* For n regions, none in any set, and nothing known of the client. Writes not a byte that n makes
 * meaningless. */
void iso_view_init(struct iso_view *view, uint32_t n);
/* Region i of the service: its candidate, and its bits in `up` and, when not drained, `allowed`. */
void iso_view_add(struct iso_view *view, uint32_t i, const struct iso_cfg_region *region,
		  const struct iso_board_region *board);
/*
 * The route's own numbers in place of its service's regions'; after all regions were added. Whether there are
 * any; nothing has changed if not. safe: a first try of a safe request, which may be spent on measuring.
 */
bool iso_view_track(struct iso_view *view, const struct iso_cfg_route *route,
		    const struct iso_board_track *track, bool safe);
/*
 * What the route requires and where it is missing or unwell (deep health). After `allowed` and `up` are
 * complete; boards[i] is the board of region i. path: of the request, without a region's base path.
 */
void iso_view_require(struct iso_view *view, const struct iso_board_region *const boards[],
		      const struct iso_cfg_route *route, struct iso_slice path);

#endif
