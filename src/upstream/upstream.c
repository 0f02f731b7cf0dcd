/*
 * One loop's pools, the board of its turn, and suspicion as this loop sees it. Thread: its loop.
 */
#include "iso/upstream/upstream.h"

#include "iso/policy/suspicion.h"
#include "pool_priv.h"

enum { LOOK_US = 100 * 1000 }; /* as often as the board is published */

/* The turn itself is what was wanted: a loop that nothing happens on has none. */
static void on_look(struct iso_timer *timer)
{
	(void)timer;
}

int iso_upstream_init(struct iso_upstream *upstream, struct iso_loop *loop, struct iso_board_stand *stand,
		      struct iso_evidence *evidence, uint32_t reader)
{
	memset(upstream, 0, sizeof(*upstream));
	upstream->loop = loop;
	upstream->stand = stand;
	upstream->evidence = evidence;
	upstream->reader = reader;
	iso_timer_init(&upstream->look, on_look);
	upstream->board = iso_board_enter(stand, reader);
	return ISO_OK;
}

void iso_upstream_done(struct iso_upstream *upstream)
{
	if (upstream == NULL || upstream->loop == NULL)
		return;
	iso_timer_clear(&upstream->loop->wheel, &upstream->look);
	upstream->board = iso_board_enter(upstream->stand, upstream->reader); /* outside of a turn */
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		iso_pool_free(upstream->pools[i]);
		upstream->pools[i] = NULL;
	}
	iso_board_leave(upstream->stand, upstream->reader);
	upstream->loop = NULL;
}

void iso_upstream_turn_begin(struct iso_upstream *upstream)
{
	uint64_t seen = upstream->board_version;
	bool cold = false;

	upstream->board = iso_board_enter(upstream->stand, upstream->reader);
	upstream->board_version = upstream->board->version;
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		struct iso_pool *pool = upstream->pools[i];

		if (pool == NULL)
			continue;
		if (iso_pool_is_over(pool)) {
			iso_pool_free(pool);
			upstream->pools[i] = NULL;
			continue;
		}
		if (pool->suspect_us != 0 && upstream->board->regions[i].normal_us > pool->suspect_us)
			pool->suspect_us = 0;
		if (!pool->warm && upstream->board->regions[i].endpoint_count > 0)
			iso_pool_warm(pool);
		else if (seen != upstream->board->version)
			iso_pool_refresh(pool);
		cold |= !pool->warm && !pool->retired;
	}
	if (cold && !iso_timer_is_set(&upstream->look))
		iso_timer_set(&upstream->loop->wheel, &upstream->look, upstream->loop->now_us + LOOK_US);
}

void iso_upstream_turn_end(struct iso_upstream *upstream)
{
	iso_board_leave(upstream->stand, upstream->reader);
}

static int bind_region(struct iso_upstream *upstream, struct iso_snapshot *snapshot,
		       const struct iso_cfg_service *service, uint32_t index, bool named[ISO_REGION_SLOTS])
{
	const struct iso_cfg_region *region = &service->regions[index];
	struct iso_pool **pool = &upstream->pools[region->slot];

	if (*pool == NULL) {
		int err = iso_pool_new(upstream, region->slot, pool);

		if (err != ISO_OK)
			return err;
	}
	iso_pool_bind(*pool, snapshot, service, region);
	named[region->slot] = true;
	return ISO_OK;
}

int iso_upstream_bind(struct iso_upstream *upstream, struct iso_snapshot *snapshot)
{
	bool named[ISO_REGION_SLOTS] = { false };

	for (uint32_t s = 0; s < snapshot->service_count; s++) {
		const struct iso_cfg_service *service = &snapshot->services[s];

		for (uint32_t r = 0; r < service->region_count; r++) {
			int err = bind_region(upstream, snapshot, service, r, named);

			if (err != ISO_OK)
				return err;
		}
	}
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		if (upstream->pools[i] != NULL && !named[i])
			iso_pool_retire(upstream->pools[i]);
	iso_timer_set(&upstream->loop->wheel, &upstream->look, upstream->loop->now_us + LOOK_US);
	return ISO_OK;
}

uint64_t iso_upstream_patience_us(const struct iso_upstream *upstream, uint32_t slot)
{
	return iso_patience_us(upstream->board->regions[slot].usual_us);
}

bool iso_upstream_suspect(const struct iso_upstream *upstream, uint32_t slot)
{
	const struct iso_pool *pool = upstream->pools[slot];

	return upstream->board->regions[slot].suspect || (pool != NULL && pool->suspect_us != 0);
}

/* What the other loops say holds until this one hears from the region itself. */
static uint64_t failed_us(const struct iso_upstream *upstream, uint32_t slot)
{
	const struct iso_pool *pool = upstream->pools[slot];
	uint64_t own_us = atomic_load_explicit(&upstream->evidence->cells[slot].failed_us,
					       memory_order_relaxed);
	uint64_t others_us = upstream->board->regions[slot].failed_us;

	return own_us != 0 || (pool != NULL && pool->progress_us > others_us) ? own_us : others_us;
}

uint32_t iso_upstream_unheard(const struct iso_upstream *upstream, uint32_t slot)
{
	const struct iso_pool *pool = upstream->pools[slot];

	return pool != NULL ? pool->unheard : 0;
}

bool iso_upstream_quiet(const struct iso_upstream *upstream, uint32_t slot)
{
	const struct iso_pool *pool = upstream->pools[slot];
	uint64_t now_us = upstream->loop->now_us;

	return pool != NULL &&
	       (iso_quiet(iso_pool_silence_us(pool, now_us), upstream->board->regions[slot].usual_us) ||
		iso_pool_half_overdue(pool, now_us));
}

bool iso_upstream_wary(const struct iso_upstream *upstream, uint32_t slot)
{
	return iso_has_just_failed(upstream->loop->now_us, failed_us(upstream, slot)) ||
	       iso_upstream_quiet(upstream, slot);
}
