/*
 * A hash map from bytes to pointers with a maximum size. The hash is keyed: who does not know the key cannot
 * choose names that collide, so a peer's names may be keys.
 */
#ifndef ISO_BASE_HMAP_H
#define ISO_BASE_HMAP_H

#include "iso/base/err.h"
#include "iso/base/slice.h"

struct iso_hmap_slot {
	uint64_t hash;
	struct iso_slice key;
	void *value; /* NULL: the slot is free */
};

struct iso_hmap {
	struct iso_hmap_slot *slots; /* NULL until the first entry */
	size_t count, cap, max;      /* cap: a power of two */
	uint64_t seed[2];
};

/* max: most entries. seed: 128 bits from a good source, for maps whose keys a peer chooses. */
void iso_hmap_init(struct iso_hmap *map, size_t max, const uint64_t seed[2]);
/* The values stay the caller's. NULL is fine. */
void iso_hmap_done(struct iso_hmap *map);
/*
 * Borrows the key's bytes until the entry is removed: they mostly lie in the value, which must not be NULL.
 * ISO_OK, ISO_EEXISTS (the old entry stays), ISO_ELIMIT or ISO_ENOMEM.
 */
ISO_MUST_USE int iso_hmap_add(struct iso_hmap *map, struct iso_slice key, void *value);
/* The value, or NULL. */
void *iso_hmap_get(const struct iso_hmap *map, struct iso_slice key);
/* Takes the entry out and returns its value; NULL: there was none. */
void *iso_hmap_remove(struct iso_hmap *map, struct iso_slice key);
/*
 * Walks all entries in no order: *at is 0 at first; false at the end. The map must not change meanwhile.
 * ret_key may be NULL.
 */
bool iso_hmap_next(const struct iso_hmap *map, size_t *at, struct iso_slice *ret_key, void **ret_value);

/* SipHash-2-4 (Aumasson and Bernstein, 2012) with 64 bits of output; seed[0] is the key's first half. */
uint64_t iso_siphash(const uint64_t seed[2], struct iso_slice s);

#endif
