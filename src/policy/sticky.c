/*
 * Weighted rendezvous hashing (Thaler and Ravishankar, 1998). With u uniform in (0, 1], -log(u) / weight is
 * exponential with the rate `weight`, and the least of several exponentials falls to each by its rate.
 */
#include "iso/policy/sticky.h"

#include <assert.h>

#include "iso/base/hmap.h"

enum { LOG_BITS = 24, COST_BITS = 20 };

#define COST_OF_WEIGHT_0 (UINT64_C(1) << 62)

uint64_t iso_sticky_hash(struct iso_slice text)
{
	static const uint64_t seed[2] = { UINT64_C(0x69736f6368726f6e), UINT64_C(0x652d737469636b79) };

	return iso_siphash(seed, text);
}

/* splitmix64's last steps (Steele, Lea and Flood, 2014): each bit of the sum changes half of the result's. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* -log2(x / 2^64) in units of 2^-LOG_BITS, at least 1; bit by bit: squaring doubles the logarithm. */
static uint64_t minus_log2(uint64_t x)
{
	uint32_t zeros = (uint32_t)__builtin_clzll(x | 1);
	uint64_t m = (x | 1) << zeros >> 32; /* 1 to 2, in units of 2^-31 */
	uint64_t fraction = 0;

	for (uint32_t i = 0; i < LOG_BITS; i++) {
		m = m * m >> 31;
		fraction = fraction << 1 | m >> 32;
		m >>= m >> 32;
	}
	return ((uint64_t)(zeros + 1) << LOG_BITS) - fraction;
}

void iso_sticky_fill(struct iso_view_client *client, uint32_t index, uint64_t key, uint64_t region,
		     uint32_t weight)
{
	uint64_t hash = mix(key ^ region);
	uint64_t cost = minus_log2(hash);

	assert(index < ISO_VIEW_MAX);
	client->cost[index] = weight > 0 ? (cost << COST_BITS) / weight : COST_OF_WEIGHT_0 + cost;
	client->turn[index] = (uint16_t)(mix(hash) >> 48);
}
