/*
 * What is known of one region, and the judgement over the regions of one service: samples in, time in, facts
 * out. Pure (no loop, no clock), so that simulations drive it in virtual time. Owner: the publisher, control
 * thread.
 */
#ifndef ISO_MONITOR_REGION_STATS_PRIV_H
#define ISO_MONITOR_REGION_STATS_PRIV_H

#include "endpoint_stats_priv.h"
#include "iso/policy/estimate.h"
#include "iso/policy/health.h"
#include "iso/policy/outlier.h"
#include "iso/policy/throttle.h"
#include "iso/stats/window.h"
#include "iso/upstream/board.h"
#include "iso/upstream/evidence.h"

/* How a probe went. */
struct iso_probe_note {
	uint64_t at_us; /* its end; 0: there was none yet */
	uint32_t dns_us, connect_us, tls_us, ttfb_us;
	uint16_t status; /* 0: no answer */
	bool passed;
	const char *words; /* static */
};

struct iso_region_stats {
	struct iso_estimate estimate;
	struct iso_track_stats *const *tracks; /* ISO_TRACK_SLOTS, borrowed, each may be NULL; NULL */
	struct iso_window window;              /* live answers: times to the response head */
	struct iso_window connects, handshakes, totals; /* connections made; whole answers */
	struct iso_endpoint_stats endpoints;
	struct iso_outlier outlier;
	struct iso_health health;
	struct iso_throttle throttle;
	struct iso_probe_note probe; /* the last one */
	const char *wish;            /* why its live failures want it ejected; NULL: they do not */
	const char *eject_words;     /* kept after the ejection, for people; NULL: never ejected */
	uint64_t live_good_us;       /* the last good live answer */
	uint64_t suspect_us;         /* since when it is suspect; 0: it is not */
	uint64_t silent_us;          /* how long it has been silent, while suspect */
	uint64_t normal_us;          /* start of the last normal answer */
	uint64_t back_us;            /* when it last came back; 0: it was never out */
	uint64_t compared_us;        /* when it was last compared with its past and the others */
	uint64_t passed_us;          /* the last answer that was no 429; 0: none */
	uint64_t refused_us;         /* the first 429 since then */
	uint32_t refused_run;        /* 429s since then, as far as they matter */
	struct iso_blamed blamed;
	bool learns;                          /* its limit is learnt from its 429s */
	bool ramping;                         /* its way back is not complete */
	bool out;                             /* as judged last: not up, or drained */
	uint64_t outcomes[ISO_OUTCOME_COUNT]; /* live attempts */
	uint64_t probes_passed, probes_failed, probes_ignored;
};

/* One worker's cell, read once. */
struct iso_cell_view {
	uint64_t oldest_us, progress_us;
	uint32_t waiting;
	uint64_t overdue_us;
};

/* What the board says of a region, but for its endpoints. */
struct iso_region_facts {
	enum iso_region_state state;
	bool up, suspect;
	uint32_t weight, ramp, estimate_us, usual_us;
	uint64_t normal_us;
	uint32_t trial; /* half-open: names its trial request; 0: none */
};

struct iso_judge {
	uint64_t now_us;
	uint32_t healthy_threshold;
	uint16_t drained;      /* bit i: region i, by an operator */
	uint16_t tried;        /* bit i: a worker has sent region i's trial request */
	bool uplink_down;      /* nothing is ejected now */
	bool by_latency;       /* the policy gives a slow region next to nothing by itself */
	const uint32_t *draws; /* one uniform number for each region, for jitter */
};

void iso_region_stats_init(struct iso_region_stats *rs);
/* A live attempt that ended. */
void iso_region_stats_sample(struct iso_region_stats *rs, const struct iso_sample *sample);
/*
 * A probe that ended; start_us: when it began; outcome as the attempt's. With uplink_down a failure to
 * connect says nothing about the region.
 */
void iso_region_stats_probe(struct iso_region_stats *rs, const struct iso_probe_note *note, uint64_t start_us,
			    enum iso_outcome outcome, const struct iso_cfg_health *cfg, bool uplink_down);
/* How all workers wait for it now. */
void iso_region_stats_cells(struct iso_region_stats *rs, const struct iso_cell_view *cells, uint32_t n,
			    uint64_t now_us);
/* In doubt: probed fast. */
bool iso_region_stats_doubted(const struct iso_region_stats *rs);
/* Judges the n regions of a service: ejections, returns, ramps, weights. */
void iso_service_judge(struct iso_region_stats *const regions[], uint32_t n, const struct iso_judge *judge,
		       struct iso_region_facts ret_facts[]);

/*
 * After the judgement over the n regions of its service, every 100 ms or so: a route's weights by its own
 * times, with the regions' states, ramps and silence. Where nothing is known of it in a region, what the
 * region takes counts, times what the route takes elsewhere against the regions there: that neither attracts
 * nor repels. Fills the lanes but for hedge_us and slot.
 */
void iso_track_judge(struct iso_track_stats *const tracks[], struct iso_region_stats *const regions[],
		     const struct iso_region_facts facts[], uint32_t n, uint64_t now_us,
		     struct iso_board_lane ret_lanes[]);

#endif
