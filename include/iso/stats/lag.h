/*
 * How far a loop is behind: what none of its last turns was shorter than, as long as it did not wait for
 * events between them. One long turn is an accident (a stopped process, a large reload), a queue that never
 * runs empty is overload (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012). Pure.
 */
#ifndef ISO_STATS_LAG_H
#define ISO_STATS_LAG_H

#include <stdint.h>

enum { ISO_LAG_TURNS = 3, ISO_LAG_WAITED_US = 10 * 1000 };

/* Cleared memory is a loop that has caught up. */
struct iso_lag {
	uint64_t turns_us[ISO_LAG_TURNS]; /* how long the last turns took */
	uint64_t ended_us;                /* when the last one ended; 0: none yet */
	uint32_t at;
};

/* A turn began: one that waited for longer than ISO_LAG_WAITED_US had nothing left to do. */
void iso_lag_begin(struct iso_lag *lag, uint64_t now_us);
/* It ended; began_us is the time given to iso_lag_begin. */
void iso_lag_end(struct iso_lag *lag, uint64_t began_us, uint64_t now_us);
/* The shortest of the last turns; 0: it has caught up. */
uint64_t iso_lag_us(const struct iso_lag *lag);

#endif
