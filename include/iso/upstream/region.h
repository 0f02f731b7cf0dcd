/*
 * The registry of regions, services and tracks (routes that are measured by themselves): what is learnt or
 * counted about one is kept under its identity (a service's is its name) in a slot that stays the same over
 * reloads, wherever it stands in the file. Owned by the control thread; workers know them by their slot
 * numbers only. A track's number is its slot plus 1: where 0 stands there is none.
 */
#ifndef ISO_UPSTREAM_REGION_H
#define ISO_UPSTREAM_REGION_H

#include "iso/config/snapshot.h"

enum {
	ISO_REGION_SLOTS = 64, /* regions of all services, over all live snapshots */
	ISO_SERVICE_SLOTS = ISO_REGION_SLOTS,
	ISO_TRACK_SLOTS = 2 * ISO_TRACKS_MAX, /* a reload may bring as many others as there may be */
	ISO_ENDPOINTS_MAX = 8,                /* addresses of one region in use */
};

struct iso_registry_slot {
	char *identity;      /* NULL: free */
	uint64_t generation; /* of the newest snapshot that names it */
	uint64_t since;      /* of the first one */
	bool drained;        /* a region, by an operator; outlives reloads */
};

struct iso_registry {
	struct iso_registry_slot slots[ISO_REGION_SLOTS];
	bool busy[ISO_REGION_SLOTS]; /* something still runs there, of whatever region; the caller's word */
	struct iso_registry_slot services[ISO_SERVICE_SLOTS];
	struct iso_registry_slot tracks[ISO_TRACK_SLOTS];
};

void iso_registry_init(struct iso_registry *registry);
void iso_registry_done(struct iso_registry *registry);
/*
 * Gives every region, service and track of the snapshot its slot: the one its identity has, or a free one. A
 * slot is free again once a whole generation has not named it; what is busy still goes last, since what runs
 * there would be taken for the new region's. ISO_ELIMIT: too many (nothing changed).
 */
ISO_MUST_USE int iso_registry_bind(struct iso_registry *registry, struct iso_snapshot *snapshot);

#endif
