/*
 * Which region the next attempt goes to: the board and the configuration as the policies see them, and the
 * record of a pick. Thread: the exchange's loop.
 */
#include "exchange_priv.h"
#include "iso/policy/decision.h"
#include "iso/policy/safety.h"
#include "iso/policy/suspicion.h"
#include "iso/upstream/view.h"

_Static_assert((int)ISO_DECISION_MAX <= (int)ISO_LOG_DECISION_MAX, "a decision must fit into its line");
_Static_assert((int)ISO_TRIES_MAX <= (int)ISO_LOG_DECISIONS_MAX, "and so must that of each try");

/*
 * A region that is half-open gets one request of the whole process, the first try of one that may run twice.
 * It is taken by a pick alone that a try follows at once: a first try has nothing to pause for or to stand
 * by.
 */
static void take_trial(const struct iso_exchange *x, const struct iso_board_region *const boards[],
		       struct iso_view *view)
{
	struct iso_board_stand *stand = x->host->upstream->stand;

	if (x->phase != ISO_PHASE_PICK || x->try_count > 0 ||
	    !iso_safety_may_double(x->safe, x->route->idempotent))
		return;
	for (uint32_t i = 0; i < x->service->region_count && view->trial == 0; i++) {
		uint16_t bit = (uint16_t)(1u << i);

		if (boards[i]->trial != 0 && (view->allowed & bit) != 0 && (view->lacking & bit) == 0 &&
		    iso_board_take_trial(stand, x->service->regions[i].slot, boards[i]->trial))
			view->trial = bit;
	}
}

/* At a limit: max_in_flight, or what was learnt. */
static bool is_full(const struct iso_exchange *x, const struct iso_cfg_region *region,
		    const struct iso_board_region *board)
{
	struct iso_board_stand *stand = x->host->upstream->stand;
	uint64_t now_us = x->host->loop->now_us;
	bool full =
		(region->max_in_flight > 0 && iso_board_load(stand, region->slot) >= region->max_in_flight) ||
		(board->limit_milli != 0 &&
		 iso_throttle_gate_closed(&stand->shared.gates[region->slot], board->limit_milli, now_us));

	if (full)
		iso_board_note_full(stand, region->slot, now_us);
	return full;
}

/* What the other policies do not ask for is not looked up. */
static void be_careful(const struct iso_exchange *x, struct iso_view *view)
{
	const struct iso_upstream *up = x->host->upstream;
	bool once = !iso_safety_may_double(x->safe, x->route->idempotent);
	uint32_t unheard[ISO_VIEW_MAX];
	uint16_t avoid = 0;

	if (x->route->policy != ISO_POLICY_LATENCY)
		return;
	for (uint32_t i = 0; i < view->n; i++) {
		uint32_t slot = x->service->regions[i].slot;

		unheard[i] = iso_upstream_unheard(up, slot);
		if (once ? iso_upstream_wary(up, slot) : iso_upstream_quiet(up, slot))
			avoid |= (uint16_t)(1u << i);
	}
	view->wary = once ? avoid : iso_spared(view, avoid, unheard);
	if (once)
		view->wary |= iso_unheard(view, unheard);
}

uint64_t iso_exchange_asked_us(const struct iso_exchange *x, uint32_t region)
{
	uint64_t now_us = x->host->loop->now_us;

	for (uint32_t i = x->try_count; i > 0; i--) {
		const struct iso_try *t = x->tries[i - 1];
		uint64_t until_us = t->a.head_us + t->retry_after_us;

		if (t->region == region)
			return t->retry_after_us != 0 && until_us > now_us ? until_us - now_us : 0;
	}
	return 0;
}

/* Of the regions that this exchange has tried and that are up, those are left that may be asked soonest. */
static void put_off(const struct iso_exchange *x, struct iso_view *view)
{
	uint16_t tried = (uint16_t)(view->tried & view->allowed), soonest = 0;
	uint16_t up = (uint16_t)(tried & view->up & ~(uint32_t)view->lacking);
	uint16_t among = up != 0 ? up : tried;
	uint64_t least_us = UINT64_MAX;

	for (uint32_t i = 0; i < view->n; i++) {
		uint64_t asked_us;

		if ((among >> i & 1) == 0)
			continue;
		asked_us = iso_exchange_asked_us(x, i);
		if (asked_us < least_us)
			soonest = 0;
		if (asked_us <= least_us) {
			soonest |= (uint16_t)(1u << i);
			least_us = asked_us;
		}
	}
	view->allowed &= (uint16_t) ~(uint32_t)(among & ~soonest);
}

