/*
 * See window.h.
 */
#include "iso/stats/window.h"

#include <string.h>

void iso_window_init(struct iso_window *window)
{
	memset(window, 0, sizeof(*window));
}

static struct iso_window_slot *slot_at(struct iso_window *window, uint64_t now_us)
{
	uint64_t epoch = now_us / ISO_WINDOW_SLOT_US;
	struct iso_window_slot *slot = &window->slots[epoch % ISO_WINDOW_SLOTS];

	if (slot->epoch != epoch) {
		memset(slot, 0, sizeof(*slot));
		slot->epoch = epoch;
	}
	return slot;
}

void iso_window_good(struct iso_window *window, uint32_t us, uint64_t now_us)
{
	struct iso_window_slot *slot = slot_at(window, now_us);

	slot->good++;
	iso_hist_record(&slot->hist, us);
}

void iso_window_bad(struct iso_window *window, uint64_t now_us)
{
	slot_at(window, now_us)->bad++;
}

uint64_t iso_window_count(const struct iso_window *window, uint64_t now_us)
{
	uint64_t epoch = now_us / ISO_WINDOW_SLOT_US, count = 0;

	for (int i = 0; i < ISO_WINDOW_SLOTS; i++) {
		const struct iso_window_slot *slot = &window->slots[i];

		if (slot->epoch + ISO_WINDOW_SLOTS > epoch && slot->epoch <= epoch)
			count += slot->good + slot->bad;
	}
	return count;
}

void iso_window_span(const struct iso_window *window, uint64_t from_us, uint64_t to_us,
		     struct iso_window_sums *ret_sums)
{
	struct iso_window_sums sums = { 0 };
	struct iso_hist all;

	iso_hist_reset(&all);
	for (int i = 0; i < ISO_WINDOW_SLOTS; i++) {
		const struct iso_window_slot *slot = &window->slots[i];
		uint64_t begin_us = slot->epoch * ISO_WINDOW_SLOT_US;

		if (begin_us < from_us || begin_us >= to_us)
			continue;
		sums.good += slot->good;
		sums.bad += slot->bad;
		iso_hist_merge(&all, &slot->hist);
	}
	sums.p50_us = iso_hist_percentile(&all, 5000);
	sums.p95_us = iso_hist_percentile(&all, 9500);
	sums.p99_us = iso_hist_percentile(&all, 9900);
	*ret_sums = sums;
}

void iso_window_sum(const struct iso_window *window, uint64_t now_us, struct iso_window_sums *ret_sums)
{
	uint64_t begin_us = now_us / ISO_WINDOW_SLOT_US * ISO_WINDOW_SLOT_US;
	uint64_t before_us = (uint64_t)(ISO_WINDOW_SLOTS - 1) * ISO_WINDOW_SLOT_US;

	iso_window_span(window, begin_us > before_us ? begin_us - before_us : 0, now_us + 1, ret_sums);
}
