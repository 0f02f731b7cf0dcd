/*
 * Attempts: which region, when another one, and what becomes of an answer. Thread: the exchange's loop.
 * What is safe is policy/safety's word, where to go policy/balance's, how often policy/retry's and the
 * budget's.
 */
#include "exchange_priv.h"
#include "iso/http/uri.h"

bool iso_exchange_live(const struct iso_exchange *x)
{
	for (uint32_t i = 0; i < x->try_count; i++)
		if (x->tries[i]->live && !x->tries[i]->kept_head)
			return true;
	return false;
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
		/* A silent one that another one had to rescue is a failure of its region, not a wish of ours.
		 */
		iso_record_try_end(
			t, t->suspect && t->a.status == 0 ? ISO_OUTCOME_TIMEOUT : ISO_OUTCOME_CANCELLED,
			(enum iso_executed)t->a.end_executed);
	}
}

static struct iso_budget *budget_of(struct iso_exchange *x)
{
	return &x->host->budgets[x->service->index % ISO_HOST_SERVICES];
}

/* The board and the configuration as the policies see them. */
static void build_view(const struct iso_exchange *x, struct iso_view *ret_view)
{
	const struct iso_upstream *up = x->host->upstream;
	const struct iso_cfg_service *service = x->service;
	uint32_t workers = x->generation->snapshot->workers;

	*ret_view = (struct iso_view){ .n = service->region_count };
	for (uint32_t i = 0; i < service->region_count; i++) {
		const struct iso_cfg_region *region = &service->regions[i];
		const struct iso_board_region *board = &up->board->regions[region->slot];
		uint16_t bit = (uint16_t)(1u << i);

		ret_view->c[i] = (struct iso_candidate){
			.weight = board->weight,
			.cfg_weight = region->weight,
			.ramp = board->ramp,
			.priority = region->priority,
		};
		if ((x->step_allowed & bit) != 0 && !board->drained)
			ret_view->allowed |= bit;
		if (board->up)
			ret_view->up |= bit;
		if (iso_upstream_suspect(up, region->slot))
			ret_view->suspect |= bit;
		/* Each worker keeps to its part of the limit. */
		if (region->max_in_flight > 0 && iso_upstream_in_flight(up, region->slot) >=
							 (region->max_in_flight + workers - 1) / workers)
			ret_view->full |= bit;
	}
	ret_view->tried = x->step_tried;
	if (x->from.known.keyed || x->from.known.placed)
		ret_view->client = x->from.known;
}

static int set_header(struct iso_fields *fields, struct iso_arena *arena, const struct iso_field *header)
{
	iso_fields_remove_name(fields, header->name);
	return iso_fields_add(fields, arena, header->name, header->value);
}

/* Host, base path and headers belong to the attempt: each is right for the region that it goes to. */
static int make_head(struct iso_exchange *x, struct iso_try *t, const struct iso_cfg_region *region)
{
	struct iso_head *head = &t->head;
	struct iso_slice path = x->head->path;

	*head = *x->head;
	head->authority = region->authority;
	head->scheme = region->tls ? ISO_SLICE("https") : ISO_SLICE("http");
	if (region->base_path.len > 0) {
		char *joined = iso_arena_alloc(x->arena, region->base_path.len + path.len);

		if (joined == NULL)
			return ISO_ENOMEM;
		memcpy(joined, region->base_path.ptr, region->base_path.len);
		memcpy(joined + region->base_path.len, path.ptr, path.len);
		head->path = iso_slice(joined, region->base_path.len + path.len);
	}
	/* Every try has a list of its own: codecs and regions edit it. */
	head->fields.cap = x->head->fields.n + region->headers.n + 1;
	head->fields.v = iso_arena_alloc(x->arena, head->fields.cap * sizeof(*head->fields.v));
	if (head->fields.v == NULL)
		return ISO_ENOMEM;
	memcpy(head->fields.v, x->head->fields.v, x->head->fields.n * sizeof(*head->fields.v));
	for (uint32_t i = 0; i < region->headers.n; i++) {
		int err = set_header(&head->fields, x->arena, &region->headers.v[i]);

		if (err != ISO_OK)
			return err;
	}
	return ISO_OK;
}

