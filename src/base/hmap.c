/*
 * See hmap.h: open addressing with linear probing. One owner.
 * Invariants: at most three quarters of the slots are taken, and no free slot lies between an entry's own
 * place (its hash) and where it stands; a removal moves its followers back, so that there are no tombstones.
 */
#include "iso/base/hmap.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

enum { FIRST_CAP = 16 };

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static void sip_rounds(struct sip *s, int count)
{
	for (int i = 0; i < count; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 = rotl(s->v2, 32);
	}
}

static void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_rounds(s, 2);
	s->v0 ^= word;
}

uint64_t iso_siphash(const uint64_t seed[2], struct iso_slice s)
{
	struct sip sip = {
		seed[0] ^ 0x736f6d6570736575u,
		seed[1] ^ 0x646f72616e646f6du,
		seed[0] ^ 0x6c7967656e657261u,
		seed[1] ^ 0x7465646279746573u,
	};
	size_t at = 0;
	uint64_t word;

	for (; s.len - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, s.ptr + at, sizeof(word));
		sip_word(&sip, le64toh(word));
	}
	word = (uint64_t)s.len << 56;
	for (size_t i = 0; at + i < s.len; i++)
		word |= (uint64_t)(unsigned char)s.ptr[at + i] << 8 * i;
	sip_word(&sip, word);
	sip.v2 ^= 0xff;
	sip_rounds(&sip, 4);
	return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

void iso_hmap_init(struct iso_hmap *map, size_t max, const uint64_t seed[2])
{
	*map = (struct iso_hmap){ .max = max, .seed = { seed[0], seed[1] } };
}

void iso_hmap_done(struct iso_hmap *map)
{
	if (map == NULL)
		return;
	free(map->slots);
	map->slots = NULL;
	map->count = map->cap = 0;
}

/* The entry's slot, or the free one where it belongs. The map has slots. */
static struct iso_hmap_slot *find(const struct iso_hmap *map, uint64_t hash, struct iso_slice key)
{
	size_t mask = map->cap - 1, at = hash & mask;

	while (map->slots[at].value != NULL &&
	       (map->slots[at].hash != hash || !iso_slice_eq(map->slots[at].key, key)))
		at = (at + 1) & mask;
	return &map->slots[at];
}

static int grow(struct iso_hmap *map)
{
	struct iso_hmap larger = *map;

	larger.cap = map->cap == 0 ? FIRST_CAP : map->cap * 2;
	larger.slots = calloc(larger.cap, sizeof(*larger.slots));
	if (larger.slots == NULL)
		return ISO_ENOMEM;
	for (size_t i = 0; i < map->cap; i++)
		if (map->slots[i].value != NULL)
			*find(&larger, map->slots[i].hash, map->slots[i].key) = map->slots[i];
	free(map->slots);
	*map = larger;
	return ISO_OK;
}

int iso_hmap_add(struct iso_hmap *map, struct iso_slice key, void *value)
{
	uint64_t hash = iso_siphash(map->seed, key);

	assert(value != NULL);
	if (map->cap > 0 && find(map, hash, key)->value != NULL)
		return ISO_EEXISTS;
	if (map->count >= map->max)
		return ISO_ELIMIT;
	if (map->count >= map->cap / 4 * 3 && grow(map) != ISO_OK)
		return ISO_ENOMEM;
	*find(map, hash, key) = (struct iso_hmap_slot){ hash, key, value };
	map->count++;
	return ISO_OK;
}

void *iso_hmap_get(const struct iso_hmap *map, struct iso_slice key)
{
	return map->count > 0 ? find(map, iso_siphash(map->seed, key), key)->value : NULL;
}

void *iso_hmap_remove(struct iso_hmap *map, struct iso_slice key)
{
	struct iso_hmap_slot *gap;
	size_t mask = map->cap - 1;
	void *value;

	if (map->count == 0)
		return NULL;
	gap = find(map, iso_siphash(map->seed, key), key);
	value = gap->value;
	if (value == NULL)
		return NULL;
	map->count--;
	for (size_t at = (size_t)(gap - map->slots);;) {
		at = (at + 1) & mask;
		if (map->slots[at].value == NULL)
			break;
		/* It may move back as far as its own place, which must not lie behind the gap. */
		if (((at - map->slots[at].hash) & mask) < ((at - (size_t)(gap - map->slots)) & mask))
			continue;
		*gap = map->slots[at];
		gap = &map->slots[at];
	}
	gap->value = NULL;
	return value;
}

bool iso_hmap_next(const struct iso_hmap *map, size_t *at, struct iso_slice *ret_key, void **ret_value)
{
	while (*at < map->cap) {
		const struct iso_hmap_slot *slot = &map->slots[(*at)++];

		if (slot->value == NULL)
			continue;
		if (ret_key != NULL)
			*ret_key = slot->key;
		*ret_value = slot->value;
		return true;
	}
	return false;
}
