/*
 * The prediction. Pure.
 * Invariant: `live`, the probes and the ratio never depend on failures; excess_us, struck_us >= 0 and every
 * step is monotone in them, in the failures in a row and in the good answers in a row. So of two regions with
 * the same good evidence, the one with more failures never has the lower estimate.
 */
#include "iso/policy/estimate.h"

#include <math.h>
#include <string.h>

enum {
	SECOND_US = 1000 * 1000,
	DECAY_TAU_US = SECOND_US,
	DECAY_STEP_MAX_US = SECOND_US,
	COST_MAX_US = 30 * SECOND_US,
	WEIGHT_TAU_US = 10 * SECOND_US, /* as in stats/ewma: 100 samples or 10 s */
	CALM_US = 10 * SECOND_US,       /* after a change the ratio is not learnt */
	LEARN_SAMPLES = 20,
	QUESTION_US = 20 * 1000,
	RELAPSE_US = 30 * SECOND_US,
	RELAPSES_MAX = 3,
	SLOWED_US = 30 * SECOND_US, /* what lasts longer is how it is now */
	STALE_COUNT = 10,           /* the first live answers after a silence weigh a tenth each */
	FAILURE_PART = 5,           /* a quick failure alone adds at most this part of a usual answer */
	STRUCK_US = 50 * 1000,  /* without a good answer for so long, two failures in a row are no chance */
	UNSURE_US = 300 * 1000, /* nothing has come after a failure for so long: one will do, too */
	STRUCK_USUALS = 4, /* what they count as at least, in usual answers: nothing is left of a share */
	FORGIVE_RUN = 3,   /* good answers in a row, from which on they lift it by halves */
	FORGIVE_US = SECOND_US, /* the first good answer after so long forgives all, if a probe does, too */
};

static const double weight_min = 0.01;
static const double weight_max = 0.25;
static const double ratio_alpha = 0.05;
static const double ratio_min = 0.125, ratio_max = 8.0;

void iso_estimate_init(struct iso_estimate *e)
{
	memset(e, 0, sizeof(*e));
	iso_ewma_init(&e->live);
	e->ratio = 1.0;
}

/* What the probes predict for live answers: the slower of the last two; 0: nothing. */
static uint32_t by_probes_us(const struct iso_estimate *e)
{
	uint32_t probe_us = e->probes_us[0];
	double us;

	if (e->probe_count == 0)
		return 0;
	/* One slow first probe (a cold start) does not speak against a region that has no other evidence. */
	if (e->probe_count > 1 && iso_ewma_known(&e->live) && e->probes_us[1] > probe_us)
		probe_us = e->probes_us[1];
	us = probe_us * e->ratio;
	return us < 1 ? 1 : us > COST_MAX_US ? COST_MAX_US : (uint32_t)us;
}

/* What one more answer weighs, by the time since the last good one: failures must not change it. */
static double weight_now(const struct iso_estimate *e, uint64_t now_us)
{
	uint64_t dt_us = e->live.fresh_us != 0 && now_us > e->live.fresh_us ? now_us - e->live.fresh_us : 0;
	double weight;

	if (!iso_ewma_known(&e->live))
		return weight_max;
	if (dt_us * 100 <= WEIGHT_TAU_US) /* 1 - e^-x < x: saves the power of nearly all */
		return weight_min;
	weight = -expm1(-(double)dt_us / WEIGHT_TAU_US);
	return weight < weight_min ? weight_min : weight > weight_max ? weight_max : weight;
}

/* The probes' word brings it back; when it is slow again soon after, that weighs less next time. */
static void note_slowdown(struct iso_estimate *e, uint32_t before_us, uint64_t now_us)
{
	if (e->last_slow_us != 0 && now_us < e->last_slow_us + RELAPSE_US)
		e->relapses += e->relapses < RELAPSES_MAX;
	else
		e->relapses = 0;
	e->slowed_us = e->last_slow_us = now_us;
	e->before_us = before_us;
}

/* After a silence a probe and an answer agree that it is quicker than it was: they are what is known now. */
static void wake(struct iso_estimate *e, uint32_t ttfb_us, uint64_t now_us)
{
	uint32_t now_at_us = by_probes_us(e);

	if (now_us <= e->live.fresh_us + FORGIVE_US || e->probes_since < 1u << e->relapses)
		return;
	if (ttfb_us > now_at_us)
		now_at_us = ttfb_us;
	if (now_at_us < iso_ewma_us(&e->live)) {
		iso_ewma_set(&e->live, now_at_us);
		iso_ewma_doubt(&e->live, STALE_COUNT);
	}
}