static void on_patience(struct iso_timer *timer);
static const struct iso_attempt_ops try_ops;

/* What of the body has come already goes first. False: it cannot be sent. */
static bool send_body_so_far(struct iso_exchange *x, struct iso_try *t)
{
	struct iso_buf body;
	bool ok;

	if (x->tape.lost)
		return x->received_body == 0;
	if (x->received_body == 0 && !x->request_end)
		return true;
	iso_buf_init(&body);
	ok = iso_tape_replay(&x->tape, &body) == ISO_OK &&
	     iso_attempt_body(&t->a, &body, x->request_end && x->trailers == NULL) == ISO_OK;
	iso_buf_done(&body);
	if (ok && x->trailers != NULL)
		iso_attempt_trailers(&t->a, x->trailers);
	return ok;
}

static bool start_try(struct iso_exchange *x, uint32_t region)
{
	struct iso_try *t = iso_arena_zalloc(x->arena, sizeof(*t));
	struct iso_attempt_spec spec = {
		.ops = &try_ops,
		.service = x->service,
		.region = region,
		.arena = x->arena,
		.idempotent = x->idempotent,
		.endpoint = -1,
		.avoid_endpoints = iso_retry_avoid(&x->plan, region),
	};
	bool bodyless = x->request_end && x->received_body == 0 && x->trailers == NULL;

	if (t == NULL || make_head(x, t, &x->service->regions[region]) != ISO_OK) {
		x->error = ISO_SLICE("out of memory for this request");
		x->fail_status = 503;
		return false;
	}
	t->x = x;
	t->region = (uint8_t)region;
	t->live = true;
	t->reason = (uint8_t)(x->next_reason >= 0 ? x->next_reason : 0);
	iso_timer_init(&t->patience, on_patience);
	if (x->next_reason >= 0)
		iso_metrics_retry(x->host->metrics, x->service->index, (unsigned int)x->next_reason);
	x->tries[x->try_count++] = t;
	iso_retry_begin(&x->plan, region);
	spec.head = &t->head;
	spec.end = bodyless;
	iso_attempt_start(&t->a, x->host->upstream, &spec);
	if (!bodyless && !send_body_so_far(x, t)) {
		iso_exchange_cancel_tries(x, NULL);
		x->error = ISO_SLICE("out of memory for this request");
		x->fail_status = 503;
		return false;
	}
	if (x->service->retry.per_try_timeout_us > 0)
		iso_timer_set(&x->host->loop->wheel, &t->patience,
			      x->host->loop->now_us + x->service->retry.per_try_timeout_us);
	return true;
}

enum iso_step iso_phase_pick(struct iso_exchange *x)
{
	struct iso_view view;

	build_view(x, &view);
	iso_balance_pick(x->route->policy, &view, (uint32_t)(iso_rng_next(&x->host->loop->rng) >> 32),
			 &x->last_pick);
	if (x->last_pick.level == ISO_PICK_NONE) {
		x->error = ISO_SLICE("every region that this route allows is drained");
		x->fail_status = 503;
		x->phase = ISO_PHASE_FAIL;
		return ISO_STEP_MORE;
	}
	x->phase = ISO_PHASE_WAIT;
	if (!start_try(x, x->last_pick.index)) {
		x->phase = ISO_PHASE_FAIL;
		return ISO_STEP_MORE;
	}
	return ISO_STEP_PARK;
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

static void judge(struct iso_try *t, enum iso_ending ending, enum iso_executed executed,
		  struct iso_verdict *ret_verdict)
{
	struct iso_exchange *x = t->x;
	uint64_t total_us = x->service->timeout_us, used_us = x->host->loop->now_us - x->received_us;
	bool keyed = iso_fields_get(&x->head->fields, ISO_FIELD_IDEMPOTENCY_KEY) != NULL;
	struct iso_safety_facts facts = {
		.ending = ending,
		.executed = executed,
		.fault = (enum iso_fault)t->fault,
		.key = !keyed || x->service->honoured == ISO_HONOURED_NONE ? ISO_KEY_NONE
		       : x->service->honoured == ISO_HONOURED_REGION       ? ISO_KEY_REGION
									   : ISO_KEY_GLOBAL,
		.status = t->a.status,
		.listed = is_listed(&x->service->retry.statuses, t->a.status),
		.idempotent = x->idempotent,
		.committed = x->committed,
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

