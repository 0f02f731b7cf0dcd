/*
 * Attempts: when another one follows, and what becomes of an answer. Thread: the exchange's loop.
 * What is safe is policy/safety's word, where to go choice.c's, how often policy/retry's and the budget's.
 */
#include "exchange_priv.h"
#include "iso/base/hmap.h"
#include "iso/http/date.h"
#include "iso/http/uri.h"

enum { RETRY_AFTER_MAX_S = 300 };

/* Another one than t still waits for its answer. */
static bool other_live(const struct iso_exchange *x, const struct iso_try *t)
{
	for (uint32_t i = 0; i < x->try_count; i++)
		if (x->tries[i] != t && x->tries[i]->live && !x->tries[i]->kept_head)
			return true;
	return false;
}

bool iso_exchange_live(const struct iso_exchange *x)
{
	return other_live(x, NULL);
}

void iso_exchange_cancel_tries(struct iso_exchange *x, const struct iso_try *but)
{
	for (uint32_t i = 0; i < x->try_count; i++) {
		struct iso_try *t = x->tries[i];

		if (t == but || !t->live)
			continue;
		t->live = false;
		iso_timer_clear(&x->host->loop->wheel, &t->patience);
		iso_attempt_cancel(&t->a);
		iso_doubling_lost(x, t);
		/* A silent one that another one had to rescue is a failure of its region, not a wish of ours.
		 */
		iso_record_try_end(
			t, t->suspect && t->a.status == 0 ? ISO_OUTCOME_TIMEOUT : ISO_OUTCOME_CANCELLED,
			(enum iso_executed)t->a.end_executed);
	}
}

struct iso_budget *iso_exchange_budget(struct iso_exchange *x)
{
	return &x->host->budgets[x->service->slot];
}

void iso_exchange_refund(struct iso_exchange *x)
{
	if (x->choice.paid)
		iso_budget_return(iso_exchange_budget(x), true);
	x->choice.paid = false;
}

/* Another address of the region, which this exchange has not tried: as good as another region. */
static bool other_endpoint(const struct iso_exchange *x, const struct iso_cfg_region *region)
{
	const struct iso_board_region *board = &x->host->upstream->board->regions[region->slot];
	uint16_t avoid = iso_retry_avoid(&x->plan, (uint32_t)(region - x->service->regions));

	for (uint32_t i = 0; i < board->endpoint_count; i++)
		if (board->endpoints[i].usable && (avoid >> i & 1) == 0)
			return true;
	return false;
}

/* How long to wait before the region that was picked. Nothing ails one that only closed or misdirected a
 * connection. */
static uint64_t pause_us(struct iso_exchange *x)
{
	uint32_t region = x->choice.pick.index;
	uint64_t after_us = iso_exchange_asked_us(x, region);

	if (x->choice.pick.level != ISO_PICK_AGAIN)
		return 0;
	if (after_us == 0 &&
	    (x->choice.reason == ISO_RETRY_REASON_GOAWAY || x->tries[x->try_count - 1]->a.status == 421 ||
	     x->tries[x->try_count - 1]->a.status == 425 || other_endpoint(x, &x->service->regions[region])))
		return 0;
	return iso_retry_backoff_us(&x->plan, region, after_us, (uint32_t)iso_rng_next(&x->host->loop->rng));
}

/*
 * Whether the last answer has to do after all, now that it is known where another try would go: a throttled
 * request does not go where it is refused as well, and nobody waits beyond the deadline.
 */
static bool must_stand(struct iso_exchange *x)
{
	if (x->choice.reason == ISO_RETRY_REASON_THROTTLE &&
	    (x->choice.pick.level == ISO_PICK_FULL || x->choice.pick.level == ISO_PICK_AGAIN) &&
	    !iso_exchange_choose_out(x)) {
		x->choice.final = ISO_STAY_LIMITS;
		return true;
	}
	if (x->choice.pick.level == ISO_PICK_AGAIN &&
	    x->host->loop->now_us + iso_exchange_asked_us(x, x->choice.pick.index) >= x->deadline_us) {
		x->choice.final = ISO_STAY_RETRY_AFTER;
		return true;
	}
	return false;
}

