/*
 * See suspicion.h.
 */
#include "iso/policy/suspicion.h"

#include <math.h>

#include "balance_priv.h"

enum {
	PATIENCE_MIN_US = 80 * 1000,
	PATIENCE_FACTOR = 4,
	PATIENCE_UNKNOWN_US = 1000 * 1000,
	FAILED_US = 1000 * 1000,
};

uint64_t iso_patience_us(uint32_t usual_us)
{
	uint64_t patience_us = (uint64_t)usual_us * PATIENCE_FACTOR;

	if (usual_us == 0)
		return PATIENCE_UNKNOWN_US;
	return patience_us > PATIENCE_MIN_US ? patience_us : PATIENCE_MIN_US;
}

uint64_t iso_silence_us(uint64_t now_us, uint64_t oldest_us, uint64_t progress_us, uint32_t waiting)
{
	uint64_t since_us = oldest_us > progress_us ? oldest_us : progress_us;

	/* The cells of other threads are read without a lock: a time ahead of ours is no silence. */
	return waiting != 0 && now_us > since_us ? now_us - since_us : 0;
}

bool iso_wary(uint64_t now_us, uint64_t failed_us, uint64_t silence_us, uint32_t usual_us)
{
	if (failed_us != 0 && now_us < failed_us + FAILED_US)
		return true;
	return silence_us > iso_patience_us(usual_us) / 2;
}

/* What waits in a region at its weight, where answers take so long, is in proportion to this (Little's law).
 */
static double usual_load(const struct iso_view *view, uint32_t i)
{
	return (double)view->c[i].weight * view->estimate_us[i];
}

/* In order for this request, measured, and at least half as good as the best. */
static uint16_t peers(const struct iso_view *view)
{
	uint32_t out = view->tried | view->lacking | view->suspect | view->full | view->wary;
	uint16_t in = (uint16_t)(view->allowed & view->up & ((1u << view->n) - 1) & ~out);
	uint16_t ret = 0;
	uint32_t best = 0;

	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(in, i) && view->c[i].weight > best)
			best = view->c[i].weight;
	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(in, i) && view->estimate_us[i] != 0 && best != 0 &&
		    view->c[i].weight >= best - best / 2)
			ret |= (uint16_t)(1u << i);
	return ret;
}

uint16_t iso_crowded(const struct iso_view *view, const uint32_t waiting[ISO_VIEW_MAX])
{
	uint16_t among = peers(view), ret = 0;
	double least = INFINITY;

	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i))
			least = fmin(least, waiting[i] / usual_load(view, i));
	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i) && waiting[i] >= least * usual_load(view, i) + 1)
			ret |= (uint16_t)(1u << i);
	return ret;
}
