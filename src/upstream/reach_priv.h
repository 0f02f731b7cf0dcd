/*
 * Which address of a region the next connection goes to: what is known of reaching each. Pure; a pool's own.
 */
#ifndef ISO_UPSTREAM_REACH_PRIV_H
#define ISO_UPSTREAM_REACH_PRIV_H

#include "iso/upstream/board.h"

struct iso_reach {
	uint64_t rests_until_us[ISO_ENDPOINTS_MAX]; /* after a failure; 0: none since it last worked */
	uint8_t failures[ISO_ENDPOINTS_MAX];        /* in a row */
	uint32_t epoch;                             /* of the indexes that this speaks of */
};

/*
 * The endpoint for a new connection, -1 when there is none: usable, not in `avoid`, not resting, not in
 * `busy` (connections to it are on the way), then of another family than the busy ones (RFC 8305 section 4),
 * then of the lowest estimate.
 */
int iso_reach_choose(struct iso_reach *reach, const struct iso_board_region *region, uint16_t avoid,
		     uint16_t busy, uint64_t now_us);
/* Whether there is one that is usable, rested, and in neither set: worth a try while others fail. */
bool iso_reach_other(struct iso_reach *reach, const struct iso_board_region *region, uint16_t avoid,
		     uint16_t busy, uint64_t now_us);
/* Connecting failed: it rests, the longer the oftener: 1 s, 2 s, … 64 s. */
void iso_reach_failed(struct iso_reach *reach, uint32_t endpoint, uint64_t now_us);
void iso_reach_worked(struct iso_reach *reach, uint32_t endpoint);

#endif
