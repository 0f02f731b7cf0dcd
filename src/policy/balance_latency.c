/*
 * `latency`: the weights that the monitor published from the regions' predicted response times. Pure.
 */
#include "balance_priv.h"

void iso_balance_latency(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX])
{
	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i))
			weights[i] = view->c[i].weight;
}
