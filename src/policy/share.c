/*
 * Shares where a limit decides and not a weight. Pure.
 */
#include "iso/policy/share.h"

#include "balance_priv.h"

void iso_balance_shares_at_limit(enum iso_policy policy, const struct iso_view *view,
				 const uint64_t seen[ISO_VIEW_MAX], uint32_t ret_shares[ISO_VIEW_MAX])
{
	uint32_t in = view->allowed & view->up & ~(uint32_t)view->suspect;
	uint64_t sum = 0, theirs = 0;

	iso_balance_shares(policy, view, ret_shares);
	for (uint32_t i = 0; i < view->n; i++) {
		if ((in >> i & 1) == 0)
			continue;
		sum += seen[i];
		theirs += iso_mask_has(view->full, i) ? seen[i] : 0;
	}
	if (theirs == 0)
		return;
	for (uint32_t i = 0; i < view->n; i++) {
		bool is_in = (in >> i & 1) != 0;

		/* With all of them full nothing is left, and what was seen is what there is. */
		if (is_in && iso_mask_has(view->full, i))
			ret_shares[i] = (uint32_t)(seen[i] * ISO_WEIGHT_ONE / sum);
		else
			ret_shares[i] = (uint32_t)(ret_shares[i] * (sum - theirs) / sum);
	}
}
