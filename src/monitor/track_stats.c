/*
 * See track_stats_priv.h. Pure.
 */
#include "track_stats_priv.h"

#include <string.h>

enum {
	LONGEST_US = 30 * 1000 * 1000,
	SURPRISE = 2, /* an answer so many times as quick as expected calls for more of them */
};

void iso_track_stats_init(struct iso_track_stats *ts, uint64_t now_us)
{
	memset(ts, 0, sizeof(*ts));
	iso_estimate_init(&ts->estimate);
	iso_window_init(&ts->window);
	iso_window_init(&ts->totals);
	ts->bound_us = now_us;
}

/* What a probe of the region takes; 0: nobody knows now. */
static uint32_t probe_level_us(const struct iso_estimate *region)
{
	if (region->probe_count == 0)
		return 0;
	return region->probe_count == 1
		       ? region->probes_us[0]
		       : (uint32_t)(((uint64_t)region->probes_us[0] + region->probes_us[1]) / 2);
}

void iso_track_stats_good(struct iso_track_stats *ts, uint32_t ttfb_us, const struct iso_estimate *region,
			  uint64_t now_us)
{
	struct iso_estimate *e = &ts->estimate;

	iso_estimate_good(e, ttfb_us, now_us);
	ts->then_us = iso_ewma_us(&e->live);
	ts->probe_then_us = probe_level_us(region);
	/* The probes that went before say no more than this answer does. */
	e->probes_us[0] = e->probes_us[1] = ts->then_us;
}

/*
 * A probe knows nothing of the route's own work: what it takes more or less than it did is the network's and
 * the region's, and comes on top. Scaled, a slow route's time would swing by seconds with a probe's
 * milliseconds. Only of a route that is quicker than the probe the same part is taken.
 */
void iso_track_stats_probe(struct iso_track_stats *ts, uint32_t ttfb_us, uint64_t now_us)
{
	uint64_t us;

	if (!iso_ewma_known(&ts->estimate.live))
		return;
	if (ts->then_us == 0 || ts->probe_then_us == 0) {
		ts->then_us = iso_ewma_us(&ts->estimate.live);
		ts->probe_then_us = ttfb_us != 0 ? ttfb_us : 1;
	}
	if (ts->then_us >= ts->probe_then_us)
		us = (uint64_t)ts->then_us - ts->probe_then_us + ttfb_us;
	else
		us = (uint64_t)ts->then_us * ttfb_us / ts->probe_then_us;
	iso_estimate_probe(&ts->estimate, us < LONGEST_US ? (uint32_t)us : LONGEST_US, now_us);
}

void iso_track_stats_without(struct iso_track_stats *ts, uint32_t before_us, uint32_t after_us)
{
	uint64_t usual_us = iso_estimate_usual_us(&ts->estimate);

	if (before_us != 0 && after_us < before_us)
		iso_estimate_without(&ts->estimate, (uint32_t)(usual_us * after_us / before_us));
}

bool iso_track_stats_unmeasured(const struct iso_track_stats *ts, uint64_t interval_us, uint64_t now_us)
{
	const struct iso_ewma *live = &ts->estimate.live;
	uint64_t last_us = ts->bound_us;
	uint32_t newest_us = live->recent[(live->recent_at + ISO_EWMA_RECENT - 1) % ISO_EWMA_RECENT];

	if (live->fresh_us > last_us)
		last_us = live->fresh_us;
	if (ts->estimate.failed_us > last_us)
		last_us = ts->estimate.failed_us;
	return now_us > last_us + 2 * interval_us ||
	       (live->recent_count > 0 && (uint64_t)newest_us * SURPRISE < iso_ewma_us(live));
}
