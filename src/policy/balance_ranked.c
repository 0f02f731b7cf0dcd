/*
 * What `failover` and `geo` have in common: the lowest rank takes all it may, that is its ramp; what is left
 * goes to the next one, so that a region comes back gradually. Regions of equal rank share by latency. Pure.
 */
#include "balance_priv.h"

struct group {
	uint16_t members;
	uint32_t ramp;   /* of the member that is furthest up */
	uint64_t weight; /* sum */
};

/* The members of `left` with the lowest rank; left is not empty. */
static struct group first_group(const struct iso_view *view, const uint32_t rank[ISO_VIEW_MAX], uint16_t left)
{
	struct group group = { 0, 0, 0 };
	uint32_t lowest = 0;

	for (uint32_t i = 0; i < view->n; i++) {
		const struct iso_candidate *c = &view->c[i];

		if (!iso_mask_has(left, i) || (group.members != 0 && rank[i] > lowest))
			continue;
		if (group.members == 0 || rank[i] < lowest)
			group = (struct group){ 0, 0, 0 };
		lowest = rank[i];
		group.members = (uint16_t)(group.members | 1u << i);
		group.weight += c->weight;
		if (c->ramp > group.ramp)
			group.ramp = c->ramp;
	}
	if (group.ramp > ISO_WEIGHT_ONE)
		group.ramp = ISO_WEIGHT_ONE;
	return group;
}

/* Gives a group's part to its members. The factor keeps small parts of small weights apart. */
static void divide(const struct iso_view *view, const struct group *group, uint64_t part,
		   uint64_t weights[ISO_VIEW_MAX])
{
	uint64_t n = (uint64_t)__builtin_popcount(group->members);

	for (uint32_t i = 0; i < view->n; i++) {
		if (!iso_mask_has(group->members, i))
			continue;
		if (group->weight != 0)
			weights[i] = (part << 16) * view->c[i].weight / group->weight;
		else
			weights[i] = (part << 16) / n;
	}
}

void iso_balance_ranked(const struct iso_view *view, const uint32_t rank[ISO_VIEW_MAX], uint16_t among,
			uint64_t weights[ISO_VIEW_MAX])
{
	uint64_t rest = ISO_WEIGHT_ONE;

	while (among != 0) {
		struct group group = first_group(view, rank, among);
		uint64_t part = rest * group.ramp / ISO_WEIGHT_ONE;

		among = (uint16_t)(among & ~(uint32_t)group.members);
		/* A ramp of 0 says that nothing was published about it (yet): it then counts as whole. */
		if (among == 0 || group.ramp == 0)
			part = rest;
		divide(view, &group, part, weights);
		rest -= part;
		if (rest == 0)
			return;
	}
}
