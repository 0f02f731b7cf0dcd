/*
 * See reach_priv.h.
 */
#include "reach_priv.h"

#include <string.h>

enum { REST_US = 1000 * 1000, DOUBLINGS_MAX = 6 };

/* Indexes that have changed their meaning make what is remembered by index void. */
static void check_epoch(struct iso_reach *reach, const struct iso_board_region *region)
{
	if (region->endpoints_epoch == reach->epoch)
		return;
	memset(reach, 0, sizeof(*reach));
	reach->epoch = region->endpoints_epoch;
}

static bool has(uint16_t mask, uint32_t i)
{
	return (mask >> i & 1) != 0;
}

/* Bit 0: an IPv4 address is busy, bit 1: another one. */
static int family_bit(const struct iso_board_endpoint *endpoint)
{
	return endpoint->addr.u.sa.sa_family == AF_INET ? 1 : 2;
}

static int busy_families(const struct iso_board_region *region, uint16_t busy)
{
	int families = 0;

	for (uint32_t i = 0; i < region->endpoint_count; i++)
		if (has(busy, i))
			families |= family_bit(&region->endpoints[i]);
	return families;
}

int iso_reach_choose(struct iso_reach *reach, const struct iso_board_region *region, uint16_t avoid,
		     uint16_t busy, uint64_t now_us)
{
	int best = -1, best_rank = 0, families = busy_families(region, busy);
	uint32_t best_us = 0;

	check_epoch(reach, region);
	for (uint32_t i = 0; i < region->endpoint_count; i++) {
		const struct iso_board_endpoint *endpoint = &region->endpoints[i];
		int rank = (endpoint->usable ? 16 : 0) + (has(avoid, i) ? 0 : 8) +
			   (now_us >= reach->rests_until_us[i] ? 4 : 0) + (has(busy, i) ? 0 : 2) +
			   ((families & family_bit(endpoint)) == 0 ? 1 : 0);
		uint32_t us = endpoint->estimate_us;

		if (best < 0 || rank > best_rank || (rank == best_rank && us < best_us)) {
			best = (int)i;
			best_rank = rank;
			best_us = us;
		}
	}
	return best;
}

bool iso_reach_other(struct iso_reach *reach, const struct iso_board_region *region, uint16_t avoid,
		     uint16_t busy, uint64_t now_us)
{
	check_epoch(reach, region);
	for (uint32_t i = 0; i < region->endpoint_count; i++)
		if (region->endpoints[i].usable && !has(avoid, i) && !has(busy, i) &&
		    now_us >= reach->rests_until_us[i])
			return true;
	return false;
}

void iso_reach_failed(struct iso_reach *reach, uint32_t endpoint, uint64_t now_us)
{
	reach->rests_until_us[endpoint] = now_us + ((uint64_t)REST_US << reach->failures[endpoint]);
	if (reach->failures[endpoint] < DOUBLINGS_MAX)
		reach->failures[endpoint]++;
}

void iso_reach_worked(struct iso_reach *reach, uint32_t endpoint)
{
	reach->rests_until_us[endpoint] = 0;
	reach->failures[endpoint] = 0;
}
