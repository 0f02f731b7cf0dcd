/*
 * `sticky`: the whole weight is the client's own region's. A region that comes back takes its clients one by
 * one as its ramp rises, each at a point of its own, so that none goes to and fro. Pure.
 */
#include "balance_priv.h"

/* Has the ramp come to this client? A ramp of 0 says that nothing was published (yet): it counts as whole. */
static bool is_its_turn(const struct iso_view *view, uint32_t i)
{
	return view->c[i].ramp == 0 || view->client.turn[i] < view->c[i].ramp;
}

static uint32_t cheapest(const struct iso_view *view, uint16_t among)
{
	uint32_t best = ISO_VIEW_MAX;

	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i) &&
		    (best == ISO_VIEW_MAX || view->client.cost[i] < view->client.cost[best]))
			best = i;
	return best;
}

void iso_balance_sticky(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX])
{
	uint16_t ready = 0, home = (uint16_t)(among & view->client.home);

	if (!view->client.keyed) {
		iso_balance_latency(view, among, weights);
		return;
	}
	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i) && is_its_turn(view, i))
			ready = (uint16_t)(ready | 1u << i);
	weights[cheapest(view, home != 0 ? home : ready != 0 ? ready : among)] = 1;
}
