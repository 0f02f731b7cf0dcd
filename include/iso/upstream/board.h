/*
 * The board: what all workers may know of all regions, published whole. The control thread is its sole
 * writer; a worker loads the pointer once a turn. A board is freed when every worker has passed its version.
 */
#ifndef ISO_UPSTREAM_BOARD_H
#define ISO_UPSTREAM_BOARD_H

#include <stdatomic.h>

#include "iso/net/transport.h"
#include "iso/policy/requirement.h"
#include "iso/policy/throttle.h"
#include "iso/policy/view.h"
#include "iso/upstream/region.h"

enum { ISO_WORKERS_MAX = 64 };

struct iso_board_endpoint {
	struct iso_sockaddr addr;
	uint32_t estimate_us; /* predicted time to the response head; 0: none yet */
	uint32_t rtt_us;      /* of the network alone; 0: none yet */
	bool fresh;           /* in the current DNS answer */
	bool usable;          /* in the current DNS answer and not ejected: takes new requests */
	bool ejected;         /* by what its own connections and requests showed */
	bool slower;          /* than another one that is usable, by more than noise */
};

struct iso_board_region {
	enum iso_region_state state;
	bool up; /* takes traffic (unknown, healthy, degraded) */
	bool drained;
	bool unmeasured;      /* neither a probe nor an answer for two probe intervals */
	bool suspect;         /* silent in every worker that waits for it */
	uint32_t weight;      /* for `latency`, ISO_WEIGHT_ONE for the best region of the service */
	uint32_t ramp;        /* 0 … ISO_WEIGHT_ONE */
	uint32_t estimate_us; /* predicted time to the response head; 0: none yet */
	uint32_t usual_us;    /* typical time of a normal answer, for suspicion; 0: none yet */
	uint64_t limit_milli; /* requests a second that it takes, thousandths; 0: no limit is known */
	uint32_t hedge_us;    /* percentile that the service hedges after; 0: none, or not known yet */
	uint64_t normal_us;   /* loop time of the start of the last normal answer, probes included: lifts
				 suspicion */
	uint64_t failed_us;   /* loop time of the failure that was its last answer to some worker; 0: none */
	uint32_t trial;       /* half-open: names the request that tries it; 0: not half-open */
	bool warned;          /* its health answer warns, and no route says what it requires */
	uint64_t broken, uneasy;       /* the service's dependencies that fail, and that warn */
	struct iso_affected *affected; /* paths that they affect; one reference. NULL: none */
	uint32_t endpoint_count;
	uint32_t endpoints_epoch; /* changes whenever an index of `endpoints` changes its meaning */
	struct iso_board_endpoint endpoints[ISO_ENDPOINTS_MAX];
};

/* A route that is measured by itself, in one region. */
struct iso_board_lane {
	uint32_t weight;      /* as the region's, by the route's own times */
	uint32_t estimate_us; /* the route's own, or what the region's lead to expect; 0: none yet */
	uint32_t usual_us;    /* the same without failures, for suspicion; 0: none yet */
	uint32_t hedge_us;    /* percentile that the service hedges after; 0: none, or not known yet */
	uint32_t slot;        /* the region's */
};

/* In all regions of its service, as the service lists them. */
struct iso_board_track {
	uint32_t lane_count; /* 0: nothing is kept under this number */
	uint16_t unmeasured; /* bit i: in region i no answer by the route has come for two probe intervals */
	struct iso_board_lane lanes[ISO_SERVICE_REGIONS_MAX];
};

struct iso_board {
	uint64_t version;
	struct iso_board *next; /* retired ones, control's list */
	bool uplink_down;       /* every region fails to connect: our own network */
	bool half_open;         /* some region waits for its trial request */
	bool unwell;            /* some region's health answer fails or warns about something */
	struct iso_board_region regions[ISO_REGION_SLOTS];
	uint32_t track_count;            /* up to the highest number in use */
	struct iso_board_track tracks[]; /* by number, from 1 */
};

struct iso_board_reader {
	_Alignas(64) _Atomic uint64_t seen; /* version held during a turn; UINT64_MAX between turns */
};

/* Attempts under way in all workers; each on a line of its own: workers count there all the time. */
struct iso_board_load {
	_Alignas(64) _Atomic uint32_t running;
	_Atomic uint64_t full_us; /* when a pick last found the region at a limit of its own; 0: never */
};

struct iso_board_stand {
	struct { /* shared */
		_Atomic(struct iso_board *) current;
		_Atomic uint64_t version;
		struct iso_board_reader readers[ISO_WORKERS_MAX];
		_Atomic uint32_t trials[ISO_REGION_SLOTS]; /* the last one that was taken */
		struct iso_throttle_gate gates[ISO_REGION_SLOTS];
		struct iso_board_load loads[ISO_REGION_SLOTS]; /* of regions with max_in_flight alone */
	} shared;
	struct { /* own: the control thread */
		struct iso_board *retired;
	} own;
};

/* The track of that number; NULL: none is kept, or not on this board, and the regions' own numbers count. */
static inline const struct iso_board_track *iso_board_track(const struct iso_board *board, uint32_t number)
{
	if (number - 1 >= board->track_count || board->tracks[number - 1].lane_count == 0)
		return NULL;
	return &board->tracks[number - 1];
}

/* Of it region i, whose slot that is; NULL as above, and when the board is of another file than the caller.
 */
static inline const struct iso_board_lane *iso_board_lane(const struct iso_board *board, uint32_t number,
							  uint32_t i, uint32_t slot)
{
	const struct iso_board_track *track = iso_board_track(board, number);

	return track != NULL && i < track->lane_count && track->lanes[i].slot == slot ? &track->lanes[i]
										      : NULL;
}

/* ISO_OK or ISO_ENOMEM; starts with an empty board of version 1. */
ISO_MUST_USE int iso_board_stand_init(struct iso_board_stand *stand);
void iso_board_stand_done(struct iso_board_stand *stand); /* all readers have ended */
/* Control: takes `board` (heap), gives it the next version, publishes it and frees what nobody reads any
 * more. */
void iso_board_publish(struct iso_board_stand *stand, struct iso_board *board);
/* Worker, at the begin of a turn: the board of this turn; valid until leave. */
const struct iso_board *iso_board_enter(struct iso_board_stand *stand, uint32_t reader);
/* Worker: takes the region's trial (of its board); false: another request has it. */
bool iso_board_take_trial(struct iso_board_stand *stand, uint32_t slot, uint32_t trial);
/* Worker: it was taken, and no request went: another one may take it. */
void iso_board_return_trial(struct iso_board_stand *stand, uint32_t slot, uint32_t trial);
/* Control: the trial of that region that was taken last. */
uint32_t iso_board_trial_taken(struct iso_board_stand *stand, uint32_t slot);
/*
 * Any thread: an attempt at a region that has a limit begins, ends; how many are under way in all workers. Of
 * what began before a reload brought the limit nothing is counted.
 */
void iso_board_load_add(struct iso_board_stand *stand, uint32_t slot);
void iso_board_load_remove(struct iso_board_stand *stand, uint32_t slot);
uint32_t iso_board_load(const struct iso_board_stand *stand, uint32_t slot);
/* Any thread: a pick has found the region full; when that was the last time, to 10 ms; 0: never. */
void iso_board_note_full(struct iso_board_stand *stand, uint32_t slot, uint64_t now_us);
uint64_t iso_board_full_us(const struct iso_board_stand *stand, uint32_t slot);
/* Worker, at the end of a turn. */
void iso_board_leave(struct iso_board_stand *stand, uint32_t reader);

#endif
