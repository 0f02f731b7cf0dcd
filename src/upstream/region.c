/*
 * Slots for identities. Thread: control.
 */
#include "iso/upstream/region.h"

#include <stdlib.h>

void iso_registry_init(struct iso_registry *registry)
{
	memset(registry, 0, sizeof(*registry));
}

static void forget(struct iso_registry_slot *slots, int n)
{
	for (int i = 0; i < n; i++)
		free(slots[i].identity);
}

void iso_registry_done(struct iso_registry *registry)
{
	forget(registry->slots, ISO_REGION_SLOTS);
	forget(registry->services, ISO_SERVICE_SLOTS);
	forget(registry->tracks, ISO_TRACK_SLOTS);
	memset(registry, 0, sizeof(*registry));
}

/* A slot outlives one generation, so that workers that are a step behind never meet a reused one. */
static void expire(struct iso_registry_slot *slots, int n, uint64_t generation)
{
	for (int i = 0; i < n; i++) {
		if (slots[i].identity == NULL || slots[i].generation + 1 >= generation)
			continue;
		free(slots[i].identity);
		memset(&slots[i], 0, sizeof(slots[i]));
	}
}

static int find(const struct iso_registry_slot *slots, int n, struct iso_slice identity)
{
	for (int i = 0; i < n; i++)
		if (slots[i].identity != NULL && iso_slice_eq(iso_slice_str(slots[i].identity), identity))
			return i;
	return -1;
}

/* A free one, rather one that is not busy (NULL: none is); -1: there is none. */
static int find_free(const struct iso_registry_slot *slots, int n, const bool *busy)
{
	int slot = -1;

	for (int i = 0; i < n; i++) {
		if (slots[i].identity != NULL)
			continue;
		if (busy == NULL || !busy[i])
			return i;
		if (slot < 0)
			slot = i;
	}
	return slot;
}

/* The slot of the identity, taken where it has none. */
static int bind_slot(struct iso_registry_slot *slots, int n, const bool *busy, struct iso_slice identity,
		     uint64_t generation, uint32_t *ret_slot)
{
	int slot = find(slots, n, identity);

	if (slot < 0) {
		slot = find_free(slots, n, busy);
		if (slot < 0)
			return ISO_ELIMIT;
		slots[slot].identity = strndup(identity.ptr, identity.len);
		if (slots[slot].identity == NULL)
			return ISO_ENOMEM;
		slots[slot].since = generation;
		slots[slot].drained = false;
	}
	slots[slot].generation = generation;
	*ret_slot = (uint32_t)slot;
	return ISO_OK;
}

int iso_registry_bind(struct iso_registry *registry, struct iso_snapshot *snapshot)
{
	uint64_t generation = snapshot->generation;
	int err = ISO_OK;

	expire(registry->slots, ISO_REGION_SLOTS, generation);
	expire(registry->services, ISO_SERVICE_SLOTS, generation);
	expire(registry->tracks, ISO_TRACK_SLOTS, generation);
	for (uint32_t s = 0; s < snapshot->service_count && err == ISO_OK; s++) {
		struct iso_cfg_service *service = &snapshot->services[s];

		err = bind_slot(registry->services, ISO_SERVICE_SLOTS, NULL, service->name, generation,
				&service->slot);
		for (uint32_t r = 0; r < service->region_count && err == ISO_OK; r++)
			err = bind_slot(registry->slots, ISO_REGION_SLOTS, registry->busy,
					service->regions[r].identity, generation, &service->regions[r].slot);
	}
	for (uint32_t i = 0; i < snapshot->track_count && err == ISO_OK; i++) {
		uint32_t slot = 0;

		err = bind_slot(registry->tracks, ISO_TRACK_SLOTS, NULL, snapshot->tracks[i].identity,
				generation, &slot);
		if (err == ISO_OK)
			snapshot->tracks[i].number = slot + 1;
	}
	return err;
}