static void build_view(const struct iso_exchange *x, struct iso_view *ret_view)
{
	const struct iso_upstream *up = x->host->upstream;
	const struct iso_cfg_service *service = x->service;
	const struct iso_board_region *boards[ISO_VIEW_MAX];

	iso_view_init(ret_view, service->region_count);
	ret_view->tried = x->choice.tried;
	for (uint32_t i = 0; i < service->region_count; i++) {
		const struct iso_cfg_region *region = &service->regions[i];
		uint16_t bit = (uint16_t)(1u << i);

		boards[i] = &up->board->regions[region->slot];
		iso_view_add(ret_view, i, region, boards[i]);
		/* A first try of a request that may run twice: what it measures harms nobody. */
		if (boards[i]->unmeasured && x->try_count == 0 && x->safe)
			ret_view->explore |= bit;
		if (iso_upstream_suspect(up, region->slot))
			ret_view->suspect |= bit;
		if (is_full(x, region, boards[i]))
			ret_view->full |= bit;
	}
	if (x->route->track != NULL)
		(void)iso_view_track(ret_view, x->route, iso_board_track(up->board, x->route->track->number),
				     x->try_count == 0 && x->safe);
	ret_view->allowed &= x->choice.allowed;
	if (x->from.known != NULL)
		ret_view->client = *x->from.known;
	if (up->board->unwell)
		iso_view_require(ret_view, boards, x->route, x->head->path);
	if (x->try_count > 1)
		put_off(x, ret_view);
	be_careful(x, ret_view);
	if (x->from.writer != 0)
		ret_view->held = iso_after_write_held(x);
	if (up->board->half_open && iso_balance_held(ret_view) == 0)
		take_trial(x, boards, ret_view);
}

/* The record of the try that this pick leads to. Without memory the line goes without it. */
static void record(struct iso_exchange *x, const struct iso_view *view)
{
	char *memory = iso_arena_alloc(x->arena, ISO_DECISION_MAX);
	struct iso_slice names[ISO_VIEW_MAX];
	struct iso_decision decision = { x->route->policy, *view, x->choice.pick };
	struct iso_text text;

	if (memory == NULL)
		return;
	for (uint32_t i = 0; i < view->n; i++)
		names[i] = x->service->regions[i].name;
	iso_text_init_fixed(&text, memory, ISO_DECISION_MAX);
	iso_decision_write(&decision, names, &text);
	if (iso_text_ok(&text) == ISO_OK)
		x->choice.decisions[x->try_count] = iso_text_slice(&text);
}

void iso_exchange_unchoose(const struct iso_exchange *x)
{
	const struct iso_upstream *up = x->host->upstream;
	uint32_t slot = x->service->regions[x->choice.pick.index].slot;

	if (x->choice.pick.level == ISO_PICK_TRIAL)
		iso_board_return_trial(up->stand, slot, up->board->regions[slot].trial);
}

bool iso_exchange_choose(struct iso_exchange *x)
{
	uint64_t random = iso_rng_next(&x->host->loop->rng);
	struct iso_view view;

	build_view(x, &view);
	iso_balance_pick(x->route->policy, &view, (uint32_t)(random >> 32), &x->choice.pick);
	/* The other half of the random number: what is drawn must not decide what is recorded. */
	if (x->try_count == 0)
		x->choice.recorded = x->host->log != NULL &&
				     (uint32_t)random < x->generation->snapshot->access_log_decisions;
	if (x->choice.recorded && x->try_count < ISO_TRIES_MAX)
		record(x, &view);
	return x->choice.pick.level != ISO_PICK_NONE;
}

/* Those that are out or silent, and that this exchange has not asked. */
static uint16_t out_of(const struct iso_exchange *x)
{
	const struct iso_upstream *up = x->host->upstream;
	uint16_t out = 0;

	for (uint32_t i = 0; i < x->service->region_count; i++) {
		uint32_t slot = x->service->regions[i].slot;
		const struct iso_board_region *board = &up->board->regions[slot];

		if (board->state != ISO_REGION_DRAINED && (!board->up || iso_upstream_suspect(up, slot)))
			out |= (uint16_t)(1u << i);
	}
	return (uint16_t)(out & x->choice.allowed & ~(uint32_t)x->choice.tried);
}

bool iso_exchange_choose_out(struct iso_exchange *x)
{
	uint16_t out = out_of(x);

	if (out == 0)
		return false;
	x->choice.allowed = out;
	return iso_exchange_choose(x);
}

void iso_exchange_choose_last(struct iso_exchange *x)
{
	const struct iso_attempt *last;

	if (x->choice.pick.level != ISO_PICK_AGAIN || x->try_count < 2)
		return;
	last = &x->tries[x->try_count - 1]->a;
	switch ((enum iso_retry_reason)x->choice.reason) {
	case ISO_RETRY_REASON_STATUS:
		if (last->status == 421 || last->status == 425) /* they say nothing of the region */
			return;
		break;
	case ISO_RETRY_REASON_CONNECT:
	case ISO_RETRY_REASON_TLS:
	case ISO_RETRY_REASON_RESET:
	case ISO_RETRY_REASON_TIMEOUT:
		break;
	default:
		return;
	}
	(void)iso_exchange_choose_out(x);
}
