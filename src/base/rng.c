/*
 * xoshiro256** seeded by splitmix64 (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators").
 */
#include "iso/base/rng.h"

#include <sys/random.h>

#include "iso/base/clock.h"

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

void iso_rng_seed(struct iso_rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		rng->s[i] = z ^ z >> 31;
	}
}

void iso_rng_seed_os(struct iso_rng *rng)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		seed = iso_clock_wall_us() ^ iso_clock_mono_us() << 20;
	iso_rng_seed(rng, seed);
}

uint64_t iso_rng_next(struct iso_rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

uint32_t iso_rng_below(struct iso_rng *rng, uint32_t n)
{
	/* Lemire's multiplication, with the rejection that makes it exact. */
	uint64_t m = (iso_rng_next(rng) >> 32) * n;

	if ((uint32_t)m < n) {
		uint32_t floor = (0u - n) % n;

		while ((uint32_t)m < floor)
			m = (iso_rng_next(rng) >> 32) * n;
	}
	return (uint32_t)(m >> 32);
}
