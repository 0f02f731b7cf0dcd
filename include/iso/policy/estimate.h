/*
 * A region's predicted time to the response head. Good live answers make an average; what failures add is
 * kept apart from it and never negative, so that a failure cannot lower the prediction now or at any later
 * time. Probes carry a region that has no traffic. Pure; times are CLOCK_MONOTONIC microseconds.
 */
#ifndef ISO_POLICY_ESTIMATE_H
#define ISO_POLICY_ESTIMATE_H

#include "iso/stats/ewma.h"

enum {
	ISO_ESTIMATE_PENALTY_US = 1000 * 1000, /* what a failure counts as, at least */
	ISO_ESTIMATE_STALE_US = 2 * 1000 * 1000,
};

struct iso_estimate {
	struct iso_ewma live;     /* good answers only */
	double excess_us;         /* what failures add, one by one */
	double struck_us;         /* what failures in a row add: the larger of the two counts */
	uint64_t failed_us;       /* time of the last failure; 0: none */
	uint64_t bad_since_us;    /* of the first since the last good answer, with bad_run > 0 */
	uint32_t probes_unfailed; /* good probes since the last failure, live or of a probe */
	bool unproven; /* its requests failed, then its probes passed; no request has been answered well since
			*/
	uint32_t bad_run;      /* failures since the last good answer, at most 2 */
	uint32_t good_run;     /* good answers since the last failure, as far as they matter */
	uint32_t probes_us[2]; /* the last good probes, newest first */
	uint32_t probe_count;  /* good probes since the last one that failed, at most 2 */
	uint32_t probes_since; /* good probes since the last good live answer, without one that failed */
	uint64_t probed_us;    /* time of the last good probe; 0: none */
	uint64_t slowed_us;    /* when it became much slower than it was; 0: not lately */
	uint64_t last_slow_us; /* the same, kept; 0: never */
	uint32_t relapses;     /* times that it became slow soon after it had been */
	uint32_t before_us;    /* what it was then */
	double ratio;          /* of live answers to probes, learnt */
	uint64_t decayed_us;   /* when the decay was last applied; 0: not stale */
};

void iso_estimate_init(struct iso_estimate *e);
/* A good answer. */
void iso_estimate_good(struct iso_estimate *e, uint32_t ttfb_us, uint64_t now_us);
/*
 * A failure that is the region's: counts as the largest of what was observed, its age, the penalty,
 * Retry-After (0: none) and the estimate itself, by a small weight; two in a row, with nothing good for 50
 * ms, count in full. Never makes the estimate fresh.
 */
void iso_estimate_failure(struct iso_estimate *e, uint64_t age_us, uint64_t retry_after_us, uint64_t now_us);
/* An error that is not the region's fault, or a try given up: slow ones count, fast ones say nothing. */
void iso_estimate_error(struct iso_estimate *e, uint64_t age_us, uint64_t now_us);
void iso_estimate_probe(struct iso_estimate *e, uint32_t ttfb_us, uint64_t now_us);
/* A probe failed: earlier ones do not speak for the region any more. */
void iso_estimate_probe_failed(struct iso_estimate *e);
/* Every 100 ms or so: moves a stale estimate towards what the probes say. */
void iso_estimate_tick(struct iso_estimate *e, uint64_t now_us);
/* It is not silent after all, says a probe: what the probes predict counts when that is slower. */
void iso_estimate_heard(struct iso_estimate *e, uint64_t now_us);
/*
 * What made it slow is not used any more (one address of several): no higher than what the rest takes. What
 * failures have added stays.
 */
void iso_estimate_without(struct iso_estimate *e, uint32_t rest_us);

/*
 * Whether it has become much slower lately, or fails, or its live answers say that it is much slower than its
 * probes do: more probes will tell.
 */
bool iso_estimate_in_question(const struct iso_estimate *e);
/* The prediction; 0: none yet. */
uint32_t iso_estimate_us(const struct iso_estimate *e);
/* The same without what failures add: the usual time of a normal answer, for suspicion; 0: none yet. */
uint32_t iso_estimate_usual_us(const struct iso_estimate *e);

#endif
