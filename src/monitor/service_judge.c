/*
 * The judgement over a service's regions: who is in, how far, with what weight. Pure; owned by the publisher.
 * Invariant: a region is never ejected when no other one is up.
 */
#include <assert.h>

#include "iso/policy/anomaly.h"
#include "iso/policy/weight.h"
#include "region_stats_priv.h"

enum {
	RAMP_US = 2 * 1000 * 1000,
	RAMP_START = ISO_WEIGHT_ONE / 10,
	UNKNOWN_US = 100 * 1000, /* when no region's time is known */
	PARDON_US = 2 * 1000 * 1000,
	COMPARE_US = 1000 * 1000,
};

static bool is_up(const struct iso_region_stats *rs)
{
	return !rs->outlier.ejected && rs->health.state != ISO_HEALTH_DOWN;
}

static bool is_drained(const struct iso_judge *judge, uint32_t i)
{
	return (judge->drained >> i & 1) != 0;
}

/* Whether a region other than `i` takes traffic. */
static bool another_up(struct iso_region_stats *const regions[], uint32_t n, const struct iso_judge *judge,
		       uint32_t i)
{
	for (uint32_t k = 0; k < n; k++)
		if (k != i && is_up(regions[k]) && !is_drained(judge, k))
			return true;
	return false;
}

/* What an ended ejection or an absence was about does not count again: spans begin when it came back. */
static void span(const struct iso_region_stats *rs, uint64_t from_us, uint64_t to_us,
		 struct iso_anomaly_span *ret_span)
{
	struct iso_window_sums sums;

	iso_window_span(&rs->window, from_us > rs->back_us ? from_us : rs->back_us, to_us, &sums);
	*ret_span = (struct iso_anomaly_span){ sums.good, sums.bad, sums.p50_us };
}

/* Once a second: who stands out against its own past and the others. */
static void compare(struct iso_region_stats *const regions[], uint32_t n, const struct iso_judge *judge)
{
	struct iso_anomaly_input inputs[ISO_VIEW_MAX];
	uint64_t slot_us = ISO_WINDOW_SLOT_US, now_us = judge->now_us;
	uint64_t recent_us = now_us / slot_us > 0 ? (now_us / slot_us - 1) * slot_us : 0;

	if (n == 0 || now_us < regions[0]->compared_us + COMPARE_US)
		return;
	regions[0]->compared_us = now_us;
	for (uint32_t i = 0; i < n; i++) {
		span(regions[i], recent_us, now_us + 1, &inputs[i].recent);
		span(regions[i], 0, recent_us, &inputs[i].past);
		inputs[i].up = is_up(regions[i]) && !is_drained(judge, i);
		if (judge->by_latency) /* its weight says it already, and by degrees */
			inputs[i].recent.p50_us = inputs[i].past.p50_us = 0;
	}
	for (uint32_t i = 0; i < n; i++)
		if (inputs[i].up && regions[i]->wish == NULL)
			regions[i]->wish = iso_anomaly_find(inputs, n, i);
}

static void eject_one(struct iso_region_stats *const regions[], uint32_t n, const struct iso_judge *judge,
		      uint32_t i)
{
	struct iso_region_stats *rs = regions[i];

	if (rs->wish == NULL || rs->outlier.ejected || judge->uplink_down ||
	    !another_up(regions, n, judge, i))
		return;
	iso_outlier_eject(&rs->outlier, rs->wish, judge->draws[i], judge->now_us);
	rs->eject_words = rs->wish;
	rs->wish = NULL;
}

/* One of them stays: rather one that answers, however badly, than one that cannot be reached. */
static void eject(struct iso_region_stats *const regions[], uint32_t n, const struct iso_judge *judge)
{
	for (uint32_t i = 0; i < n; i++)
		if (iso_outlier_is_unreached(&regions[i]->outlier))
			eject_one(regions, n, judge, i);
	for (uint32_t i = 0; i < n; i++)
		eject_one(regions, n, judge, i);
}

/* Where requests failed and probes pass, the probes' word alone brings no traffic back: one request does. */
static void doubt(struct iso_region_stats *const regions[], uint32_t n, const struct iso_judge *judge)
{
	for (uint32_t i = 0; i < n; i++) {
		struct iso_region_stats *rs = regions[i];

		if (!rs->estimate.unproven || rs->outlier.ejected || judge->uplink_down ||
		    !another_up(regions, n, judge, i))
			continue;
		rs->estimate.unproven = false;
		rs->eject_words = "its requests failed and its probes pass: one request is to tell";
		iso_outlier_doubt(&rs->outlier, rs->eject_words, judge->draws[i], judge->now_us);
	}
}

/* The last region's failures made it clear that it was not the region: those that went first come back. */
static void pardon(struct iso_region_stats *const regions[], uint32_t n, const struct iso_judge *judge)
{
	if (!judge->uplink_down)
		return;
	for (uint32_t i = 0; i < n; i++) {
		struct iso_outlier *outlier = &regions[i]->outlier;

		if (outlier->ejected && outlier->by_connect && outlier->since_us + PARDON_US > judge->now_us)
			iso_outlier_pardon(outlier);
		regions[i]->wish = NULL;
	}
}

