/*
 * See holds.h. A word holds, from its low end: 32 bits of when it is over, in ticks of 2^16 us (enough for
 * eight years of CLOCK_MONOTONIC), 6 bits of the region's slot, 26 bits of the client. 0 was over long ago:
 * free.
 *
 * A word says all there is to say, so that no order between words matters. Two workers that write for the
 * same client at the same moment may each take a place; the one that ends later counts.
 */
#include "iso/upstream/holds.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "iso/base/hmap.h"

enum { TICK_BITS = 16, SLOT_AT = 32, CLIENT_AT = 38 };

struct iso_holds {
	uint64_t seed[2];
	struct {
		_Atomic uint64_t words[ISO_HOLDS_WAYS];
	} sets[ISO_HOLDS_SETS];
};

_Static_assert(1 << (CLIENT_AT - SLOT_AT) == ISO_REGION_SLOTS, "a slot has its bits");

int iso_holds_new(const uint64_t seed[2], struct iso_holds **ret_holds)
{
	/* Fresh pages are zero, and none is there until it is written to. */
	struct iso_holds *holds = calloc(1, sizeof(*holds));

	if (holds == NULL)
		return ISO_ENOMEM;
	holds->seed[0] = seed[0];
	holds->seed[1] = seed[1];
	*ret_holds = holds;
	return ISO_OK;
}

void iso_holds_free(struct iso_holds *holds)
{
	free(holds);
}

uint64_t iso_holds_client(const struct iso_holds *holds, const struct iso_cfg_service *service,
			  struct iso_slice bytes)
{
	uint64_t whole[2] = { iso_siphash(holds->seed, bytes), service->slot };
	uint64_t client = iso_siphash(holds->seed, iso_slice((const char *)whole, sizeof(whole)));

	return client != 0 ? client : 1;
}

static uint32_t tick_of(uint64_t us)
{
	return (uint32_t)(us >> TICK_BITS);
}

/* The tick from which on it is over. */
static uint32_t end_of(uint64_t word)
{
	return (uint32_t)word;
}

static bool is_of(uint64_t word, uint64_t client)
{
	return ((word ^ client) >> CLIENT_AT) == 0;
}

/* Whether that is the better place for the client: its own, the latest if there are two; else what is over
 * first. */
static bool is_better(uint64_t word, uint64_t than, uint64_t client)
{
	bool own = is_of(word, client);

	if (own != is_of(than, client))
		return own;
	return own ? end_of(word) > end_of(than) : end_of(word) < end_of(than);
}

static uint32_t place_of(const _Atomic uint64_t words[ISO_HOLDS_WAYS], uint64_t client, uint64_t *ret_word)
{
	uint64_t best = atomic_load_explicit(&words[0], memory_order_relaxed);
	uint32_t at = 0;

	for (uint32_t i = 1; i < ISO_HOLDS_WAYS; i++) {
		uint64_t word = atomic_load_explicit(&words[i], memory_order_relaxed);

		if (!is_better(word, best, client))
			continue;
		best = word;
		at = i;
	}
	*ret_word = best;
	return at;
}

bool iso_holds_set(struct iso_holds *holds, uint64_t client, uint32_t slot, uint64_t now_us,
		   uint64_t lasts_us)
{
	_Atomic uint64_t *words = holds->sets[client % ISO_HOLDS_SETS].words;
	uint64_t word = client >> CLIENT_AT << CLIENT_AT | (uint64_t)slot << SLOT_AT |
			(tick_of(now_us + lasts_us) + 1);
	uint64_t had;
	uint32_t at;

	assert(slot < ISO_REGION_SLOTS);
	do /* who comes in between has written his word: somebody always gets on */
		at = place_of(words, client, &had);
	while (!atomic_compare_exchange_strong(&words[at], &had, word));
	return !is_of(had, client) && end_of(had) > tick_of(now_us);
}

uint16_t iso_holds_find(const struct iso_holds *holds, uint64_t client, const struct iso_cfg_service *service,
			uint64_t now_us)
{
	uint64_t best;
	uint32_t slot;

	(void)place_of(holds->sets[client % ISO_HOLDS_SETS].words, client, &best);
	if (!is_of(best, client) || end_of(best) <= tick_of(now_us))
		return 0;
	slot = (uint32_t)(best >> SLOT_AT) % ISO_REGION_SLOTS;
	for (uint32_t i = 0; i < service->region_count; i++)
		if (service->regions[i].slot == slot)
			return (uint16_t)(1u << i);
	return 0;
}