/* A region is used again: not at once. */
static bool pause_first(struct iso_exchange *x)
{
	uint64_t wait_us = pause_us(x);

	if (wait_us == 0)
		return false;
	x->phase = ISO_PHASE_PAUSE;
	iso_timer_set(&x->host->loop->wheel, &x->choice.timer, x->host->loop->now_us + wait_us);
	return true;
}

static bool begin(struct iso_exchange *x)
{
	x->phase = ISO_PHASE_WAIT;
	if (!iso_try_start(x, x->choice.pick.index)) {
		iso_exchange_unchoose(x);
		x->phase = ISO_PHASE_FAIL;
		return false;
	}
	x->choice.paid = false;
	iso_hedge_arm(x);
	return true;
}

enum iso_step iso_phase_pick(struct iso_exchange *x)
{
	if (!iso_exchange_choose(x)) {
		x->error = ISO_SLICE("every region that this route allows is drained");
		x->fail_status = 503;
		x->phase = ISO_PHASE_FAIL;
		return ISO_STEP_MORE;
	}
	iso_exchange_choose_last(x);
	if (must_stand(x)) {
		x->phase = ISO_PHASE_FAIL;
		return ISO_STEP_MORE;
	}
	if (pause_first(x))
		return ISO_STEP_PARK;
	return begin(x) ? ISO_STEP_PARK : ISO_STEP_MORE;
}

void iso_exchange_on_choice_timer(struct iso_timer *timer)
{
	struct iso_exchange *x = ISO_CONTAINER(timer, struct iso_exchange, choice.timer);

	if (x->phase == ISO_PHASE_WAIT)
		iso_hedge_run(x);
	else if (x->phase == ISO_PHASE_PAUSE && !begin(x))
		iso_exchange_run(x, ISO_PHASE_FAIL);
}

static enum iso_ending ending_of(enum iso_outcome outcome)
{
	switch (outcome) {
	case ISO_OUTCOME_CONNECT:
		return ISO_ENDING_CONNECT;
	case ISO_OUTCOME_TLS:
		return ISO_ENDING_TLS;
	case ISO_OUTCOME_REFUSED_STREAM:
		return ISO_ENDING_REFUSED_STREAM;
	case ISO_OUTCOME_GOAWAY:
		return ISO_ENDING_GOAWAY;
	case ISO_OUTCOME_TIMEOUT:
		return ISO_ENDING_TIMEOUT;
	case ISO_OUTCOME_OVERLOAD:
		return ISO_ENDING_OVERLOAD;
	case ISO_OUTCOME_CANCELLED:
		return ISO_ENDING_CANCELLED;
	case ISO_OUTCOME_OK:
	case ISO_OUTCOME_STATUS:
		return ISO_ENDING_RESPONSE;
	default:
		return ISO_ENDING_RESET;
	}
}

static bool is_listed(const struct iso_statuses *statuses, uint16_t status)
{
	for (uint32_t i = 0; i < statuses->n; i++)
		if (statuses->v[i] == status)
			return true;
	return false;
}

uint32_t iso_exchange_api_key(const struct iso_exchange *x)
{
	/* Any seed will do: who forges a collision is taken for another client's key, and only moves itself.
	 */
	static const uint64_t seed[2] = { 0x69736f6368726f6e, 0x6170692d6b657973 };
	const struct iso_field *key = iso_fields_find(&x->head->fields, ISO_SLICE("x-api-key"));
	uint32_t hash;

	if (key == NULL)
		return 0;
	hash = (uint32_t)iso_siphash(seed, key->value);
	return hash != 0 ? hash : 1;
}