	iso_retry_next(&x->plan, verdict, t->region, x->route->region_mask, &step);
	if (!step.go || x->try_count >= ISO_TRIES_MAX)
		return false;
	if (!iso_budget_spend(budget_of(x), sent, x->host->loop->now_us))
		return false;
	x->step_allowed = step.allowed;
	x->step_tried = step.tried;
	x->next_reason = (int)verdict->reason;
	return true;
}

static void classify(struct iso_try *t, const struct iso_head *head)
{
	const struct iso_field *type = iso_fields_get(&head->fields, ISO_FIELD_X_AMZN_ERRORTYPE);
	const struct iso_field *id = iso_fields_get(&head->fields, ISO_FIELD_X_AMZN_REQUESTID);
	const struct iso_field *after = iso_fields_get(&head->fields, ISO_FIELD_RETRY_AFTER);
	struct iso_classify_input input = { .status = head->status };
	struct iso_classification c;
	uint64_t seconds;

	if (type != NULL)
		input.error_type = type->value;
	if (id != NULL)
		t->upstream_id = id->value;
	c = iso_classify(&input);
	t->fault = (uint8_t)c.fault;
	t->executed = (uint8_t)c.executed;
	t->words = c.words;
	if (after != NULL && iso_slice_u64(after->value, &seconds) == ISO_OK)
		t->retry_after_us = (seconds < 300 ? seconds : 300) * 1000000;
}

/* Puts an answer aside: its content is gathered while another region is asked. */
static void keep(struct iso_try *t, const struct iso_head *head, bool end)
{
	t->answer = *head;
	t->kept_head = true;
	t->kept_end = end;
}

static void on_head(struct iso_attempt *a, const struct iso_head *head, bool end)
{
	struct iso_try *t = ISO_CONTAINER(a, struct iso_try, a);
	struct iso_exchange *x = t->x;
	struct iso_verdict verdict;

	if (head->status < 200) {
		/* It does not commit; only the first attempt's reach the client, so that none is said twice.
		 */
		if (t == x->tries[0] && !x->committed)
			x->response->ops->head(x->response, head, false);
		return;
	}
	classify(t, head);
	iso_timer_clear(&x->host->loop->wheel, &t->patience);
	iso_record_try_head(t);
	if (t->fault == ISO_FAULT_NONE || t->fault == ISO_FAULT_CLIENT || t->fault == ISO_FAULT_APPLICATION) {
		iso_exchange_commit(x, t, head, end);
		return;
	}
	judge(t, ISO_ENDING_RESPONSE, (enum iso_executed)t->executed, &verdict);
	if (verdict.retry == ISO_RETRY_NO || head->content_length > ISO_KEPT_MAX) {
		iso_exchange_commit(x, t, head, end);
		return;
	}
	keep(t, head, end);
	if (iso_exchange_live(x))
		return; /* another one is under way already: a rescue, or the one that it is to rescue */
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
		/* Too large to keep: it is given up as an answer of last resort. */
		iso_buf_done(&t->kept);
		t->kept_head = t->live = false;
		iso_attempt_cancel(a);
		iso_record_try_end(t, ISO_OUTCOME_CANCELLED, ISO_EXECUTED_YES);
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
			iso_slice_str(outcome == ISO_OUTCOME_TLS        ? "TLS to the region failed"
				      : outcome == ISO_OUTCOME_CONNECT  ? "the region cannot be reached"
				      : outcome == ISO_OUTCOME_TIMEOUT  ? "the region did not answer in time"
				      : outcome == ISO_OUTCOME_PROTOCOL ? "the region's answer was malformed"
				      : outcome == ISO_OUTCOME_OVERLOAD ? overload_words(x, t)
				      : words != NULL                   ? words
						      : "the connection to the region broke");
	x->fail_status = outcome == ISO_OUTCOME_TIMEOUT ? 504 : outcome == ISO_OUTCOME_OVERLOAD ? 503 : 502;
	iso_exchange_run(x, ISO_PHASE_FAIL);
}

static void after_failure(struct iso_try *t, enum iso_outcome outcome, enum iso_executed executed)
{
	struct iso_exchange *x = t->x;
	struct iso_verdict verdict;

	if (iso_exchange_live(x))
		return;
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
	iso_retry_endpoint(&x->plan,
			   (uint32_t)(t == x->tries[0]   ? 0
				      : t == x->tries[1] ? 1
							 : 2),
			   a->endpoint);
	iso_record_try_end(t, outcome, executed);
	if (x->winner == t) {
		if (outcome != ISO_OUTCOME_OK && !x->response_end) {
			x->error = ISO_SLICE("the region broke off its answer");
			x->response->ops->reset(x->response, ISO_RESET_INTERNAL);
		}
		return;
	}
	if (x->committed || (outcome == ISO_OUTCOME_OK && t->kept_head))
		return;
	t->kept_head = false; /* half an answer is none */
	after_failure(t, outcome, executed);
}

/* per_try_timeout ends an attempt only when another may follow; else the deadline does. */
static void on_patience(struct iso_timer *timer)
{
	struct iso_try *t = ISO_CONTAINER(timer, struct iso_try, patience);
	struct iso_exchange *x = t->x;
	enum iso_executed executed = iso_attempt_executed(&t->a);
	struct iso_verdict verdict;

	if (!t->live || x->committed || iso_exchange_live(x) != t->live)
		return;
	judge(t, ISO_ENDING_TIMEOUT, executed, &verdict);
	if (verdict.retry == ISO_RETRY_NO || !iso_retry_left(&x->plan))
		return;
	t->live = false;
	iso_attempt_cancel(&t->a);
	iso_record_try_end(t, ISO_OUTCOME_TIMEOUT, executed);
	if (!iso_exchange_live(x)) {
		if (may_follow(x, t, &verdict, executed != ISO_EXECUTED_NO))
			iso_exchange_run(x, ISO_PHASE_PICK);
		else
			give_up(x, t, ISO_OUTCOME_TIMEOUT, NULL);
	}
}

/*
 * Rescue: a second attempt elsewhere while the silent one goes on; the first good head wins. Only for what
 * may run at any later time too, and only where a region is in good order.
 */
static void on_suspect(struct iso_attempt *a)
{
	struct iso_try *t = ISO_CONTAINER(a, struct iso_try, a);
	struct iso_exchange *x = t->x;
	struct iso_view view;
	struct iso_pick pick;

	t->suspect = true;
	if (x->committed || x->phase != ISO_PHASE_WAIT || !iso_retry_left(&x->plan) ||
	    x->try_count >= ISO_TRIES_MAX || !iso_safety_may_double(x->safe, x->route->idempotent) ||
	    (x->tape.lost && x->received_body > 0))
		return;
	for (uint32_t i = 0; i < x->try_count; i++)
		if (x->tries[i] != t && x->tries[i]->live)
			return;
	x->step_allowed = x->route->region_mask;
	x->step_tried = x->plan.tried;
	build_view(x, &view);
	iso_balance_pick(x->route->policy, &view, (uint32_t)(iso_rng_next(&x->host->loop->rng) >> 32), &pick);
	if (pick.level > ISO_PICK_FULL || !iso_budget_spend(budget_of(x), true, x->host->loop->now_us))
		return;
	x->last_pick = pick;
	x->next_reason = ISO_RETRY_REASON_RESCUE;
	if (!start_try(x, pick.index))
		iso_exchange_run(x, ISO_PHASE_FAIL);
}

static const struct iso_attempt_ops try_ops = {
	.head = on_head,
	.data = on_data,
	.trailers = on_trailers,
	.writable = on_writable,
	.suspect = on_suspect,
	.end = on_end,
};
