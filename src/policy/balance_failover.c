/*
 * `failover`: the lowest priority number first. Pure.
 */
#include "balance_priv.h"

void iso_balance_failover(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX])
{
	uint32_t rank[ISO_VIEW_MAX];

	for (uint32_t i = 0; i < view->n; i++)
		rank[i] = view->c[i].priority;
	iso_balance_ranked(view, rank, among, weights);
}
