/*
 * A decaying estimate of a time in microseconds: calm in noise (about 100 samples or 10 s), quick at a
 * change. Pure: time is an argument. State in integers (1/256 us), so that it can be computed again
 * elsewhere.
 */
#ifndef ISO_STATS_EWMA_H
#define ISO_STATS_EWMA_H

#include <stdbool.h>
#include <stdint.h>

enum { ISO_EWMA_RECENT = 5 };

struct iso_ewma {
	uint64_t value_q8;  /* the estimate, 1/256 us; 0 with count 0: none */
	uint64_t fresh_us;  /* time of the freshest good sample: a late one is older; 0: never */
	uint64_t change_us; /* when the change detector last reset the estimate; 0: never */
	uint64_t last_us;   /* time of the last update */
	uint64_t slow_us;   /* when the first of the late samples in a row came; 0: the last was none */
	uint32_t count;     /* good samples, saturating */
	uint32_t recent[ISO_EWMA_RECENT]; /* the last good samples, newest at recent_at - 1 */
	uint32_t recent_count, recent_at;
};

void iso_ewma_init(struct iso_ewma *e);
/* A good sample: it came at now_us and had been asked for sample_us before. Returns true when the change
 * detector reset the estimate. */
bool iso_ewma_update(struct iso_ewma *e, uint32_t sample_us, uint64_t now_us);
/* Forgets the past: the estimate is value_us now. Not a sample: freshness stays. */
void iso_ewma_set(struct iso_ewma *e, uint32_t value_us);
/* What it is made of is old: it counts as so many samples at most, so that new ones weigh more. */
void iso_ewma_doubt(struct iso_ewma *e, uint32_t count);
/* Moves the estimate towards target_us as exp(-dt/tau). */
void iso_ewma_decay(struct iso_ewma *e, uint32_t target_us, uint64_t dt_us, uint64_t tau_us);

/* The middle one of the last few good samples, which a lone odd one does not move; 0: there are too few. */
uint32_t iso_ewma_recent_us(const struct iso_ewma *e);

static inline bool iso_ewma_known(const struct iso_ewma *e)
{
	return e->value_q8 != 0;
}

static inline uint32_t iso_ewma_us(const struct iso_ewma *e)
{
	return (uint32_t)(e->value_q8 >> 8);
}

#endif
