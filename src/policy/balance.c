/*
 * The pick: chooses the set to draw from, lets the strategy weigh it, walks the weights. Pure, any thread.
 * Integers only, so that a recorded draw gives the recorded region again on any machine.
 */
#include "iso/policy/balance.h"

#include <assert.h>
#include <stddef.h>

#include "balance_priv.h"
#include "iso/policy/share.h"

/* Of 2^32: 0.5 % of the draws explore. */
static const uint32_t explore_part = UINT32_MAX / 200;

static const char *const policy_names[] = {
	[ISO_POLICY_LATENCY] = "latency",   [ISO_POLICY_FAILOVER] = "failover",
	[ISO_POLICY_WEIGHTED] = "weighted", [ISO_POLICY_GEO] = "geo",
	[ISO_POLICY_STICKY] = "sticky",
};

const char *iso_policy_name(enum iso_policy policy)
{
	return (unsigned int)policy < sizeof(policy_names) / sizeof(policy_names[0]) ? policy_names[policy]
										     : NULL;
}

static uint16_t mask_and(uint16_t a, uint32_t b)
{
	return (uint16_t)(a & b);
}

/* What lacks a dependency is down for this request. */
static uint16_t up_of(const struct iso_view *view)
{
	return mask_and(view->up, ~(uint32_t)view->lacking);
}

/* The best of what was tried already: well, then merely up, then anything. */
static uint16_t again(const struct iso_view *view, uint16_t allowed)
{
	uint16_t up = mask_and(allowed, up_of(view));
	uint16_t calm = mask_and(up, ~(uint32_t)view->suspect);
	uint16_t good = mask_and(calm, ~(uint32_t)view->full);

	return good != 0 ? good : calm != 0 ? calm : up != 0 ? up : allowed;
}

uint16_t iso_balance_held(const struct iso_view *view)
{
	uint32_t out = view->tried | view->lacking | view->suspect | view->full;

	return mask_and(view->held, view->allowed & view->up & ((1u << view->n) - 1) & ~out);
}

static uint16_t choose_set(const struct iso_view *view, enum iso_pick_level *ret_level)
{
	uint16_t allowed = mask_and(view->allowed, (1u << view->n) - 1);
	uint16_t fresh = mask_and(allowed, ~(uint32_t)view->tried);
	uint16_t up = mask_and(fresh, up_of(view));
	uint16_t calm = mask_and(up, ~(uint32_t)view->suspect);
	uint16_t good = mask_and(calm, ~(uint32_t)view->full);
	uint16_t trial = mask_and(fresh, view->trial & ~(uint32_t)view->lacking);
	uint16_t held = view->held != 0 ? iso_balance_held(view) : 0;

	if (held != 0) {
		*ret_level = ISO_PICK_HELD;
		return held;
	}
	if (trial != 0) {
		*ret_level = ISO_PICK_TRIAL;
		return trial;
	}
	if (good != 0) {
		*ret_level = ISO_PICK_GOOD;
		return good;
	}
	if (calm != 0) {
		*ret_level = ISO_PICK_FULL;
		return calm;
	}
	if (up != 0) {
		*ret_level = ISO_PICK_SUSPECT;
		return up;
	}
	/* A region that is up and was tried is a better second guess than one that is known to be down. */
	if (fresh != 0 && mask_and(allowed, up_of(view)) == 0) {
		*ret_level = ISO_PICK_FAIL_OPEN;
		return fresh;
	}
	*ret_level = allowed != 0 ? ISO_PICK_AGAIN : ISO_PICK_NONE;
	return again(view, allowed);
}

/* The other policies promise a place; `latency` may as well be careful. */
static uint16_t choose_carefully(enum iso_policy policy, const struct iso_view *view,
				 enum iso_pick_level *ret_level)
{
	uint16_t among = choose_set(view, ret_level);
	uint16_t calm = mask_and(among, ~(uint32_t)view->wary);

	return policy == ISO_POLICY_LATENCY && *ret_level == ISO_PICK_GOOD && calm != 0 ? calm : among;
}

/*
 * Whether this draw explores, and where. What decides is the draw times an odd number (a bijection), so that
 * the draws that are left are as good as uniform.
 */
static bool explores(const struct iso_view *view, uint16_t good, uint32_t draw, uint32_t *ret_index)
{
	uint16_t among = mask_and(good, view->explore);
	uint32_t mixed = draw * UINT32_C(2654435761);
	uint32_t n = (uint32_t)__builtin_popcount(among);
	uint32_t nth;

	if (among == 0 || mixed >= explore_part)
		return false;
	nth = (uint32_t)((uint64_t)mixed * n / explore_part);
	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i) && nth-- == 0)
			*ret_index = i;
	return true;
}

