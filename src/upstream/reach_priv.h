/*
 * Which address of a region the next connection goes to: what is known of reaching each. Pure; a pool's own.
 */
#ifndef ISO_UPSTREAM_REACH_PRIV_H
#define ISO_UPSTREAM_REACH_PRIV_H

#include "iso/upstream/board.h"

/* Follows the addresses: what is known of one is kept when its index changes. */
struct iso_reach {
	struct iso_reach_address {
		struct iso_sockaddr addr;
		uint64_t rests_until_us; /* after a failure; 0: none since it last worked */
		uint8_t failures;        /* in a row */
	} v[ISO_ENDPOINTS_MAX];
	uint32_t count, epoch; /* of the board's endpoints that v has the indexes of */
};

struct iso_reach_wish {
	uint16_t avoid, busy;
	const uint32_t *load; /* ISO_ENDPOINTS_MAX */
};

/*
 * The endpoint for a new connection, -1 when there is none: usable, not in `avoid`, not resting, not
 * slower than others, not in `busy` (connections to it are on the way), then of another family than the busy
 * ones (RFC 8305 section 4), then with the least `load` (streams by endpoint).
 */
int iso_reach_choose(struct iso_reach *reach, const struct iso_board_region *region,
		     const struct iso_reach_wish *wish, uint64_t now_us);
/* Whether there is one that is usable, rested, and in neither set: worth a try while others fail. */
bool iso_reach_other(struct iso_reach *reach, const struct iso_board_region *region, uint16_t avoid,
		     uint16_t busy, uint64_t now_us);
/* Connecting failed: it rests, the longer the oftener: 1 s, 2 s, … 64 s. */
void iso_reach_failed(struct iso_reach *reach, const struct iso_board_region *region,
		      const struct iso_sockaddr *addr, uint64_t now_us);
void iso_reach_worked(struct iso_reach *reach, const struct iso_board_region *region,
		      const struct iso_sockaddr *addr);
/* Whether nothing is held against it now. */
bool iso_reach_rested(struct iso_reach *reach, const struct iso_board_region *region, uint32_t endpoint,
		      uint64_t now_us);

#endif
