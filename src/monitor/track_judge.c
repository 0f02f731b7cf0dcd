/*
 * The weights of a route that is measured by itself. Pure; owned by the publisher.
 * Invariant: as of the estimates themselves, what failures add is never negative, and what is expected where
 * nothing is known does not depend on the failures of the route: none of them raises its share there.
 */
#include <assert.h>

#include "iso/policy/weight.h"
#include "region_stats_priv.h"

enum {
	UNKNOWN_US = 100 * 1000, /* when no region's time is known, as among regions */
	LONGEST_US = 30 * 1000 * 1000,
	COLD_US = 250 * 1000, /* where it was never answered, it may take long: patience for a second at least
			       */
	UNPROVEN_PART = 20,   /* of its share, while probes alone say that its failures are over */
};

/* How many times as long as the regions' traffic the route takes, where both are known. */
static double against_regions(struct iso_track_stats *const tracks[],
			      struct iso_region_stats *const regions[], uint32_t n)
{
	double own_us = 0, region_us = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t known_us = iso_estimate_usual_us(&regions[i]->estimate);

		if (!iso_ewma_known(&tracks[i]->estimate.live) || known_us == 0)
			continue;
		own_us += iso_estimate_usual_us(&tracks[i]->estimate);
		region_us += known_us;
	}
	return region_us > 0 ? own_us / region_us : 1;
}

/* The best of what is known of the regions, as their own judgement takes it for those that are unknown. */
static uint32_t best_known_us(struct iso_region_stats *const regions[], uint32_t n)
{
	uint32_t best_us = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t us = iso_estimate_usual_us(&regions[i]->estimate);

		if (us != 0 && (best_us == 0 || us < best_us))
			best_us = us;
	}
	return best_us != 0 ? best_us : UNKNOWN_US;
}

static uint32_t capped(double us)
{
	return us < LONGEST_US ? (uint32_t)us : LONGEST_US;
}

/* What failures have added to an estimate. */
static uint32_t added_us(const struct iso_estimate *e)
{
	return iso_estimate_us(e) - iso_estimate_usual_us(e);
}

/* Of one region: what goes into its weight, and what the board says. base_us: of a region that is unknown. */
static void fill_lane(struct iso_track_stats *ts, const struct iso_region_stats *rs, double factor,
		      uint32_t base_us, struct iso_weight_input *ret_input, struct iso_board_lane *ret_lane)
{
	uint32_t region_us = iso_estimate_usual_us(&rs->estimate), more_us = added_us(&ts->estimate), us;
	bool own = iso_ewma_known(&ts->estimate.live);

	if (own) {
		ts->usual_us = us = iso_estimate_usual_us(&ts->estimate);
	} else {
		us = capped((region_us != 0 ? region_us : base_us) * factor);
		ts->usual_us = region_us == 0 ? 0 : us > COLD_US ? us : COLD_US;
		if (added_us(&rs->estimate) > more_us)
			more_us = added_us(&rs->estimate);
	}
	us = capped((double)us + more_us);
	if (rs->silent_us > us)
		us = rs->silent_us < LONGEST_US ? (uint32_t)rs->silent_us : LONGEST_US;
	ret_input->estimate_us = us != 0 ? us : 1;
	ret_input->samples = own ? ts->estimate.live.count : rs->estimate.live.count;
	ret_lane->usual_us = ts->usual_us;
	ret_lane->estimate_us = ts->usual_us != 0 || more_us != 0 ? ret_input->estimate_us : 0;
}

void iso_track_judge(struct iso_track_stats *const tracks[], struct iso_region_stats *const regions[],
		     const struct iso_region_facts facts[], uint32_t n, uint64_t now_us,
		     struct iso_board_lane ret_lanes[])
{
	struct iso_weight_input inputs[ISO_VIEW_MAX] = { { 0, 0, 0 } };
	uint32_t weights[ISO_VIEW_MAX] = { 0 };
	uint32_t base_us = best_known_us(regions, n);
	uint16_t up = 0;
	double factor;

	assert(n <= ISO_VIEW_MAX);
	for (uint32_t i = 0; i < n; i++)
		iso_estimate_tick(&tracks[i]->estimate, now_us);
	factor = against_regions(tracks, regions, n);
	for (uint32_t i = 0; i < n; i++) {
		fill_lane(tracks[i], regions[i], factor, base_us, &inputs[i], &ret_lanes[i]);
		inputs[i].ramp = facts[i].ramp;
		/* As of a region whose requests failed and whose probes pass: a request is to tell. */
		if (tracks[i]->estimate.unproven && inputs[i].ramp > ISO_WEIGHT_ONE / UNPROVEN_PART)
			inputs[i].ramp = ISO_WEIGHT_ONE / UNPROVEN_PART;
		if (facts[i].up)
			up = (uint16_t)(up | 1u << i);
	}
	iso_weights_publish(inputs, up, n, weights);
	for (uint32_t i = 0; i < n; i++)
		ret_lanes[i].weight = weights[i];
}