/* 0 … ISO_WEIGHT_ONE; begins when the region comes back from any kind of absence. */
static uint32_t ramp_of(struct iso_region_stats *rs, bool drained, uint64_t now_us)
{
	bool out = !is_up(rs) || drained;
	uint64_t since_us;

	if (out) {
		rs->out = true;
		return 0;
	}
	if (rs->out) {
		rs->out = false;
		rs->ramping = true;
		rs->back_us = now_us;
		/* Whatever was silent or failed before is over. */
		rs->suspect_us = rs->silent_us = 0;
		rs->wish = NULL;
	}
	since_us = now_us - rs->back_us;
	if (since_us >= RAMP_US)
		rs->ramping = false;
	if (!rs->ramping)
		return ISO_WEIGHT_ONE;
	return RAMP_START + (uint32_t)((ISO_WEIGHT_ONE - RAMP_START) * since_us / RAMP_US);
}

static enum iso_region_state state_of(const struct iso_region_stats *rs, bool drained, uint32_t ramp)
{
	if (drained)
		return ISO_REGION_DRAINED;
	if (rs->outlier.ejected)
		return ISO_REGION_EJECTED;
	if (rs->health.state == ISO_HEALTH_DOWN)
		return ISO_REGION_UNHEALTHY;
	if (rs->suspect_us != 0 || ramp < ISO_WEIGHT_ONE || rs->wish != NULL || rs->health.bad > 0)
		return ISO_REGION_DEGRADED;
	if (rs->health.state == ISO_HEALTH_UNKNOWN && rs->live_good_us == 0)
		return ISO_REGION_UNKNOWN;
	return ISO_REGION_HEALTHY;
}

/*
 * Estimates for the weights. A region of which nothing good is known counts as the best that is known, plus
 * what its failures add: so that a failure lowers its share here, too. The base must not depend on failures.
 */
static void estimates_of(struct iso_region_stats *const regions[], uint32_t n,
			 struct iso_weight_input ret_inputs[])
{
	uint32_t best_us = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t usual_us = iso_estimate_usual_us(&regions[i]->estimate);

		if (usual_us != 0 && (best_us == 0 || usual_us < best_us))
			best_us = usual_us;
	}
	if (best_us == 0)
		best_us = UNKNOWN_US;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t us = iso_estimate_us(&regions[i]->estimate);

		if (iso_estimate_usual_us(&regions[i]->estimate) == 0)
			us += best_us;
		if (regions[i]->silent_us > us)
			us = regions[i]->silent_us;
		ret_inputs[i].estimate_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
		ret_inputs[i].samples = regions[i]->estimate.live.count;
	}
}

void iso_service_judge(struct iso_region_stats *const regions[], uint32_t n, const struct iso_judge *judge,
		       struct iso_region_facts ret_facts[])
{
	struct iso_weight_input inputs[ISO_VIEW_MAX] = { { 0, 0, 0 } };
	uint32_t weights[ISO_VIEW_MAX] = { 0 };
	uint16_t up = 0;

	assert(n <= ISO_VIEW_MAX);
	for (uint32_t i = 0; i < n; i++) {
		iso_estimate_tick(&regions[i]->estimate, judge->now_us);
		if (iso_outlier_tick(&regions[i]->outlier, judge->healthy_threshold,
				     (judge->tried >> i & 1) != 0, judge->now_us)) {
			regions[i]->wish = NULL; /* what failed before is over */
			/* Tried, or nobody came to try it: it is not tried again at once. */
			regions[i]->estimate.unproven = false;
		}
	}
	compare(regions, n, judge);
	pardon(regions, n, judge);
	eject(regions, n, judge);
	doubt(regions, n, judge);
	for (uint32_t i = 0; i < n; i++) {
		bool drained = is_drained(judge, i);

		inputs[i].ramp = ramp_of(regions[i], drained, judge->now_us);
		if (!regions[i]->out)
			up = (uint16_t)(up | 1u << i);
		ret_facts[i].state = state_of(regions[i], drained, inputs[i].ramp);
	}
	estimates_of(regions, n, inputs);
	iso_weights_publish(inputs, up, n, weights);
	for (uint32_t i = 0; i < n; i++) {
		struct iso_region_facts *f = &ret_facts[i];
		uint64_t estimate_us = iso_estimate_us(&regions[i]->estimate);

		f->up = (up >> i & 1) != 0;
		f->suspect = regions[i]->suspect_us != 0;
		f->weight = weights[i];
		f->ramp = inputs[i].ramp;
		f->estimate_us = (uint32_t)(regions[i]->silent_us > estimate_us ? inputs[i].estimate_us
										: estimate_us);
		f->usual_us = iso_estimate_usual_us(&regions[i]->estimate);
		f->normal_us = regions[i]->normal_us;
		f->trial = is_drained(judge, i) ? 0 : regions[i]->outlier.trial;
	}
}