void iso_estimate_good(struct iso_estimate *e, uint32_t ttfb_us, uint64_t now_us)
{
	uint32_t before_us = iso_ewma_us(&e->live);

	e->bad_run = 0;
	e->unproven = false;
	if (e->good_run < FORGIVE_RUN)
		e->good_run++;
	/* A probe and an answer since the last failure, and nothing good for long before: it is well again.
	 */
	if (e->probed_us > e->failed_us && now_us > e->live.fresh_us + FORGIVE_US)
		e->excess_us = e->struck_us = 0;
	wake(e, ttfb_us, now_us);
	e->excess_us *= 1.0 - weight_now(e, now_us);
	if (e->excess_us < 1.0)
		e->excess_us = 0;
	if (e->good_run >= FORGIVE_RUN)
		e->struck_us = e->struck_us < 1.0 ? 0 : e->struck_us / 2;
	/* 0 is "unknown" everywhere. */
	if (iso_ewma_update(&e->live, ttfb_us != 0 ? ttfb_us : 1, now_us) &&
	    iso_ewma_us(&e->live) > before_us) {
		note_slowdown(e, before_us, now_us);
	}
	e->decayed_us = 0;
	e->probes_since = 0;
}

void iso_estimate_error(struct iso_estimate *e, uint64_t age_us, uint64_t now_us)
{
	double cost_us = age_us < COST_MAX_US ? (double)age_us : COST_MAX_US;
	double above_us = cost_us - iso_estimate_usual_us(e) - e->excess_us;

	if (above_us > 0)
		e->excess_us += above_us * weight_now(e, now_us);
}

/*
 * One among good ones: a small step, however long ago the last good answer was. It must leave enough traffic
 * for the next answer to come soon, good or bad.
 */
static void add_one(struct iso_estimate *e, uint64_t cost_us)
{
	double usual_us = iso_estimate_usual_us(e);
	double step_us = ((double)cost_us - usual_us - e->excess_us) * weight_min;
	double most_us = usual_us / FAILURE_PART * (double)cost_us / ISO_ESTIMATE_PENALTY_US;

	if (usual_us > 0 && step_us > most_us)
		step_us = most_us;
	if (step_us > 0)
		e->excess_us += step_us;
}

/*
 * Failures and nothing else: the estimate becomes what they cost, at once. By small steps it would take the
 * longer the less is still sent there, at a rate of answers at which it looks good meanwhile.
 */
static void strike(struct iso_estimate *e, uint64_t cost_us)
{
	double usual_us = iso_estimate_usual_us(e), to_us = STRUCK_USUALS * usual_us;

	if ((double)cost_us > to_us)
		to_us = (double)cost_us;
	if (to_us - usual_us > e->struck_us)
		e->struck_us = to_us - usual_us;
}

void iso_estimate_failure(struct iso_estimate *e, uint64_t age_us, uint64_t retry_after_us, uint64_t now_us)
{
	uint64_t cost_us = age_us > ISO_ESTIMATE_PENALTY_US ? age_us : ISO_ESTIMATE_PENALTY_US;

	if (retry_after_us > cost_us)
		cost_us = retry_after_us;
	if (cost_us > COST_MAX_US)
		cost_us = COST_MAX_US;
	e->good_run = 0;
	e->failed_us = now_us;
	e->probes_unfailed = 0;
	if (e->bad_run == 0)
		e->bad_since_us = now_us;
	if (e->bad_run < 2)
		e->bad_run++;
	if (e->bad_run >= 2 && now_us > e->live.fresh_us + STRUCK_US)
		strike(e, cost_us);
	add_one(e, cost_us);
}

static void learn_ratio(struct iso_estimate *e, uint32_t ttfb_us, uint64_t now_us)
{
	uint32_t live_us;
	double ratio;

	if (e->live.count < LEARN_SAMPLES || now_us > e->live.fresh_us + ISO_ESTIMATE_STALE_US ||
	    ttfb_us == 0)
		return;
	if (e->live.change_us != 0 && now_us < e->live.change_us + CALM_US)
		return;
	/* Not the average, which keeps a lone late answer (the last one of a hang) for a hundred others. */
	live_us = iso_ewma_recent_us(&e->live);
	if (live_us == 0)
		return;
	ratio = live_us / (double)ttfb_us;
	ratio = ratio < ratio_min ? ratio_min : ratio > ratio_max ? ratio_max : ratio;
	e->ratio += ratio_alpha * (ratio - e->ratio);
}

