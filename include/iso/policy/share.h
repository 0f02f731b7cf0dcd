/*
 * The shares that a pick's weights amount to, for metrics, the admin API and ramps: computed by the very walk
 * that picks.
 */
#ifndef ISO_POLICY_SHARE_H
#define ISO_POLICY_SHARE_H

#include "iso/policy/view.h"

/*
 * The probability, in 2^-16, that a pick over `view` takes each region; the sum is ISO_WEIGHT_ONE up to
 * rounding, or 0 when no region is allowed.
 */
void iso_balance_shares(enum iso_policy policy, const struct iso_view *view,
			uint32_t ret_shares[ISO_VIEW_MAX]);
/*
 * The same over a while in which regions reach their limits: `full` names those that have been full now and
 * then. They have the part of all that they have had lately, seen[i] of the sum of `seen` (any unit), which
 * is what they can take; the others divide the rest. Nothing seen: as if they took nothing.
 */
void iso_balance_shares_at_limit(enum iso_policy policy, const struct iso_view *view,
				 const uint64_t seen[ISO_VIEW_MAX], uint32_t ret_shares[ISO_VIEW_MAX]);

#endif