/* Returns the sum. Without any preference the members of the set are equal. */
static uint64_t weigh(enum iso_policy policy, const struct iso_view *view, uint16_t among,
		      uint64_t weights[ISO_VIEW_MAX])
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < ISO_VIEW_MAX; i++)
		weights[i] = 0;
	switch (policy) {
	case ISO_POLICY_FAILOVER:
		iso_balance_failover(view, among, weights);
		break;
	case ISO_POLICY_WEIGHTED:
		iso_balance_weighted(view, among, weights);
		break;
	case ISO_POLICY_STICKY:
		iso_balance_sticky(view, among, weights);
		break;
	case ISO_POLICY_GEO:
		iso_balance_geo(view, among, weights);
		break;
	default:
		iso_balance_latency(view, among, weights);
		break;
	}
	for (uint32_t i = 0; i < view->n; i++) {
		if (iso_mask_has(view->warned, i))
			weights[i] /= ISO_WARNED_PART;
		total += weights[i];
	}
	if (total != 0)
		return total;
	for (uint32_t i = 0; i < view->n; i++) {
		weights[i] = iso_mask_has(among, i) ? 1 : 0;
		total += weights[i];
	}
	return total;
}

/* draw * total / 2^32, without overflow for any total below 2^53. */
static uint64_t scale(uint32_t draw, uint64_t total)
{
	return draw * (total >> 32) + (draw * (total & UINT32_MAX) >> 32);
}

void iso_balance_pick(enum iso_policy policy, const struct iso_view *view, uint32_t draw,
		      struct iso_pick *ret_pick)
{
	uint64_t weights[ISO_VIEW_MAX];
	uint64_t left;
	uint32_t index = 0;

	assert(view->n <= ISO_VIEW_MAX);
	ret_pick->among = choose_carefully(policy, view, &ret_pick->level);
	ret_pick->draw = draw;
	ret_pick->total = 0;
	ret_pick->index = 0;
	if (ret_pick->among == 0)
		return;
	if (view->explore != 0 && policy == ISO_POLICY_LATENCY && ret_pick->level == ISO_PICK_GOOD &&
	    explores(view, ret_pick->among, draw, &ret_pick->index)) {
		ret_pick->level = ISO_PICK_EXPLORE;
		return;
	}
	ret_pick->total = weigh(policy, view, ret_pick->among, weights);
	left = scale(draw, ret_pick->total);
	while (left >= weights[index]) {
		left -= weights[index];
		index++;
		assert(index < view->n);
	}
	ret_pick->index = index;
}

/* What is spent on exploring is taken from all alike. */
static void share_exploration(const struct iso_view *view, uint16_t among, uint32_t shares[ISO_VIEW_MAX])
{
	uint16_t explored = mask_and(among, view->explore);
	uint32_t each = (uint32_t)((uint64_t)ISO_WEIGHT_ONE * explore_part >> 32);

	if (explored == 0)
		return;
	each /= (uint32_t)__builtin_popcount(explored);
	for (uint32_t i = 0; i < view->n; i++) {
		shares[i] -= (uint32_t)((uint64_t)shares[i] * explore_part >> 32);
		if (iso_mask_has(explored, i))
			shares[i] += each;
	}
}

void iso_balance_shares(enum iso_policy policy, const struct iso_view *view,
			uint32_t ret_shares[ISO_VIEW_MAX])
{
	uint64_t weights[ISO_VIEW_MAX] = { 0 };
	enum iso_pick_level level;
	uint16_t among;
	uint64_t total = 0;

	assert(view->n <= ISO_VIEW_MAX);
	/* No client in particular: keys fall to the regions by their weights. */
	if (policy == ISO_POLICY_STICKY && !view->client.keyed)
		policy = ISO_POLICY_WEIGHTED;
	among = choose_carefully(policy, view, &level);
	if (among != 0)
		total = weigh(policy, view, among, weights);
	/* Sums of 2^37 and more are brought down first: a share needs no more than 20 bits of them. */
	for (; total >> 36 != 0; total >>= 1)
		for (uint32_t i = 0; i < view->n; i++)
			weights[i] >>= 1;
	for (uint32_t i = 0; i < ISO_VIEW_MAX; i++)
		ret_shares[i] = total != 0 ? (uint32_t)(weights[i] * ISO_WEIGHT_ONE / total) : 0;
	if (policy == ISO_POLICY_LATENCY && level == ISO_PICK_GOOD)
		share_exploration(view, among, ret_shares);
}
