/*
 * Picks a region: pure, integers only, O(regions). One file per strategy beside balance.c.
 */
#ifndef ISO_POLICY_BALANCE_H
#define ISO_POLICY_BALANCE_H

#include "iso/policy/view.h"

/*
 * draw: a uniform 32-bit number. Always fills *ret_pick; level ISO_PICK_NONE when no region is allowed.
 * The same view, policy and draw give the same pick.
 */
void iso_balance_pick(enum iso_policy policy, const struct iso_view *view, uint32_t draw,
		      struct iso_pick *ret_pick);

/*
 * The regions of `held` that are in order: allowed, up, not suspect, full, lacking or tried. Where there are
 * any the pick is one of them, whatever the policy. Such a request must not be given a trial: that may be any
 * other one's, and of reading its own writes this client has but one chance. It explores nothing either.
 */
uint16_t iso_balance_held(const struct iso_view *view);

/* "latency" and so on; NULL for a number that is none. */
const char *iso_policy_name(enum iso_policy policy);

#endif
