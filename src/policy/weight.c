/*
 * The latency preference. Pure. Floating point stays in here: what is published, and walked, is integers.
 */
#include "iso/policy/weight.h"

#include <assert.h>
#include <math.h>

/* 2^-4.3 is a twentieth: steep enough to send next to nothing far away, flat enough not to flap in noise. */
static const double exponent = -4.3;
/*
 * Below this (28 %) a difference counts less, as its square: an average of a hundred answers with 20 % of noise is off
 * by 2 to 3 %, which the plain power turns into swings of 25 points of share between equal regions at 10 requests/s,
 * and this into less than 10.
 */
static const double calm_log = 0.25;

static double floored(uint32_t us)
{
	return us < ISO_WEIGHT_FLOOR_US ? ISO_WEIGHT_FLOOR_US : us;
}

uint32_t iso_weight_latency(uint32_t estimate_us, uint32_t best_us)
{
	double distance = log(floored(estimate_us) / floored(best_us));

	if (distance <= 0)
		return ISO_WEIGHT_ONE;
	if (distance < calm_log)
		distance *= distance / calm_log;
	return (uint32_t)lround(exp(exponent * distance) * ISO_WEIGHT_ONE);
}

/* The least known estimate of the regions in mask; 0: none is known. */
static uint32_t best_of(const uint32_t estimates_us[], uint32_t mask, uint32_t n)
{
	uint32_t best_us = 0;

	for (uint32_t i = 0; i < n; i++)
		if ((mask >> i & 1) != 0 && estimates_us[i] != 0 && (best_us == 0 || estimates_us[i] < best_us))
			best_us = estimates_us[i];
	return best_us;
}

void iso_weights_publish(const uint32_t estimates_us[], const uint32_t ramps[], uint16_t up, uint32_t n,
			 uint32_t ret_weights[])
{
	uint32_t best_us = best_of(estimates_us, up, n);

	assert(n <= ISO_VIEW_MAX);
	if (best_us == 0)
		best_us = best_of(estimates_us, UINT16_MAX, n);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t weight = ISO_WEIGHT_ONE;

		if (estimates_us[i] != 0)
			weight = iso_weight_latency(estimates_us[i], best_us);
		if ((up >> i & 1) != 0)
			weight = weight * ramps[i] / ISO_WEIGHT_ONE;
		ret_weights[i] = (uint32_t)weight;
	}
}
