/*
 * What is written down: evidence and metrics of each try, and the exchange's line in the access log.
 * Thread: the exchange's loop.
 */
#include "exchange_priv.h"
#include "iso/net/resolver.h"

static bool against_region(const struct iso_try *t, enum iso_outcome outcome)
{
	switch (outcome) {
	case ISO_OUTCOME_OK:
	case ISO_OUTCOME_CANCELLED:
	case ISO_OUTCOME_OVERLOAD:
	case ISO_OUTCOME_GOAWAY: /* a region may close a connection whenever it likes */
		return false;
	case ISO_OUTCOME_STATUS:
		return t->fault == ISO_FAULT_REGION;
	default:
		return true;
	}
}

static uint8_t track_of(const struct iso_try *t)
{
	const struct iso_cfg_track *track = t->x->route->track;

	return track != NULL ? (uint8_t)track->number : 0;
}

static void push_sample(struct iso_try *t, enum iso_outcome outcome, enum iso_executed executed)
{
	struct iso_upstream *up = t->x->host->upstream;
	const struct iso_attempt *a = &t->a;
	bool against = against_region(t, outcome);
	struct iso_sample sample = {
		.start_us = a->started_us,
		.end_us = up->loop->now_us,
		.ttfb_us = a->head_us != 0 ? (uint32_t)(a->head_us - a->sent_us) : 0,
		.connect_us = a->connect_us,
		.tls_us = a->tls_us,
		.retry_after_us = (uint32_t)t->retry_after_us,
		.api_key = t->fault == ISO_FAULT_THROTTLE ? iso_exchange_api_key(t->x) : 0,
		.conn = a->blamed,
		.slot = a->slot,
		.status = a->status,
		.endpoint = a->endpoint,
		.endpoints_epoch = a->endpoints_epoch,
		.outcome = (uint8_t)outcome,
		.fault = (uint8_t)(outcome == ISO_OUTCOME_STATUS || outcome == ISO_OUTCOME_OK ? t->fault
				   : against ? ISO_FAULT_REGION
					     : ISO_FAULT_NONE),
		.executed = (uint8_t)executed,
		.track = track_of(t),
	};

	t->sampled = true;
	iso_evidence_push(up->evidence, &sample);
	iso_evidence_note(up->evidence, a->slot, against, outcome == ISO_OUTCOME_OK, up->loop->now_us);
	if (against && up->urgent != NULL)
		up->urgent(up);
}

/* How long the whole answer took: the head has told the rest. */
static void push_total(const struct iso_try *t)
{
	const struct iso_upstream *up = t->x->host->upstream;
	uint64_t us = up->loop->now_us - t->a.started_us;
	struct iso_sample sample = { .start_us = t->a.started_us,
				     .end_us = up->loop->now_us,
				     .us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX,
				     .slot = t->a.slot,
				     .kind = ISO_SAMPLE_TOTAL,
				     .track = track_of(t),
				     .endpoint = ISO_ENDPOINT_NONE };

	iso_evidence_push(up->evidence, &sample);
}

void iso_record_try_head(struct iso_try *t)
{
	bool bad = t->fault == ISO_FAULT_REGION || t->fault == ISO_FAULT_THROTTLE;

	push_sample(t, bad ? ISO_OUTCOME_STATUS : ISO_OUTCOME_OK, (enum iso_executed)t->executed);
}

static void note_endpoint(struct iso_try *t)
{
	const struct iso_upstream *up = t->x->host->upstream;
	const struct iso_board_region *region = &up->board->regions[t->a.slot];
	char *text;

	if (t->x->host->log == NULL || t->a.endpoint >= region->endpoint_count)
		return;
	text = iso_arena_alloc(t->x->arena, 64);
	if (text == NULL)
		return;
	iso_sockaddr_format(&region->endpoints[t->a.endpoint].addr.u.sa, text, 64);
	t->endpoint = iso_slice_str(text);
}

void iso_record_try_end(struct iso_try *t, enum iso_outcome outcome, enum iso_executed executed)
{
	struct iso_exchange_host *host = t->x->host;
	bool bad_status = outcome == ISO_OUTCOME_OK &&
			  (t->fault == ISO_FAULT_REGION || t->fault == ISO_FAULT_THROTTLE);

	t->outcome = (uint8_t)(bad_status ? ISO_OUTCOME_STATUS : outcome);
	if (t->a.status == 0)
		t->executed = (uint8_t)executed;
	if (t->x->winner == NULL) /* else its answer says where the client is to read */
		iso_after_write_note(t);
	/* A break after a good head is evidence of its own. */
	if (!t->sampled || (outcome != ISO_OUTCOME_OK && outcome != ISO_OUTCOME_CANCELLED))
		push_sample(t, outcome, executed);
	else if (outcome == ISO_OUTCOME_OK && t->fault == ISO_FAULT_NONE)
		push_total(t);
	iso_metrics_attempt(host->metrics, t->a.slot, t->outcome, host->loop->now_us - t->a.started_us);
	iso_metrics_executed(host->metrics, t->a.slot, t->executed);
	note_endpoint(t);
}

