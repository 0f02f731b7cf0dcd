/*
 * What is known of a route that is measured by itself (a track), in one region: as a region's own numbers, of
 * its requests alone. Connections are shared by all routes, so that connecting is none of it. Pure; owned by
 * the publisher.
 */
#ifndef ISO_MONITOR_TRACK_STATS_PRIV_H
#define ISO_MONITOR_TRACK_STATS_PRIV_H

#include "iso/policy/estimate.h"
#include "iso/stats/window.h"
#include "iso/upstream/board.h"

/* What the route took when it was last answered well while a probe of the region took so long. */
struct iso_track_then {
	uint32_t us, probe_us; /* 0: not known */
};

struct iso_track_stats {
	/* Its probes are the region's, each as what it lets expect of the route. */
	struct iso_estimate estimate;
	struct iso_window window, totals; /* live answers: to the response head; whole ones */
	/* Twice: as things are, and as they were before the region's probes became much slower or quicker. */
	struct iso_track_then then[2];
	uint32_t then_at;     /* as they are */
	uint64_t bound_us;    /* since when it is kept */
	uint64_t hedge_at_us; /* when hedge_us was last looked up */
	uint32_t hedge_us;
	uint32_t usual_us; /* as judged last: its own usual time, or what the region's lets expect; 0: none */
};

/* Of that number, out of a region's; NULL: none is kept. */
static inline struct iso_track_stats *iso_track_of(struct iso_track_stats *const tracks[], uint32_t number)
{
	return tracks != NULL && number - 1 < ISO_TRACK_SLOTS ? tracks[number - 1] : NULL;
}

void iso_track_stats_init(struct iso_track_stats *ts, uint64_t now_us);
/* A good answer by an address that is in use; region: the region's own estimate. */
void iso_track_stats_good(struct iso_track_stats *ts, uint32_t ttfb_us, const struct iso_estimate *region,
			  uint64_t now_us);
/* A good probe of the region. */
void iso_track_stats_probe(struct iso_track_stats *ts, uint32_t ttfb_us, uint64_t now_us);
/* What made the region slow is not used any more: its usual time fell from before_us to after_us. */
void iso_track_stats_without(struct iso_track_stats *ts, uint32_t before_us, uint32_t after_us);
/*
 * Whether nothing has come of its requests for two probe intervals, or the last answer was so quick that more
 * should follow: what probes cannot see of it, a few requests may.
 */
bool iso_track_stats_unmeasured(const struct iso_track_stats *ts, uint64_t interval_us, uint64_t now_us);

#endif
