/*
 * A token bucket whose income has a fixed part a second and a part for each event. Thousandths of tokens.
 * Pure.
 */
#ifndef ISO_STATS_BUCKET_H
#define ISO_STATS_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct iso_bucket {
	uint64_t level_milli;
	uint64_t per_second_milli, per_event_milli;
	uint64_t filled_us;             /* when the fixed income was last added */
	uint64_t rest;                  /* of that income: less than 1/1000, in millionths of it */
	uint64_t second_us;             /* begin of the running second */
	uint64_t events, events_before; /* in the running second and the one before */
};

/* Starts with one second of fixed income. */
void iso_bucket_init(struct iso_bucket *b, uint64_t per_second_milli, uint64_t per_event_milli,
		     uint64_t now_us);
/* One event: adds its income. The level never exceeds one second of income at the rate of events seen. */
void iso_bucket_deposit(struct iso_bucket *b, uint64_t now_us);
/* Takes whole tokens; false: there are not enough, nothing is taken. */
bool iso_bucket_take(struct iso_bucket *b, uint64_t tokens, uint64_t now_us);

#endif
