/*
 * A token bucket whose income has a fixed part a second and a part for each event. Thousandths of tokens.
 * Shared by threads without a lock: what two of them do at the same instant may count in either order.
 */
#ifndef ISO_STATS_BUCKET_H
#define ISO_STATS_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct iso_bucket {
	_Atomic int64_t level_milli;
	_Atomic uint64_t per_second_milli, per_event_milli;
	_Atomic uint64_t filled_us;             /* the fixed income is in up to here */
	_Atomic uint64_t second_us;             /* begin of the running second */
	_Atomic uint64_t events, events_before; /* in the running second and the one before */
};

/* Before it is shared. Starts with one second of fixed income. */
void iso_bucket_init(struct iso_bucket *b, uint64_t per_second_milli, uint64_t per_event_milli,
		     uint64_t now_us);
/* From now on; the level stays. */
void iso_bucket_set_income(struct iso_bucket *b, uint64_t per_second_milli, uint64_t per_event_milli);
/* Adds the income of so many events. The level never exceeds one second of income at the rate of events seen.
 */
void iso_bucket_deposit(struct iso_bucket *b, uint64_t events, uint64_t now_us);
/* Takes whole tokens; false: there are not enough, nothing is taken. */
bool iso_bucket_take(struct iso_bucket *b, uint64_t tokens, uint64_t now_us);
/* Gives back what was taken for nothing. */
void iso_bucket_give(struct iso_bucket *b, uint64_t tokens);
/* What is there, in thousandths. */
uint64_t iso_bucket_level_milli(const struct iso_bucket *b);
/* The same with what has come in until now. */
uint64_t iso_bucket_now_milli(struct iso_bucket *b, uint64_t now_us);

#endif
