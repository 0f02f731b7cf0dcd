/*
 * `latency`: the weights that the monitor published from the regions' predicted response times. Pure.
 */
#include "balance_priv.h"

/*
 * A published weight has the ramp inside, as a part of what all regions have. Where some of those are full,
 * silent, tried or not allowed, a region that has just come back would get nearly all that is theirs: of what
 * is drawn here, too, it gets no more than its ramp, as long as there is somebody else.
 */
static void hold_back(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX])
{
	uint64_t steady = 0;

	for (uint32_t i = 0; i < view->n; i++) {
		weights[i] <<= 16; /* parts of small weights are told apart */
		if (!iso_mask_has(among, i) || view->c[i].ramp < ISO_WEIGHT_ONE)
			continue;
		if (weights[i] == 0)
			weights[i] = 1u << 12; /* so far away that its weight is rounded to nothing: somebody
						  all the same */
		steady += weights[i];
	}
	for (uint32_t i = 0; i < view->n && steady != 0; i++) {
		uint64_t ramp = view->c[i].ramp, most;

		if (!iso_mask_has(among, i) || ramp >= ISO_WEIGHT_ONE)
			continue;
		most = steady * ramp / (ISO_WEIGHT_ONE - ramp);
		if (weights[i] > most)
			weights[i] = most;
	}
}

void iso_balance_latency(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX])
{
	bool ramps = false;

	for (uint32_t i = 0; i < view->n; i++) {
		if (!iso_mask_has(among, i))
			continue;
		weights[i] = view->c[i].weight;
		ramps = ramps || view->c[i].ramp < ISO_WEIGHT_ONE;
	}
	if (ramps)
		hold_back(view, among, weights);
}
