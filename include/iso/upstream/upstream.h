/*
 * The upstream side of one loop: its pools (one per region slot), its evidence, the board of this turn.
 * Workers have one each; the control loop has one for the probes.
 */
#ifndef ISO_UPSTREAM_UPSTREAM_H
#define ISO_UPSTREAM_UPSTREAM_H

#include "iso/net/loop.h"
#include "iso/upstream/board.h"
#include "iso/upstream/evidence.h"

struct iso_pool;

struct iso_upstream {
	struct iso_loop *loop;
	struct iso_board_stand *stand;
	const struct iso_board *board; /* of this turn */
	uint64_t board_version;        /* of the last turn */
	struct iso_evidence *evidence; /* this loop's own */
	struct iso_mailbox *control;   /* to wake the control thread at once; NULL on the control loop */
	struct iso_timer look; /* while a region has no address yet: a turn to see whether it has one */
	uint32_t reader;       /* our place on the stand */
	uint32_t last_serial;  /* of our connections */
	struct iso_pool *pools[ISO_REGION_SLOTS];
	void (*urgent)(struct iso_upstream *upstream); /* evidence that cannot wait for the next 100 ms; may
							  be NULL */
};

ISO_MUST_USE int iso_upstream_init(struct iso_upstream *upstream, struct iso_loop *loop,
				   struct iso_board_stand *stand, struct iso_evidence *evidence,
				   uint32_t reader);
/* Cancels what runs; closes every connection. */
void iso_upstream_done(struct iso_upstream *upstream);
/* Loop hooks: load the board of this turn, let it go. */
void iso_upstream_turn_begin(struct iso_upstream *upstream);
void iso_upstream_turn_end(struct iso_upstream *upstream);
/* A new snapshot, which the pools hold: those of regions that are gone drain, those of new ones are made and
 * pre-warmed. */
ISO_MUST_USE int iso_upstream_bind(struct iso_upstream *upstream, struct iso_snapshot *snapshot);
/* Silent for too long while something waits (PRODUCT.md section 4, suspicion), as this loop sees it or the
 * board says. */
bool iso_upstream_suspect(const struct iso_upstream *upstream, uint32_t slot);
/* Silent for half of that (policy/suspicion.h), as this loop sees it. */
bool iso_upstream_quiet(const struct iso_upstream *upstream, uint32_t slot);
/* Whether a request that must not run twice had better go elsewhere (policy/suspicion.h), as this loop sees
 * it or the board says. */
bool iso_upstream_wary(const struct iso_upstream *upstream, uint32_t slot);
/* Requests that this loop has sent there since something came back last. */
uint32_t iso_upstream_unheard(const struct iso_upstream *upstream, uint32_t slot);
/* Microseconds of silence that make a region suspect: max(4 x usual, 80 ms). */
uint64_t iso_upstream_patience_us(const struct iso_upstream *upstream, uint32_t slot);

#endif
