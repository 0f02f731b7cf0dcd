/*
 * A mergeable histogram of microseconds: log-linear, relative error at most 2 %, fixed memory. Pure.
 */
#ifndef ISO_STATS_HIST_H
#define ISO_STATS_HIST_H

#include <stdint.h>

enum {
	ISO_HIST_SUB_BITS = 5, /* 32 steps an octave: 1/64 = 1.6 % at the middle of a step */
	ISO_HIST_OCTAVES = 23, /* above the exact range: up to 32 us x 2^22 = 134 s */
	ISO_HIST_BUCKETS = (ISO_HIST_OCTAVES + 1) << ISO_HIST_SUB_BITS,
};

struct iso_hist {
	uint64_t count, sum_us;
	uint32_t buckets[ISO_HIST_BUCKETS];
};

void iso_hist_reset(struct iso_hist *hist);
/* Longer times count in the last bucket. */
void iso_hist_record(struct iso_hist *hist, uint32_t us);
void iso_hist_merge(struct iso_hist *to, const struct iso_hist *from);
/* The value below which per_10000 ten-thousandths of the samples lie; 0 when there is none. */
uint32_t iso_hist_percentile(const struct iso_hist *hist, uint32_t per_10000);

#endif
