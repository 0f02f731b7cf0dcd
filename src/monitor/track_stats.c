/*
 * See track_stats_priv.h. Pure.
 */
#include "track_stats_priv.h"

#include <string.h>

enum {
	LONGEST_US = 30 * 1000 * 1000,
	CALM_US = 10 * 1000 * 1000, /* as a region's ratio of live answers to probes is learnt */
	ALIKE_US = 10 * 1000,       /* probes differ by so much, and by half, without anything being new */
	SURPRISE = 2,               /* an answer so many times as quick as expected calls for more of them */
};

void iso_track_stats_init(struct iso_track_stats *ts, uint64_t now_us)
{
	memset(ts, 0, sizeof(*ts));
	iso_estimate_init(&ts->estimate);
	iso_window_init(&ts->window);
	iso_window_init(&ts->totals);
	ts->bound_us = now_us;
}

static bool alike(uint32_t a_us, uint32_t b_us)
{
	uint64_t least_us = a_us < b_us ? a_us : b_us, most_us = a_us < b_us ? b_us : a_us;

	return most_us <= least_us + least_us / 2 + ALIKE_US;
}

/* What a probe of the region takes; 0: nobody knows now, or the last two do not agree. */
static uint32_t probe_level_us(const struct iso_estimate *region)
{
	uint32_t last_us = region->probes_us[0], before_us = region->probes_us[1];

	if (region->probe_count < 2)
		return region->probe_count == 1 ? last_us : 0;
	return !alike(last_us, before_us) ? 0 : before_us < last_us ? before_us : last_us;
}

/* What it takes now, in place of what it took when probes were as now, or as they were before the last time.
 */
static void note_then(struct iso_track_stats *ts, struct iso_track_then now)
{
	if (ts->then[ts->then_at].us != 0 && !alike(ts->then[ts->then_at].probe_us, now.probe_us))
		ts->then_at = 1 - ts->then_at;
	ts->then[ts->then_at] = now;
}

void iso_track_stats_good(struct iso_track_stats *ts, uint32_t ttfb_us, const struct iso_estimate *region,
			  uint64_t now_us)
{
	struct iso_estimate *e = &ts->estimate;
	struct iso_track_then now = { .probe_us = probe_level_us(region) };
	uint32_t before_us = iso_ewma_us(&e->live);

	iso_estimate_good(e, ttfb_us, now_us);
	/* Just before a change is noticed, and after it, the probes speak of another time than the answers.
	 */
	if ((before_us != 0 && !alike(before_us, ttfb_us) && ttfb_us > before_us) ||
	    (e->live.change_us != 0 && now_us < e->live.change_us + CALM_US))
		return;
	now.us = iso_ewma_us(&e->live);
	if (now.probe_us == 0)
		return;
	note_then(ts, now);
	/* The probes that went before say no more than this answer does. */
	e->probes_us[0] = e->probes_us[1] = now.us;
}

static uint32_t distance(uint32_t a_us, uint32_t b_us)
{
	return a_us < b_us ? b_us - a_us : a_us - b_us;
}

/*
 * A probe knows nothing of the route's own work: what it takes more or less than it did is the network's and
 * the region's, and comes on top. Scaled, a slow route's time would swing by seconds with a probe's
 * milliseconds. Only of a route that is quicker than the probe the same part is taken.
 */
void iso_track_stats_probe(struct iso_track_stats *ts, uint32_t ttfb_us, uint64_t now_us)
{
	const struct iso_track_then *then = &ts->then[ts->then_at], *before = &ts->then[1 - ts->then_at];
	uint64_t us;

	if (!iso_ewma_known(&ts->estimate.live))
		return;
	if (then->us == 0)
		note_then(ts, (struct iso_track_then){ iso_ewma_us(&ts->estimate.live),
						       ttfb_us != 0 ? ttfb_us : 1 });
	else if (before->us != 0 && distance(before->probe_us, ttfb_us) < distance(then->probe_us, ttfb_us))
		then = before;
	if (then->us >= then->probe_us)
		us = (uint64_t)then->us - then->probe_us + ttfb_us;
	else
		us = (uint64_t)then->us * ttfb_us / then->probe_us;
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
