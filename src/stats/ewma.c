/*
 * See ewma.h. Pure.
 */
#include "iso/stats/ewma.h"

#include <math.h>
#include <string.h>

enum {
	WARM_UP = 100, /* until then every sample weighs the same */
	TAU_US = 10 * 1000 * 1000,
	UP_RUN = 4, /* so many samples all far above mean that something has changed */
	UP_MARGIN_US = 10 * 1000,
	HOLD_US = 500 * 1000, /* so long after a change nothing lowers it at once: answers still come from
				 before it */
};

void iso_ewma_init(struct iso_ewma *e)
{
	memset(e, 0, sizeof(*e));
}

static uint32_t recent(const struct iso_ewma *e, uint32_t back)
{
	return e->recent[(e->recent_at + ISO_EWMA_RECENT - 1 - back) % ISO_EWMA_RECENT];
}

uint32_t iso_ewma_recent_us(const struct iso_ewma *e)
{
	uint32_t sorted[ISO_EWMA_RECENT];

	if (e->recent_count < ISO_EWMA_RECENT)
		return 0;
	for (uint32_t i = 0; i < ISO_EWMA_RECENT; i++) {
		uint32_t at = i;

		for (; at > 0 && sorted[at - 1] > e->recent[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = e->recent[i];
	}
	return sorted[ISO_EWMA_RECENT / 2];
}

static bool is_slow(const struct iso_ewma *e, uint32_t us)
{
	return us > 2ull * iso_ewma_us(e) + UP_MARGIN_US;
}

/*
 * The mean of the last samples when all of them lie on one side, far from the estimate; 0: no change. What a
 * lost packet has held up comes late together, however many they are: one that was asked for after the first
 * late one had come must be late, too.
 */
static uint32_t changed_to(const struct iso_ewma *e, uint64_t asked_us, uint64_t now_us)
{
	uint32_t estimate = iso_ewma_us(e);
	uint32_t least = UINT32_MAX, most = 0;
	uint64_t sum = 0;

	if (e->recent_count < UP_RUN)
		return 0;
	for (uint32_t i = 0; i < UP_RUN; i++) {
		least = recent(e, i) < least ? recent(e, i) : least;
		sum += recent(e, i);
	}
	if (is_slow(e, least))
		return asked_us >= e->slow_us ? (uint32_t)(sum / UP_RUN) : 0;
	if (e->recent_count < ISO_EWMA_RECENT || (e->change_us != 0 && now_us < e->change_us + HOLD_US))
		return 0;
	sum = 0;
	for (uint32_t i = 0; i < ISO_EWMA_RECENT; i++) {
		most = recent(e, i) > most ? recent(e, i) : most;
		sum += recent(e, i);
	}
	return most < estimate / 2 ? (uint32_t)(sum / ISO_EWMA_RECENT) : 0;
}

/*
 * As fresh as a usual answer would be to a request that set out then: what a hang lets go at last tells of
 * its beginning, and must not keep what comes after it from being the first news for long.
 */
static void freshen(struct iso_ewma *e, uint32_t sample_us, uint64_t now_us)
{
	uint64_t late_us = iso_ewma_known(e) && sample_us > iso_ewma_us(e) ? sample_us - iso_ewma_us(e) : 0;
	uint64_t at_us = now_us > late_us ? now_us - late_us : 0;

	if (at_us > e->fresh_us)
		e->fresh_us = at_us;
}

bool iso_ewma_update(struct iso_ewma *e, uint32_t sample_us, uint64_t now_us)
{
	uint64_t dt_us = e->last_us != 0 && now_us > e->last_us ? now_us - e->last_us : 0;
	double weight, value;
	uint32_t jump;

	e->recent[e->recent_at] = sample_us;
	e->recent_at = (e->recent_at + 1) % ISO_EWMA_RECENT;
	if (e->recent_count < ISO_EWMA_RECENT)
		e->recent_count++;
	if (e->count < UINT32_MAX)
		e->count++;
	e->last_us = now_us;
	freshen(e, sample_us, now_us);
	if (!iso_ewma_known(e)) {
		e->value_q8 = ((uint64_t)sample_us << 8) + 1;
		return false;
	}
	if (!is_slow(e, sample_us))
		e->slow_us = 0;
	else if (e->slow_us == 0)
		e->slow_us = now_us;
	jump = changed_to(e, now_us > sample_us ? now_us - sample_us : 0, now_us);
	if (jump != 0) {
		e->value_q8 = (uint64_t)jump << 8;
		e->change_us = now_us;
		return true;
	}
	weight = 1.0 / (e->count < WARM_UP ? e->count : WARM_UP);
	if (e->count >= WARM_UP && dt_us > TAU_US / WARM_UP) { /* else 1 - e^-x < x is less than that */
		double by_time = -expm1(-(double)dt_us / TAU_US);

		weight = by_time > weight ? by_time : weight;
	}
	value = (double)e->value_q8 + ((double)sample_us * 256 - (double)e->value_q8) * weight;
	e->value_q8 = value < 1 ? 1 : (uint64_t)value;
	return false;
}

void iso_ewma_set(struct iso_ewma *e, uint32_t value_us)
{
	e->value_q8 = ((uint64_t)value_us << 8) + 1;
	e->recent_count = 0;
	e->slow_us = 0;
}

void iso_ewma_decay(struct iso_ewma *e, uint32_t target_us, uint64_t dt_us, uint64_t tau_us)
{
	double keep = exp(-(double)dt_us / (double)tau_us);
	double value = (double)target_us * 256 + ((double)e->value_q8 - (double)target_us * 256) * keep;

	if (iso_ewma_known(e))
		e->value_q8 = value < 1 ? 1 : (uint64_t)value;
}

void iso_ewma_doubt(struct iso_ewma *e, uint32_t count)
{
	if (e->count > count)
		e->count = count;
}