/* Of an answer just come: a 429 that may be this client's own quota, for nobody else is refused there now. */
static bool is_own_quota(const struct iso_try *t)
{
	struct iso_throttle_gate *gate = &t->x->host->upstream->stand->shared.gates[t->a.slot];

	return t->fault == ISO_FAULT_THROTTLE &&
	       !iso_throttle_gate_refused(gate, iso_exchange_api_key(t->x), t->x->host->loop->now_us) &&
	       t->executed != ISO_EXECUTED_NO;
}

static void judge(struct iso_try *t, enum iso_ending ending, enum iso_executed executed,
		  struct iso_verdict *ret_verdict)
{
	struct iso_exchange *x = t->x;
	uint64_t total_us = x->route->timeout_us, used_us = x->host->loop->now_us - x->received_us;
	bool keyed = iso_keys_has_one(x);
	struct iso_safety_facts facts = {
		.ending = ending,
		.executed = executed,
		.fault = t->own_quota ? ISO_FAULT_CLIENT : (enum iso_fault)t->fault,
		.key = !keyed || x->service->honoured == ISO_HONOURED_NONE ? ISO_KEY_NONE
		       : x->service->honoured == ISO_HONOURED_REGION       ? ISO_KEY_REGION
									   : ISO_KEY_GLOBAL,
		.status = t->a.status,
		.listed = is_listed(&x->route->retry.statuses, t->a.status),
		.idempotent = x->idempotent,
		.committed = x->committed,
		.early = iso_fields_find(&x->head->fields, ISO_SLICE("early-data")) != NULL,
		.replayable = !x->tape.lost || x->received_body == 0,
		.deadline_used_milli = total_us > 0 ? (uint32_t)(used_us * 1000 / total_us) : 1000,
	};

	iso_safety_judge(&facts, ret_verdict);
}

/*
 * Whether another attempt follows the one that ended with this verdict; if so the next pick is prepared. A
 * try of which no byte was sent costs the budget nothing.
 */
static bool may_follow(struct iso_exchange *x, const struct iso_try *t, const struct iso_verdict *verdict,
		       bool sent)
{
	struct iso_retry_step step;

	/* Where they went is known by now, whether they have ended or only their heads have come. */
	for (uint32_t i = 0; i < x->try_count; i++)
		iso_retry_endpoint(&x->plan, i, x->tries[i]->a.endpoint);
	iso_retry_next(&x->plan, verdict, t->region, x->route->region_mask, &step);
	x->choice.final = step.stay;
	if (!step.go || x->try_count >= ISO_TRIES_MAX)
		return false;
	if (!iso_budget_spend(iso_exchange_budget(x), sent, x->host->loop->now_us)) {
		x->choice.final = ISO_STAY_BUDGET;
		iso_metrics_add(x->host->metrics, ISO_METRIC_RETRIES_REFUSED, 1);
		return false;
	}
	x->choice.allowed = step.allowed;
	x->choice.tried = step.tried;
	x->choice.reason = (int)verdict->reason;
	x->choice.paid = sent;
	return true;
}

/* Retry-After (RFC 9110 section 10.2.3): seconds, or a date by the wall clock; 0: neither, or past. */
static uint64_t asked_us(const struct iso_exchange *x, struct iso_slice value)
{
	uint64_t now_us = x->host->loop->now_us + x->host->wall_offset_us, seconds, at_s;
	bool digits = value.len > 0;

	for (size_t i = 0; i < value.len; i++)
		digits = digits && value.ptr[i] >= '0' && value.ptr[i] <= '9';
	if (digits) {
		if (iso_slice_u64(value, &seconds) != ISO_OK || seconds > RETRY_AFTER_MAX_S)
			seconds = RETRY_AFTER_MAX_S;
		return seconds * 1000000;
	}
	if (!iso_http_date_parse(value, now_us / 1000000, &at_s) || at_s * 1000000 <= now_us)
		return 0;
	return at_s * 1000000 - now_us < RETRY_AFTER_MAX_S * 1000000ull ? at_s * 1000000 - now_us
									: RETRY_AFTER_MAX_S * 1000000ull;
}

