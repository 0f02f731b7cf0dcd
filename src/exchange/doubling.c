/*
 * Two tries at once: rescue, when the first one is silent for too long, and hedge, when it is slower than
 * most are. The first good head wins. Thread: the exchange's loop. Only for what may run at any later time
 * too (policy/safety), only elsewhere, and within the budget.
 */
#include "exchange_priv.h"

/* Whether another try beside what runs is allowed at all. */
static bool may_double(const struct iso_exchange *x)
{
	return !x->committed && x->phase == ISO_PHASE_WAIT && iso_retry_left(&x->plan) &&
	       x->try_count < ISO_TRIES_MAX && iso_safety_may_double(x->safe, x->route->idempotent) &&
	       (!x->tape.lost || x->received_body == 0);
}

/* All that wait for an answer have been silent for too long; false also when none waits. */
static bool all_suspect(const struct iso_exchange *x)
{
	bool any = false;

	for (uint32_t i = 0; i < x->try_count; i++) {
		if (!x->tries[i]->live || x->tries[i]->kept_head)
			continue;
		if (!x->tries[i]->suspect)
			return false;
		any = true;
	}
	return any;
}

/* Another try, if a region that was not tried is in good order and the budget has it. Whether it has begun,
 * or its failing to was the exchange's end. */
static bool double_up(struct iso_exchange *x, enum iso_retry_reason reason)
{
	const struct iso_pick pick = x->choice.pick;
	enum iso_pick_level most = reason == ISO_RETRY_REASON_RESCUE ? ISO_PICK_FULL : ISO_PICK_GOOD;

	x->choice.allowed = x->plan.bound != 0 ? (uint16_t)(x->route->region_mask & x->plan.bound)
					       : x->route->region_mask;
	x->choice.tried = x->plan.tried;
	if (!iso_exchange_choose(x) || x->choice.pick.level > most ||
	    !iso_budget_spend(iso_exchange_budget(x), true, x->host->loop->now_us)) {
		x->choice.pick = pick;
		x->choice.decisions[x->try_count] = iso_slice(NULL, 0);
		return false;
	}
	x->choice.reason = (int)reason;
	x->choice.paid = true;
	if (iso_try_start(x, x->choice.pick.index))
		x->choice.paid = false;
	else
		iso_exchange_run(x, ISO_PHASE_FAIL);
	return true;
}

void iso_try_on_suspect(struct iso_attempt *a)
{
	struct iso_try *t = ISO_CONTAINER(a, struct iso_try, a);

	t->suspect = true;
	iso_doubling_again(t->x);
}

void iso_doubling_again(struct iso_exchange *x)
{
	if (may_double(x) && all_suspect(x))
		(void)double_up(x, ISO_RETRY_REASON_RESCUE);
}

/* How long the region is waited for before a hedge; 0: none. */
static uint64_t hedge_after_us(const struct iso_exchange *x)
{
	const struct iso_cfg_hedge *hedge = &x->route->hedge;
	uint32_t slot = x->service->regions[x->choice.pick.index].slot;
	const struct iso_board *board = x->host->upstream->board;
	const struct iso_board_lane *own = x->route->track != NULL
						   ? iso_board_lane(board, x->route->track->number,
								    x->choice.pick.index, slot)
						   : NULL;

	switch (hedge->after) {
	case ISO_HEDGE_P95:
	case ISO_HEDGE_P99:
		return own != NULL ? own->hedge_us : board->regions[slot].hedge_us;
	case ISO_HEDGE_FIXED:
		return hedge->after_us;
	default:
		return 0;
	}
}

void iso_hedge_arm(struct iso_exchange *x)
{
	uint64_t after_us;

	if (x->route->hedge.after == ISO_HEDGE_OFF || x->try_count != 1 ||
	    !iso_safety_may_double(x->safe, x->route->idempotent))
		return;
	/* Who is held reads what it wrote: another region is sooner there because it knows nothing of that.
	 */
	if (x->choice.pick.level == ISO_PICK_HELD)
		return;
	after_us = hedge_after_us(x);
	if (after_us > 0)
		iso_timer_set(&x->host->loop->wheel, &x->choice.timer, x->host->loop->now_us + after_us);
}

void iso_hedge_run(struct iso_exchange *x)
{
	struct iso_budget *hedges = &x->host->hedges[x->service->slot];

	if (x->try_count != 1 || !x->tries[0]->live || x->tries[0]->kept_head || !may_double(x) ||
	    !iso_budget_spend(hedges, true, x->host->loop->now_us))
		return;
	/* Nowhere to go, or no retry budget: the hedge that was not made is another request's. */
	if (!double_up(x, ISO_RETRY_REASON_HEDGE))
		iso_budget_return(hedges, true);
}

void iso_doubling_lost(struct iso_exchange *x, const struct iso_try *t)
{
	if (x->winner != NULL && x->winner != t && t->a.end_executed != ISO_EXECUTED_NO)
		iso_metrics_add(x->host->metrics, ISO_METRIC_EXTRA_EXECUTIONS, 1);
}