void iso_estimate_probe(struct iso_estimate *e, uint32_t ttfb_us, uint64_t now_us)
{
	learn_ratio(e, ttfb_us, now_us);
	e->probes_us[1] = e->probes_us[0];
	e->probes_us[0] = ttfb_us != 0 ? ttfb_us : 1;
	if (e->probe_count < 2)
		e->probe_count++;
	if (e->probes_since < UINT32_MAX)
		e->probes_since++;
	if (e->probes_unfailed < UINT32_MAX)
		e->probes_unfailed++;
	e->probed_us = now_us;
}

void iso_estimate_probe_failed(struct iso_estimate *e)
{
	e->probe_count = e->probes_since = e->probes_unfailed = 0;
}

/* By the probes since the last failure: one lets what failures add fade, several in a row forget it. */
static void forgive(struct iso_estimate *e, uint64_t dt_us, uint64_t tau_us)
{
	double keep = exp(-(double)dt_us / (double)tau_us);

	if (e->probes_unfailed == 0)
		return;
	if (e->probes_unfailed >= 2u << e->relapses) {
		e->unproven = e->unproven || e->struck_us > 0;
		keep = 0;
	}
	e->excess_us *= keep;
	e->struck_us *= keep;
}

void iso_estimate_tick(struct iso_estimate *e, uint64_t now_us)
{
	uint32_t target_us = by_probes_us(e);
	uint64_t dt_us, tau_us;

	if (e->slowed_us != 0 && now_us > e->slowed_us + SLOWED_US)
		e->slowed_us = 0;
	if (e->bad_run > 0 && e->probes_unfailed == 0 && now_us > e->bad_since_us + UNSURE_US &&
	    now_us > e->live.fresh_us + UNSURE_US)
		strike(e, ISO_ESTIMATE_PENALTY_US);
	if (target_us == 0 || e->probed_us <= e->live.fresh_us ||
	    now_us <= e->live.fresh_us + ISO_ESTIMATE_STALE_US) {
		e->decayed_us = 0;
		return;
	}
	dt_us = e->decayed_us != 0 && now_us > e->decayed_us ? now_us - e->decayed_us : 0;
	if (dt_us > DECAY_STEP_MAX_US)
		dt_us = DECAY_STEP_MAX_US;
	e->decayed_us = now_us;
	tau_us = (uint64_t)DECAY_TAU_US << 2 * e->relapses;
	forgive(e, dt_us, tau_us);
	/* Probes in a row after all that is known from live answers: they are what is known now. */
	if (e->probes_since >= 2u << e->relapses)
		dt_us = COST_MAX_US;
	iso_ewma_decay(&e->live, target_us, dt_us, tau_us);
	iso_ewma_doubt(&e->live, STALE_COUNT);
}

void iso_estimate_heard(struct iso_estimate *e, uint64_t now_us)
{
	uint32_t target_us = by_probes_us(e), before_us = iso_ewma_us(&e->live);

	if (iso_ewma_known(&e->live) && target_us > before_us) {
		if (target_us > 2 * (uint64_t)before_us)
			note_slowdown(e, before_us, now_us);
		iso_ewma_set(&e->live, target_us);
		iso_ewma_doubt(&e->live, STALE_COUNT);
	}
}

void iso_estimate_without(struct iso_estimate *e, uint32_t rest_us)
{
	if (rest_us == 0 || !iso_ewma_known(&e->live) || iso_ewma_us(&e->live) <= rest_us)
		return;
	iso_ewma_set(&e->live, rest_us);
	e->slowed_us = 0;
}

bool iso_estimate_in_question(const struct iso_estimate *e)
{
	/* The last one alone: another will tell whether it is right. */
	double probe_us = e->probe_count > 0 ? e->probes_us[0] * e->ratio : 0;

	if (e->struck_us > 0)
		return true;
	if (!iso_ewma_known(&e->live))
		return false;
	if (e->slowed_us != 0)
		return iso_ewma_us(&e->live) > 2 * (uint64_t)e->before_us;
	/* A health check that does next to nothing can say nothing. */
	return probe_us > 0 && e->ratio < ratio_max && iso_ewma_us(&e->live) > 2 * probe_us + QUESTION_US;
}

uint32_t iso_estimate_usual_us(const struct iso_estimate *e)
{
	uint32_t us;

	if (!iso_ewma_known(&e->live))
		return by_probes_us(e);
	us = iso_ewma_us(&e->live);
	return us != 0 ? us : 1;
}

uint32_t iso_estimate_us(const struct iso_estimate *e)
{
	uint32_t usual_us = iso_estimate_usual_us(e);
	double us = usual_us + (e->struck_us > e->excess_us ? e->struck_us : e->excess_us);

	return us > COST_MAX_US ? COST_MAX_US : (uint32_t)us;
}
