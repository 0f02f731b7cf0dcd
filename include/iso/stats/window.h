/*
 * The last minute of a region: six histograms of ten seconds each, and good and bad counts. Pure.
 */
#ifndef ISO_STATS_WINDOW_H
#define ISO_STATS_WINDOW_H

#include "iso/stats/hist.h"

enum { ISO_WINDOW_SLOTS = 6, ISO_WINDOW_SLOT_US = 10 * 1000 * 1000 };

struct iso_window_slot {
	struct iso_hist hist;
	uint64_t good, bad;
	uint64_t epoch; /* time / ISO_WINDOW_SLOT_US that the slot holds */
};

struct iso_window {
	struct iso_window_slot slots[ISO_WINDOW_SLOTS];
};

/* What a window holds at one moment. */
struct iso_window_sums {
	uint64_t good, bad;
	uint32_t p50_us, p95_us, p99_us; /* of the good ones; 0: none */
};

void iso_window_init(struct iso_window *window);
void iso_window_good(struct iso_window *window, uint32_t us, uint64_t now_us);
void iso_window_bad(struct iso_window *window, uint64_t now_us);
/* Of the slots that begin at from_us or later and before to_us. */
void iso_window_span(const struct iso_window *window, uint64_t from_us, uint64_t to_us,
		     struct iso_window_sums *ret_sums);
/* Good and bad ones of the last minute together. */
uint64_t iso_window_count(const struct iso_window *window, uint64_t now_us);
/* Of the last minute. */
void iso_window_sum(const struct iso_window *window, uint64_t now_us, struct iso_window_sums *ret_sums);

#endif