static void classify(struct iso_try *t, const struct iso_head *head)
{
	const struct iso_field *type = iso_fields_get(&head->fields, ISO_FIELD_X_AMZN_ERRORTYPE);
	const struct iso_field *id = iso_fields_get(&head->fields, ISO_FIELD_X_AMZN_REQUESTID);
	const struct iso_field *after = iso_fields_get(&head->fields, ISO_FIELD_RETRY_AFTER);
	const struct iso_cfg_marker *marker = &t->x->service->marker;
	const struct iso_field *marked = marker->header.len > 0
						 ? iso_fields_find(&head->fields, marker->header)
						 : NULL;
	struct iso_classify_input input = { .status = head->status };
	struct iso_classification c;

	if (type != NULL)
		input.error_type = type->value;
	if (id != NULL)
		t->upstream_id = id->value;
	if (marked != NULL)
		input.marker = iso_classify_marker(marked->value, marker->secret);
	for (uint32_t i = 0; i < head->fields.n && head->status > 420; i++)
		input.handled = input.handled || iso_classify_is_gateway_id(head->fields.v[i].name);
	c = iso_classify(&input);
	t->fault = (uint8_t)c.fault;
	t->executed = (uint8_t)c.executed;
	t->words = c.words;
	t->own_quota = is_own_quota(t);
	if (after != NULL)
		t->retry_after_us = asked_us(t->x, after->value);
}

/* Puts an answer aside: its content is gathered while another region is asked. */
static void keep(struct iso_try *t, const struct iso_head *head, bool end)
{
	t->answer = *head;
	t->kept_head = true;
	t->kept_end = end;
}

static bool too_large_to_keep(const struct iso_head *head, bool end)
{
	return !end && head->content_length > ISO_KEPT_MAX;
}

/* It was no answer, or one that is too large to keep while a better one may come. */
static void let_go(struct iso_try *t)
{
	iso_buf_done(&t->kept);
	t->kept_head = t->live = false;
	iso_attempt_cancel(&t->a);
	iso_record_try_end(t, ISO_OUTCOME_CANCELLED, ISO_EXECUTED_YES);
}

/*
 * The first good head of two wins, and this one is none: it is put aside, whatever it says, while the other
 * may still bring a better one. When that has been silent for too long as well, a third region is asked.
 */
static void on_bad_head_of_two(struct iso_try *t, const struct iso_head *head, bool end, bool final)
{
	if (final && t->fault == ISO_FAULT_APPLICATION) {
		iso_exchange_commit(t->x, t, head, end); /* the API's own answer, as good as any */
		return;
	}
	if (too_large_to_keep(head, end))
		let_go(t);
	else
		keep(t, head, end);
	iso_doubling_again(t->x);
}

static void on_head(struct iso_attempt *a, const struct iso_head *head, bool end)
{
	struct iso_try *t = ISO_CONTAINER(a, struct iso_try, a);
	struct iso_exchange *x = t->x;
	struct iso_verdict verdict;

	if (head->status < 200) {
		iso_exchange_interim(t, head);
		return;
	}
	classify(t, head);
	iso_timer_clear(&x->host->loop->wheel, &t->patience);
	iso_record_try_head(t);
	if (t->fault == ISO_FAULT_NONE) {
		x->choice.final = ISO_STAY_NONE;
		iso_exchange_commit(x, t, head, end);
		return;
	}
	judge(t, ISO_ENDING_RESPONSE, (enum iso_executed)t->executed, &verdict);
	if (other_live(x, t)) {
		on_bad_head_of_two(t, head, end, verdict.retry == ISO_RETRY_NO);
		return;
	}
	if (verdict.retry == ISO_RETRY_NO || too_large_to_keep(head, end)) {
		x->choice.final = verdict.retry == ISO_RETRY_NO ? verdict.stay : ISO_STAY_COMMITTED;
		iso_exchange_commit(x, t, head, end);
		return;
	}
	keep(t, head, end);
	if (may_follow(x, t, &verdict, true))
		iso_exchange_run(x, ISO_PHASE_PICK);
	else
		iso_exchange_commit(x, t, head, end);
}

