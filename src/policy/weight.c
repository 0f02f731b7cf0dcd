/*
 * The latency preference. Pure. Floating point stays in here: what is published, and walked, is integers.
 */
#include "iso/policy/weight.h"

#include <assert.h>
#include <math.h>

/* 2^-4.3 is a twentieth: steep enough to send next to nothing far away, flat enough not to flap in noise. */
static const double exponent = -4.3;
/*
 * Beyond twice the best's time the power doubles. What is sent there teaches nothing that probes do not, and
 * costs the more the farther it is: by the plain power a region 2.5 times as slow takes 2 % of the requests,
 * which makes the mean of all 3 % longer; so it is 0.7 and 1.
 */
static const double far_log = 0.693147180559945; /* ln 2 */
/*
 * Below this (28 %) a difference counts less, as its square: an average of a hundred answers with 20 % of
 * noise is off by 2 to 3 %, which the plain power turns into swings of 25 points of share between equal
 * regions at 10 requests/s, and this into 12.
 */
static const double calm_log = 0.25;
/* Five to six standard deviations of the difference of two averages of n answers each with 20 % of noise:
 * this / sqrt(n). */
static const double calm_few = 1.6;

static double floored(uint32_t us)
{
	return us < ISO_WEIGHT_FLOOR_US ? ISO_WEIGHT_FLOOR_US : us;
}

static double preference(uint32_t estimate_us, uint32_t best_us, uint32_t samples)
{
	double distance = log(floored(estimate_us) / floored(best_us));
	double calm = calm_few / sqrt(samples > 0 ? samples : 1);

	if (calm < calm_log)
		calm = calm_log;
	if (distance <= 0)
		return 1;
	if (distance < calm)
		distance *= distance / calm;
	if (distance > far_log)
		distance += distance - far_log;
	return exp(exponent * distance);
}

uint32_t iso_weight_latency(uint32_t estimate_us, uint32_t best_us, uint32_t samples)
{
	return (uint32_t)lround(preference(estimate_us, best_us, samples) * ISO_WEIGHT_ONE);
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

/*
 * Of the regions in `up`: each that ramps gets its ramp's part of its full share, the others divide the rest
 * as they would among themselves. When all of them ramp, there is no rest to give away: their weights are the
 * parts.
 */
static void ramp(double weights[], const struct iso_weight_input inputs[], uint16_t up, uint32_t n)
{
	double total = 0, steady = 0, rest = 1, most = 0;

	for (uint32_t i = 0; i < n; i++) {
		if ((up >> i & 1) == 0)
			continue;
		total += weights[i];
		if (inputs[i].ramp >= ISO_WEIGHT_ONE)
			steady += weights[i];
	}
	if (total <= 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		if ((up >> i & 1) != 0 && inputs[i].ramp < ISO_WEIGHT_ONE) {
			weights[i] *= inputs[i].ramp / (double)ISO_WEIGHT_ONE / total;
			rest -= weights[i];
		}
	for (uint32_t i = 0; i < n; i++) {
		if ((up >> i & 1) == 0)
			continue;
		if (inputs[i].ramp >= ISO_WEIGHT_ONE)
			weights[i] *= rest / steady;
		most = weights[i] > most ? weights[i] : most;
	}
	for (uint32_t i = 0; i < n; i++)
		if ((up >> i & 1) != 0 && most > 0)
			weights[i] /= most;
}

void iso_weights_publish(const struct iso_weight_input inputs[], uint16_t up, uint32_t n,
			 uint32_t ret_weights[])
{
	double weights[ISO_VIEW_MAX];
	uint32_t best = best_of(inputs, up, n);

	assert(n <= ISO_VIEW_MAX);
	if (best == n)
		best = best_of(inputs, UINT16_MAX, n);
	/* Its own samples alone: were the best one's to count, its failure could lower a third region's
	 * weight. */
	for (uint32_t i = 0; i < n; i++)
		weights[i] = inputs[i].estimate_us != 0
				     ? preference(inputs[i].estimate_us, inputs[best].estimate_us,
						  inputs[i].samples)
				     : 1;
	ramp(weights, inputs, up, n);
	for (uint32_t i = 0; i < n; i++)
		ret_weights[i] = (uint32_t)lround(weights[i] * ISO_WEIGHT_ONE);
}
