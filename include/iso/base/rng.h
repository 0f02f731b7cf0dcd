/*
 * xoshiro256** (Blackman and Vigna, 2018): fast, small, seedable; for choices and jitter, never for secrets.
 */
#ifndef ISO_BASE_RNG_H
#define ISO_BASE_RNG_H

#include <stdint.h>

struct iso_rng {
	uint64_t s[4];
};

void iso_rng_seed(struct iso_rng *rng, uint64_t seed); /* by splitmix64: every seed is good */
void iso_rng_seed_os(struct iso_rng *rng);             /* from getrandom(2) */
uint64_t iso_rng_next(struct iso_rng *rng);
uint32_t iso_rng_below(struct iso_rng *rng, uint32_t n); /* uniform in 0..n-1; n > 0 */

#endif
