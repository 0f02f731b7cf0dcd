/*
 * `weighted`: the configured weights, less while a region ramps up. Regions of weight 0 get traffic only when
 * no other is left in the set: the sum is then 0 and all are equal. Pure.
 */
#include "balance_priv.h"

void iso_balance_weighted(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX])
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < view->n; i++) {
		if (!iso_mask_has(among, i))
			continue;
		weights[i] = (uint64_t)view->c[i].cfg_weight * view->c[i].ramp;
		total += weights[i];
	}
	if (total != 0)
		return;
	/* Nobody has begun to ramp up (fail open): the configuration alone decides. */
	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i))
			weights[i] = view->c[i].cfg_weight;
}
