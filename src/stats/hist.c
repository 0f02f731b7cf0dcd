/*
 * See hist.h. Buckets 0 to 31 are exact microseconds; then each octave has 32 steps.
 */
#include "iso/stats/hist.h"

#include <string.h>

enum { SUB = 1 << ISO_HIST_SUB_BITS };

static uint32_t index_of(uint32_t us)
{
	uint32_t octave, index;

	if (us < SUB)
		return us;
	octave = 31u - (uint32_t)__builtin_clz(us) - ISO_HIST_SUB_BITS;
	index = ((octave + 1) << ISO_HIST_SUB_BITS) + (us >> octave) - SUB;
	return index < ISO_HIST_BUCKETS ? index : ISO_HIST_BUCKETS - 1;
}

/* The middle of a bucket. */
static uint32_t value_of(uint32_t index)
{
	uint32_t octave, low;

	if (index < SUB)
		return index;
	octave = (index >> ISO_HIST_SUB_BITS) - 1;
	low = (SUB + (index & (SUB - 1))) << octave;
	return low + (1u << octave) / 2;
}

void iso_hist_reset(struct iso_hist *hist)
{
	memset(hist, 0, sizeof(*hist));
}

void iso_hist_record(struct iso_hist *hist, uint32_t us)
{
	hist->count++;
	hist->sum_us += us;
	hist->buckets[index_of(us)]++;
}

void iso_hist_merge(struct iso_hist *to, const struct iso_hist *from)
{
	to->count += from->count;
	to->sum_us += from->sum_us;
	for (uint32_t i = 0; i < ISO_HIST_BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
}

uint32_t iso_hist_percentile(const struct iso_hist *hist, uint32_t per_10000)
{
	uint64_t rank, seen = 0;

	if (hist->count == 0)
		return 0;
	rank = (hist->count * per_10000 + 9999) / 10000;
	if (rank == 0)
		rank = 1;
	for (uint32_t i = 0; i < ISO_HIST_BUCKETS; i++) {
		seen += hist->buckets[i];
		if (seen >= rank)
			return value_of(i);
	}
	return value_of(ISO_HIST_BUCKETS - 1);
}