/* A try has a service, which a reader of the code (or an analyser) cannot see from here. */
static struct iso_slice region_name(const struct iso_exchange *x, const struct iso_try *t)
{
	return t != NULL && x->service != NULL ? x->service->regions[t->region].name : iso_slice(NULL, 0);
}

static void fill_attempts(const struct iso_exchange *x, struct iso_log_attempt *attempts,
			  struct iso_slice *reasons)
{
	for (uint32_t i = 0; i < x->try_count; i++) {
		const struct iso_try *t = x->tries[i];

		attempts[i] = (struct iso_log_attempt){
			.region = region_name(x, t),
			.endpoint = t->endpoint,
			.outcome = iso_slice_str(iso_outcome_text((enum iso_outcome)t->outcome)),
			.upstream_request_id = t->upstream_id,
			.ttfb_us = t->a.head_us != 0 ? t->a.head_us - t->a.started_us : 0,
			.status = t->a.status,
			.executed = (enum iso_log_executed)t->executed,
		};
		if (i > 0)
			reasons[i - 1] =
				iso_slice_str(iso_retry_reason_text((enum iso_retry_reason)t->reason));
	}
}

/* Of a last try that failed; an answer that nobody wanted to be tried again needs no word. */
static enum iso_stay not_retried(const struct iso_exchange *x)
{
	const struct iso_try *last = x->winner;

	if (last == NULL && x->try_count > 0)
		last = x->tries[x->try_count - 1];
	if (last == NULL || last->outcome == ISO_OUTCOME_CANCELLED)
		return ISO_STAY_NONE;
	if (last->outcome == ISO_OUTCOME_OK &&
	    (x->choice.final == ISO_STAY_APPLICATION || x->choice.final == ISO_STAY_CLIENT))
		return ISO_STAY_NONE;
	return x->choice.final;
}

/* What the service's budget has left, where it has had to do with this exchange. */
static void fill_budget(const struct iso_exchange *x, struct iso_log_record *record)
{
	if (x->service == NULL || (x->try_count < 2 && not_retried(x) == ISO_STAY_NONE))
		return;
	record->budget_told = true;
	record->budget_milli = iso_bucket_now_milli(&x->host->shared->services[x->service->slot].retries,
						    x->host->loop->now_us);
}

static void write_log(struct iso_exchange *x, enum iso_reset why)
{
	struct iso_exchange_host *host = x->host;
	struct iso_log_attempt attempts[ISO_TRIES_MAX];
	struct iso_slice reasons[ISO_TRIES_MAX];
	char line[ISO_LOG_LINE_MAX];
	const char *final = iso_stay_words(not_retried(x));
	struct iso_log_record record = {
		.wall_us = x->received_us + host->wall_offset_us,
		.duration_us = host->loop->now_us - x->received_us,
		.bytes = x->bytes,
		.id = x->id,
		.client = x->from.client,
		.method = x->head->method,
		.host = x->head->authority,
		.protocol = x->head->version == ISO_HTTP_2    ? ISO_SLICE("HTTP/2")
			    : x->head->version == ISO_HTTP_11 ? ISO_SLICE("HTTP/1.1")
							      : ISO_SLICE("HTTP/1.0"),
		.path = x->original_path,
		.service = x->service != NULL ? x->service->name : iso_slice(NULL, 0),
		.route = x->route != NULL ? x->route->name : iso_slice(NULL, 0),
		.region = region_name(x, x->winner),
		.not_retried = final != NULL ? iso_slice_str(final) : iso_slice(NULL, 0),
		.decisions = x->choice.decisions,
		.decision_count = ISO_TRIES_MAX,
		.error = x->error,
		.attempts = attempts,
		.retry_reasons = reasons,
		.attempt_count = x->try_count,
		.retry_reason_count = x->try_count > 1 ? x->try_count - 1u : 0,
		.status = x->committed ? x->status : 0,
		.log_query = x->generation->snapshot->access_log_query,
	};
	size_t len;

	fill_attempts(x, attempts, reasons);
	fill_budget(x, &record);
	if (record.error.ptr == NULL && why != ISO_RESET_NONE)
		record.error = ISO_SLICE("the client broke off");
	len = iso_log_format(&record, line, sizeof(line));
	if (len > 0)
		(void)iso_log_ring_push(host->log, line, len); /* a full ring counts what it drops */
}

void iso_record_exchange(struct iso_exchange *x, enum iso_reset why)
{
	uint32_t row = iso_metrics_service_row(ISO_METRICS_SERVICES);

	if (x->winner != NULL)
		row = x->winner->a.slot;
	else if (x->service != NULL)
		row = iso_metrics_service_row(x->service->slot);
	iso_metrics_request(x->host->metrics, row, x->committed ? x->status : 499);
	if (not_retried(x) != ISO_STAY_NONE)
		iso_metrics_not_retried(x->host->metrics, x->service->slot, (unsigned int)not_retried(x));
	if (x->host->log != NULL)
		write_log(x, why);
}