static void on_data(struct iso_attempt *a, struct iso_buf *data, bool end)
{
	struct iso_try *t = ISO_CONTAINER(a, struct iso_try, a);
	struct iso_exchange *x = t->x;

	if (x->winner == t) {
		iso_exchange_relay_data(x, data, end);
		return;
	}
	if (t->kept.bytes + data->bytes > ISO_KEPT_MAX || iso_buf_move(&t->kept, data) != ISO_OK) {
		let_go(t);
		return;
	}
	t->kept_end = end;
}

static void on_trailers(struct iso_attempt *a, const struct iso_fields *trailers)
{
	struct iso_try *t = ISO_CONTAINER(a, struct iso_try, a);
	struct iso_exchange *x = t->x;

	if (x->winner == t) {
		x->response_end = true;
		iso_keys_trailers(x);
		x->response->ops->trailers(x->response, iso_exchange_trailers(x, trailers));
	} else {
		t->kept_end = true; /* an error answer's trailers are not worth keeping */
	}
}

static void on_writable(struct iso_attempt *a, size_t n)
{
	iso_flow_sent(ISO_CONTAINER(a, struct iso_try, a), n);
}

static const char *overload_words(const struct iso_exchange *x, const struct iso_try *t)
{
	const struct iso_field *type = iso_fields_get(&x->head->fields, ISO_FIELD_CONTENT_TYPE);
	bool grpc = type != NULL && iso_slice_starts(type->value, ISO_SLICE("application/grpc"));

	return grpc && t != NULL && !t->a.over_h2 ? "gRPC needs HTTP/2 to the region, which speaks HTTP/1.1"
						  : "a limit of the proxy has been reached";
}

/* No attempt can follow and none runs: what the client gets. */
static void give_up(struct iso_exchange *x, const struct iso_try *t, enum iso_outcome outcome,
		    const char *words)
{
	if (x->error.ptr == NULL)
		x->error =
			iso_slice_str(t != NULL && t->a.end_err == ISO_ENOTFOUND
					      ? "the region has gone from the configuration"
				      : outcome == ISO_OUTCOME_TLS      ? "TLS to the region failed"
				      : outcome == ISO_OUTCOME_CONNECT  ? "the region cannot be reached"
				      : outcome == ISO_OUTCOME_TIMEOUT  ? "the region did not answer in time"
				      : outcome == ISO_OUTCOME_PROTOCOL ? "the region's answer was malformed"
				      : outcome == ISO_OUTCOME_OVERLOAD ? overload_words(x, t)
				      : words != NULL                   ? words
						      : "the connection to the region broke");
	x->fail_status = outcome == ISO_OUTCOME_TIMEOUT ? 504 : outcome == ISO_OUTCOME_OVERLOAD ? 503 : 502;
	iso_exchange_run(x, ISO_PHASE_FAIL);
}

/* All that run have had their per_try_timeout. */
static bool all_overdue(const struct iso_exchange *x)
{
	for (uint32_t i = 0; i < x->try_count; i++)
		if (x->tries[i]->live && !x->tries[i]->kept_head && !x->tries[i]->overdue)
			return false;
	return true;
}

static void end_overdue(struct iso_exchange *x)
{
	for (uint32_t i = 0; i < x->try_count; i++) {
		struct iso_try *t = x->tries[i];
		enum iso_executed executed = iso_attempt_executed(&t->a, ISO_BREAK_GIVEN_UP);

		if (!t->live || t->kept_head)
			continue;
		t->live = false;
		iso_timer_clear(&x->host->loop->wheel, &t->patience);
		iso_attempt_cancel(&t->a);
		iso_record_try_end(t, ISO_OUTCOME_TIMEOUT, executed);
	}
}

