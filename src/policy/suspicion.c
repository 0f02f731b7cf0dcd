/*
 * See suspicion.h.
 */
#include "iso/policy/suspicion.h"

#include "balance_priv.h"

enum {
	PATIENCE_MIN_US = 80 * 1000,
	PATIENCE_FACTOR = 4,
	PATIENCE_UNKNOWN_US = 1000 * 1000,
	FAILED_US = 1000 * 1000,
	UNHEARD_MORE = 2,
	UNHEARD_MANY = 3,
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

bool iso_quiet(uint64_t silence_us, uint32_t usual_us)
{
	return silence_us > iso_patience_us(usual_us) / 2;
}

bool iso_has_just_failed(uint64_t now_us, uint64_t failed_us)
{
	return failed_us != 0 && now_us < failed_us + FAILED_US;
}

/* What a pick weighs it by. */
static uint32_t weight_of(const struct iso_view *view, uint32_t i)
{
	return view->c[i].weight / (iso_mask_has(view->warned, i) ? ISO_WARNED_PART : 1);
}

/* Where this request could go. */
static uint16_t good(const struct iso_view *view)
{
	uint32_t out = view->tried | view->lacking | view->suspect | view->full | view->wary;

	return (uint16_t)(view->allowed & view->up & ((1u << view->n) - 1) & ~out);
}

/* Those that are about as good as the best. */
static uint16_t peers(const struct iso_view *view, uint16_t in)
{
	uint32_t best = 0;
	uint16_t found = 0;

	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(in, i) && weight_of(view, i) > best)
			best = weight_of(view, i);
	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(in, i) && weight_of(view, i) >= best - best / 2)
			found |= (uint16_t)(1u << i);
	return found;
}

uint16_t iso_unheard(const struct iso_view *view, const uint32_t unheard[ISO_VIEW_MAX])
{
	uint16_t in = good(view), among = peers(view, in), calm = 0;
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i) && unheard[i] < least)
			least = unheard[i];
	for (uint32_t i = 0; i < view->n; i++)
		if (iso_mask_has(among, i) && unheard[i] - least < UNHEARD_MORE)
			calm |= (uint16_t)(1u << i);
	return calm == among ? 0 : (uint16_t)(in & ~calm);
}

uint16_t iso_spared(const struct iso_view *view, uint16_t quiet, const uint32_t unheard[ISO_VIEW_MAX])
{
	uint16_t among, silent = 0;
	bool calm = false;

	if (quiet == 0)
		return 0;
	among = peers(view, good(view));
	for (uint32_t i = 0; i < view->n; i++) {
		if (!iso_mask_has(quiet, i))
			calm = calm || (iso_mask_has(among, i) && view->c[i].ramp >= ISO_WEIGHT_ONE);
		else if (unheard[i] >= UNHEARD_MANY)
			silent |= (uint16_t)(1u << i);
	}
	return calm ? silent : 0;
}
