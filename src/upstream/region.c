/*
 * Slots for identities. Thread: control.
 */
#include "iso/upstream/region.h"

#include <stdlib.h>

void iso_registry_init(struct iso_registry *registry)
{
	memset(registry, 0, sizeof(*registry));
}

void iso_registry_done(struct iso_registry *registry)
{
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		free(registry->slots[i].identity);
	memset(registry, 0, sizeof(*registry));
}

static int find(const struct iso_registry *registry, struct iso_slice identity)
{
	for (int i = 0; i < ISO_REGION_SLOTS; i++) {
		const char *have = registry->slots[i].identity;

		if (have != NULL && iso_slice_eq(iso_slice_str(have), identity))
			return i;
	}
	return -1;
}

/* Takes slots for what is new. On failure the caller gives back those of this generation. */
static int bind_region(struct iso_registry *registry, struct iso_cfg_region *region, uint64_t generation)
{
	int slot = find(registry, region->identity);

	for (int i = 0; slot < 0 && i < ISO_REGION_SLOTS; i++) {
		struct iso_registry_slot *free_slot = &registry->slots[i];

		if (free_slot->identity != NULL)
			continue;
		free_slot->identity = strndup(region->identity.ptr, region->identity.len);
		if (free_slot->identity == NULL)
			return ISO_ENOMEM;
		free_slot->drained = false;
		slot = i;
	}
	if (slot < 0)
		return ISO_ELIMIT;
	registry->slots[slot].generation = generation;
	region->slot = (uint32_t)slot;
	return ISO_OK;
}

int iso_registry_bind(struct iso_registry *registry, struct iso_snapshot *snapshot)
{
	int err = ISO_OK;

	/* A slot outlives one generation, so that workers that are a step behind never meet a reused one. */
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		struct iso_registry_slot *slot = &registry->slots[i];

		if (slot->identity != NULL && slot->generation + 1 < snapshot->generation) {
			free(slot->identity);
			memset(slot, 0, sizeof(*slot));
		}
	}
	for (uint32_t s = 0; s < snapshot->service_count && err == ISO_OK; s++) {
		struct iso_cfg_service *service = &snapshot->services[s];

		for (uint32_t r = 0; r < service->region_count && err == ISO_OK; r++)
			err = bind_region(registry, &service->regions[r], snapshot->generation);
	}
	return err;
}
