/*
 * See reach_priv.h.
 */
#include "reach_priv.h"

#include <string.h>

#include "iso/net/resolver.h"

enum { REST_US = 1000 * 1000, DOUBLINGS_MAX = 6 };

static struct iso_reach_address *find(struct iso_reach *reach, const struct iso_sockaddr *addr)
{
	for (uint32_t i = 0; i < reach->count; i++)
		if (iso_sockaddr_eq(&reach->v[i].addr, addr))
			return &reach->v[i];
	return NULL;
}

/* What is remembered moves to the indexes of the board. */
static void follow(struct iso_reach *reach, const struct iso_board_region *region)
{
	struct iso_reach old;

	if (region->endpoints_epoch == reach->epoch && region->endpoint_count == reach->count)
		return;
	old = *reach;
	memset(reach, 0, sizeof(*reach));
	reach->epoch = region->endpoints_epoch;
	reach->count = region->endpoint_count;
	for (uint32_t i = 0; i < reach->count; i++) {
		const struct iso_reach_address *known = find(&old, &region->endpoints[i].addr);

		if (known != NULL)
			reach->v[i] = *known;
		reach->v[i].addr = region->endpoints[i].addr;
	}
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

int iso_reach_choose(struct iso_reach *reach, const struct iso_board_region *region,
		     const struct iso_reach_wish *wish, uint64_t now_us)
{
	int best = -1, best_rank = 0, families = busy_families(region, wish->busy);

	follow(reach, region);
	for (uint32_t i = 0; i < region->endpoint_count; i++) {
		const struct iso_board_endpoint *endpoint = &region->endpoints[i];
		int rank = (endpoint->usable ? 32 : 0) + (has(wish->avoid, i) ? 0 : 16) +
			   (now_us >= reach->v[i].rests_until_us ? 8 : 0) + (endpoint->slower ? 0 : 4) +
			   (has(wish->busy, i) ? 0 : 2) + ((families & family_bit(endpoint)) == 0 ? 1 : 0);

		if (best < 0 || rank > best_rank || (rank == best_rank && wish->load[i] < wish->load[best])) {
			best = (int)i;
			best_rank = rank;
		}
	}
	return best;
}

bool iso_reach_other(struct iso_reach *reach, const struct iso_board_region *region, uint16_t avoid,
		     uint16_t busy, uint64_t now_us)
{
	follow(reach, region);
	for (uint32_t i = 0; i < region->endpoint_count; i++)
		if (region->endpoints[i].usable && !has(avoid, i) && !has(busy, i) &&
		    now_us >= reach->v[i].rests_until_us)
			return true;
	return false;
}

bool iso_reach_rested(struct iso_reach *reach, const struct iso_board_region *region, uint32_t endpoint,
		      uint64_t now_us)
{
	follow(reach, region);
	return now_us >= reach->v[endpoint].rests_until_us;
}

void iso_reach_failed(struct iso_reach *reach, const struct iso_board_region *region,
		      const struct iso_sockaddr *addr, uint64_t now_us)
{
	struct iso_reach_address *known;

	follow(reach, region);
	known = find(reach, addr);
	if (known == NULL)
		return;
	known->rests_until_us = now_us + ((uint64_t)REST_US << known->failures);
	if (known->failures < DOUBLINGS_MAX)
		known->failures++;
}

void iso_reach_worked(struct iso_reach *reach, const struct iso_board_region *region,
		      const struct iso_sockaddr *addr)
{
	struct iso_reach_address *known;

	follow(reach, region);
	known = find(reach, addr);
	if (known == NULL)
		return;
	known->rests_until_us = 0;
	known->failures = 0;
}