/* The try that was prepared does not follow: all is as it was. The timer is none of a pick. */
static void stay(struct iso_exchange *x, const struct iso_exchange_choice *before)
{
	x->choice.allowed = before->allowed;
	x->choice.tried = before->tried;
	x->choice.reason = before->reason;
	x->choice.pick = before->pick;
	if (x->try_count < ISO_TRIES_MAX)
		x->choice.decisions[x->try_count] = iso_slice(NULL, 0);
	x->choice.final = before->final;
}

/*
 * per_try_timeout ends an attempt only when another may follow: by the rules, within the budget, and in a
 * region that would take it; else the deadline does. While another one runs that has not had its time it
 * goes on beside it: whichever answers first. False: it stays, and is asked again later, for the budget
 * fills.
 */
static bool make_way(struct iso_exchange *x, struct iso_try *t)
{
	enum iso_executed executed = iso_attempt_executed(&t->a, ISO_BREAK_GIVEN_UP);
	const struct iso_exchange_choice before = x->choice;
	uint16_t bound = x->plan.bound;
	struct iso_verdict verdict;
	bool spent, goes;

	judge(t, ISO_ENDING_TIMEOUT, executed, &verdict);
	spent = all_overdue(x) && may_follow(x, t, &verdict, executed != ISO_EXECUTED_NO);
	goes = spent && iso_exchange_choose(x) && !must_stand(x);
	if (!goes) {
		iso_exchange_refund(x);
		stay(x, &before);
		x->plan.bound = bound;
		return false;
	}
	end_overdue(x);
	if (!pause_first(x) && !begin(x))
		iso_exchange_run(x, ISO_PHASE_FAIL);
	return true;
}

static void after_failure(struct iso_try *t, enum iso_outcome outcome, enum iso_executed executed)
{
	struct iso_exchange *x = t->x;
	struct iso_verdict verdict;

	for (uint32_t i = 0; i < x->try_count; i++) {
		if (!x->tries[i]->live || x->tries[i]->kept_head)
			continue;
		/* Only what has been silent for too long is left: it need not be waited for. */
		if (!all_overdue(x) || !make_way(x, x->tries[i]))
			iso_doubling_again(x);
		return;
	}
	judge(t, ending_of(outcome), executed, &verdict);
	if (may_follow(x, t, &verdict, executed != ISO_EXECUTED_NO))
		iso_exchange_run(x, ISO_PHASE_PICK);
	else
		give_up(x, t, outcome, NULL);
}

static void on_end(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed)
{
	struct iso_try *t = ISO_CONTAINER(a, struct iso_try, a);
	struct iso_exchange *x = t->x;

	t->live = false;
	iso_timer_clear(&x->host->loop->wheel, &t->patience);
	iso_record_try_end(t, outcome, executed);
	if (x->winner == t) {
		if (outcome != ISO_OUTCOME_OK && !x->response_end) {
			x->error = ISO_SLICE("the region broke off its answer");
			x->response->ops->reset(x->response, ISO_RESET_INTERNAL);
		} else if (x->relay.tunnel) {
			x->response->ops->reset(x->response, ISO_RESET_NONE); /* both directions are over */
		}
		return;
	}
	if (x->committed || (outcome == ISO_OUTCOME_OK && t->kept_head))
		return;
	t->kept_head = false; /* half an answer is none */
	if (x->phase == ISO_PHASE_PAUSE)
		return; /* another try follows already */
	after_failure(t, outcome, executed);
}

void iso_try_on_patience(struct iso_timer *timer)
{
	struct iso_try *t = ISO_CONTAINER(timer, struct iso_try, patience);
	struct iso_exchange *x = t->x;

	if (!t->live || x->committed || x->phase != ISO_PHASE_WAIT)
		return;
	t->overdue = true;
	if (!make_way(x, t))
		iso_timer_set(&x->host->loop->wheel, &t->patience,
			      x->host->loop->now_us + x->route->retry.per_try_timeout_us);
}

const struct iso_attempt_ops iso_try_ops = {
	.head = on_head,
	.data = on_data,
	.trailers = on_trailers,
	.writable = on_writable,
	.suspect = iso_try_on_suspect,
	.end = on_end,
};
