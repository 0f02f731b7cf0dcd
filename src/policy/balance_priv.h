/*
 * What the strategies share: each fills the weights of the regions in `among`, which is never empty, and
 * leaves the others at 0. Each keeps its sum below 2^53, so that a walk cannot overflow. A sum of 0 means: no
 * preference.
 */
#ifndef ISO_POLICY_BALANCE_PRIV_H
#define ISO_POLICY_BALANCE_PRIV_H

#include "iso/policy/balance.h"

enum { ISO_WARNED_PART = 4 }; /* of the weight is what a region that warns keeps */

void iso_balance_latency(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX]);
void iso_balance_failover(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX]);
void iso_balance_weighted(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX]);
void iso_balance_geo(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX]);
/* By rank, the lowest first: for strategies that put the regions in an order. */
void iso_balance_ranked(const struct iso_view *view, const uint32_t rank[ISO_VIEW_MAX], uint16_t among,
			uint64_t weights[ISO_VIEW_MAX]);
void iso_balance_sticky(const struct iso_view *view, uint16_t among, uint64_t weights[ISO_VIEW_MAX]);

static inline bool iso_mask_has(uint16_t mask, uint32_t index)
{
	return (mask >> index & 1) != 0;
}

#endif
