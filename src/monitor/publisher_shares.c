/*
 * The shares that are told (/status, metrics) where regions are at their limits. Whether one is full changes
 * with each request; which part of the traffic it takes does not: that is looked at. Thread: control.
 */
#include <math.h>

#include "iso/policy/share.h"
#include "publisher_priv.h"

enum { FULL_FOR_US = 2 * 1000 * 1000 };

static const double fade_us = 1e6;

bool iso_publisher_is_full(const struct iso_publisher *pub, const struct iso_cfg_region *region)
{
	uint64_t limit_milli = pub->slots[region->slot].board.limit_milli;

	return (limit_milli != 0 && iso_throttle_gate_closed(&pub->stand->shared.gates[region->slot],
							     limit_milli, pub->loop->now_us)) ||
	       (region->max_in_flight != 0 &&
		iso_board_load(pub->stand, region->slot) >= region->max_in_flight);
}

/* Tries of requests: those that are over and those that are not. */
static uint64_t begun(const struct iso_publisher *pub, uint32_t slot)
{
	uint64_t sum = 0;

	for (int i = 0; i < ISO_OUTCOME_COUNT; i++)
		sum += pub->slots[slot].stats.outcomes[i];
	for (uint32_t w = 0; w < pub->worker_count; w++)
		if (pub->workers[w] != pub->probes)
			sum += atomic_load_explicit(&pub->workers[w]->cells[slot].in_flight,
						    memory_order_relaxed);
	return sum;
}

void iso_publisher_look(struct iso_publisher *pub, uint32_t slot)
{
	struct iso_publisher_traffic *t = &pub->slots[slot].traffic;
	uint64_t now_us = pub->loop->now_us, count = begun(pub, slot);

	t->recent *= exp(-(double)(now_us - t->at_us) / fade_us);
	/* A try that has just ended may be in neither number for a moment. */
	if (t->at_us != 0 && count > t->begun)
		t->recent += (double)(count - t->begun);
	if (t->at_us == 0 || count > t->begun)
		t->begun = count;
	t->at_us = now_us;
}

void iso_publisher_shares(const struct iso_publisher *pub, const struct iso_cfg_service *service,
			  const struct iso_view *view, uint32_t ret_shares[ISO_VIEW_MAX])
{
	uint64_t seen[ISO_VIEW_MAX] = { 0 };
	struct iso_view over_time = *view;

	for (uint32_t r = 0; r < service->region_count; r++) {
		uint32_t slot = service->regions[r].slot;
		uint64_t full_us = iso_board_full_us(pub->stand, slot);

		seen[r] = (uint64_t)(pub->slots[slot].traffic.recent * 1000);
		if (full_us != 0 && full_us + FULL_FOR_US > pub->loop->now_us)
			over_time.full |= (uint16_t)(1u << r);
	}
	iso_balance_shares_at_limit(service->policy, &over_time, seen, ret_shares);
}
