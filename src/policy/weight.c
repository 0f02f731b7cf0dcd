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
 * and this into 12.
 */
static const double calm_log = 0.25;
/* Five to six standard deviations of the difference of two averages of n answers each with 20 % of noise: this / sqrt(n). */
static const double calm_few = 1.6;

static double floored(uint32_t us)
{
	return us < ISO_WEIGHT_FLOOR_US ? ISO_WEIGHT_FLOOR_US : us;
}

uint32_t iso_weight_latency(uint32_t estimate_us, uint32_t best_us, uint32_t samples)
{
	double distance = log(floored(estimate_us) / floored(best_us));
	double calm = calm_few / sqrt(samples > 0 ? samples : 1);

	if (calm < calm_log)
		calm = calm_log;
	if (distance <= 0)
		return ISO_WEIGHT_ONE;
	if (distance < calm)
		distance *= distance / calm;
	return (uint32_t)lround(exp(exponent * distance) * ISO_WEIGHT_ONE);
}

/* The region of mask with the least known estimate; n: none is known. */
static uint32_t best_of(const struct iso_weight_input inputs[], uint32_t mask, uint32_t n)
{
	uint32_t best = n;

	for (uint32_t i = 0; i < n; i++)
		if ((mask >> i & 1) != 0 && inputs[i].estimate_us != 0 &&
		    (best == n || inputs[i].estimate_us < inputs[best].estimate_us))
			best = i;
	return best;
}

void iso_weights_publish(const struct iso_weight_input inputs[], uint16_t up, uint32_t n, uint32_t ret_weights[])
{
	uint32_t best = best_of(inputs, up, n);

	assert(n <= ISO_VIEW_MAX);
	if (best == n)
		best = best_of(inputs, UINT16_MAX, n);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t weight = ISO_WEIGHT_ONE;

		/* Its own samples alone: were the best one's to count, its failure could lower a third region's weight. */
		if (inputs[i].estimate_us != 0)
			weight = iso_weight_latency(inputs[i].estimate_us, inputs[best].estimate_us,
						    inputs[i].samples);
		if ((up >> i & 1) != 0)
			weight = weight * inputs[i].ramp / ISO_WEIGHT_ONE;
		ret_weights[i] = (uint32_t)weight;
	}
}
