/*
 * The registry of regions: what is learnt about a region is kept under its identity in a slot that stays the
 * same over reloads. Owned by the control thread; workers know a region by its slot number only.
 */
#ifndef ISO_UPSTREAM_REGION_H
#define ISO_UPSTREAM_REGION_H

#include "iso/config/snapshot.h"

enum {
	ISO_REGION_SLOTS = 64, /* regions of all services, over all live snapshots */
	ISO_ENDPOINTS_MAX = 8, /* addresses of one region in use */
};

struct iso_registry_slot {
	char *identity;      /* NULL: free */
	uint64_t generation; /* of the newest snapshot that names it */
	bool drained;        /* by an operator; outlives reloads */
};

struct iso_registry {
	struct iso_registry_slot slots[ISO_REGION_SLOTS];
};

void iso_registry_init(struct iso_registry *registry);
void iso_registry_done(struct iso_registry *registry);
/*
 * Gives every region of the snapshot its slot: the one its identity has, or a free one. A slot is free again
 * when neither this nor the previous generation names it. ISO_ELIMIT: too many regions (nothing changed).
 */
ISO_MUST_USE int iso_registry_bind(struct iso_registry *registry, struct iso_snapshot *snapshot);

#endif
