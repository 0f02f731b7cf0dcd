/*
 * `geo`: the nearest to the client first; without a place of the client, latency decides. Pure.
 */
#include "balance_priv.h"

void iso_balance_geo(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX])
{
	uint32_t rank[ISO_VIEW_MAX];

	if (!view->client.placed) {
		iso_balance_latency(view, among, weights);
		return;
	}
	for (uint32_t i = 0; i < view->n; i++)
		rank[i] = view->client.km[i];
	iso_balance_ranked(view, rank, among, weights);
}
