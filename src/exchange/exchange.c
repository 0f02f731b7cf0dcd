/*
 * The exchange's life: made by a request, run phase by phase, ended by the stream's reset. Thread: its loop.
 */
#include "exchange_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "iso/base/clock.h"
#include "iso/http/hop.h"
#include "iso/net/resolver.h"

enum { HEDGE_BASE_MILLI = 100 }; /* a first one, for a service that has hardly any requests */

static enum iso_step phase_park(struct iso_exchange *x)
{
	(void)x;
	return ISO_STEP_PARK;
}

static const struct iso_phase_row phases[ISO_PHASE_COUNT] = {
	[ISO_PHASE_ADMIT] = { "admit", iso_phase_admit },
	[ISO_PHASE_MATCH] = { "match", iso_phase_match },
	[ISO_PHASE_PREPARE] = { "prepare", iso_phase_prepare },
	[ISO_PHASE_KEYS] = { "keys", iso_phase_keys },
	[ISO_PHASE_LEDGER] = { "ledger", phase_park },
	[ISO_PHASE_PICK] = { "pick", iso_phase_pick },
	[ISO_PHASE_PAUSE] = { "pause", phase_park },
	[ISO_PHASE_WAIT] = { "wait", phase_park },
	[ISO_PHASE_FAIL] = { "fail", iso_phase_fail },
	[ISO_PHASE_RELAY] = { "relay", phase_park },
};

static void check(const struct iso_exchange *x)
{
	assert(!x->over);
	assert(x->phase < ISO_PHASE_COUNT);
	assert(x->try_count <= ISO_TRIES_MAX);
	assert(!x->committed || x->phase == ISO_PHASE_RELAY);
}

void iso_exchange_run(struct iso_exchange *x, enum iso_phase phase)
{
	x->phase = (uint8_t)phase;
	do
		check(x);
	while (phases[x->phase].run(x) == ISO_STEP_MORE);
}

static struct iso_exchange *exchange_of(struct iso_sink *sink)
{
	return ISO_CONTAINER(sink, struct iso_exchange, request);
}

static void on_data(struct iso_sink *to, struct iso_buf *data, bool end)
{
	iso_flow_request_data(exchange_of(to), data, end);
}

const struct iso_fields *iso_exchange_trailers(struct iso_exchange *x, const struct iso_fields *trailers)
{
	static const struct iso_fields none;
	struct iso_fields *copy = iso_arena_alloc(x->arena, sizeof(*copy));

	if (copy == NULL)
		return &none; /* optional by definition */
	*copy = *trailers;
	iso_hop_trailers(copy);
	return copy;
}

static void on_trailers(struct iso_sink *to, const struct iso_fields *trailers)
{
	iso_flow_request_trailers(exchange_of(to), trailers);
}

static void on_writable(struct iso_sink *to, size_t freed)
{
	struct iso_exchange *x = exchange_of(to);

	if (x->winner != NULL && x->winner->live) {
		iso_attempt_consumed(&x->winner->a, freed);
		iso_timer_set(&x->host->loop->wheel, &x->timer, x->host->loop->now_us + x->relay.idle_us);
	}
}

static void generation_release(struct iso_generation *generation)
{
	if (generation->exchanges > 0 || generation->current)
		return;
	iso_snapshot_unref(generation->snapshot);
	free(generation);
}

/* The stream is over, for whatever reason: FINISH, reached exactly once. */
static void on_reset(struct iso_sink *to, enum iso_reset why)
{
	struct iso_exchange *x = exchange_of(to);
	struct iso_loop *loop = x->host->loop;

	iso_exchange_cancel_tries(x, NULL);
	iso_timer_clear(&loop->wheel, &x->timer);
	iso_timer_clear(&loop->wheel, &x->choice.timer);
	iso_task_cancel(&x->advance);
	iso_exchange_refund(x);
	iso_record_exchange(x, why);
	iso_keys_done(x);
	for (uint32_t i = 0; i < x->try_count; i++)
		iso_buf_done(&x->tries[i]->kept);
	iso_tape_done(&x->tape);
	x->over = true;
	iso_list_remove(&x->relay.link);
	x->host->in_flight--;
	iso_metrics_add(x->host->metrics, ISO_METRIC_IN_FLIGHT, -1);
	x->generation->exchanges--;
	generation_release(x->generation);
}

static void on_head(struct iso_sink *to, const struct iso_head *head, bool end)
{
	/* The request's head came with iso_handler.request. */
	(void)to;
	(void)head;
	(void)end;
	assert(0);
}

static const struct iso_sink_ops request_ops = {
	.head = on_head,
	.data = on_data,
	.trailers = on_trailers,
	.writable = on_writable,
	.reset = on_reset,
};

static void run_advance(struct iso_task *task)
{
	struct iso_exchange *x = ISO_CONTAINER(task, struct iso_exchange, advance);

	iso_exchange_run(x, x->phase);
}

/* Before the response began: nothing is waited for any more. */
static void give_up(struct iso_exchange *x, uint16_t status, const char *words)
{
	iso_exchange_cancel_tries(x, NULL);
	x->fail_status = status;
	x->error = iso_slice_str(words);
	iso_exchange_run(x, ISO_PHASE_FAIL);
}

bool iso_exchange_relayed(const struct iso_exchange *x)
{
	return x->response_end && (!x->relay.tunnel || !x->winner->live);
}

/* Time is up: before the response began for all of it, afterwards for a side that moves no more. */
static void on_timer(struct iso_timer *timer)
{
	struct iso_exchange *x = ISO_CONTAINER(timer, struct iso_exchange, timer);

	if (x->committed) {
		if (!iso_exchange_relayed(x)) {
			iso_exchange_cancel_tries(x, NULL);
			x->error = ISO_SLICE("idle timeout");
			x->response->ops->reset(x->response, ISO_RESET_TIMEOUT);
		}
		return;
	}
	give_up(x, 504,
		x->phase == ISO_PHASE_LEDGER
			? "the request with this Idempotency-Key had not ended before the deadline"
			: "no region answered before the deadline");
}

void iso_exchange_host_expire(struct iso_exchange_host *host)
{
	struct iso_list *node;

	while ((node = iso_list_pop_front(&host->waiting)) != NULL) {
		struct iso_exchange *x = ISO_CONTAINER(node, struct iso_exchange, relay.link);

		/* Without a try nothing has been sent to a region. */
		if (!x->committed)
			give_up(x, x->try_count == 0 ? 503 : 504, "the proxy ends, and waits no longer");
	}
	while ((node = iso_list_pop_front(&host->relaying)) != NULL) {
		struct iso_exchange *x = ISO_CONTAINER(node, struct iso_exchange, relay.link);

		if (iso_exchange_relayed(x))
			continue; /* all of it is on its way */
		iso_exchange_cancel_tries(x, NULL);
		x->error = ISO_SLICE("the proxy ends, and waits no longer");
		x->response->ops->reset(x->response, ISO_RESET_SHUTDOWN);
	}
}

static struct iso_sink *on_request(struct iso_handler *handler, const struct iso_request *request)
{
	struct iso_exchange_host *host = ISO_CONTAINER(handler, struct iso_exchange_host, handler);
	struct iso_exchange *x = iso_arena_zalloc(request->arena, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->request.ops = &request_ops;
	x->response = request->response;
	x->host = host;
	x->generation = host->generation;
	x->generation->exchanges++;
	x->arena = request->arena;
	x->head = request->head;
	x->from.tls = request->tls;
	x->from.misdirected = request->misdirected;
	x->from.trusted_proxies = request->trusted_proxies;
	x->from.transport = request->transport;
	x->received_us = request->received_us;
	x->request_end = request->end;
	x->original_path = request->head->path;
	x->fail_status = 502;
	x->from.client = request->client;
	iso_timer_init(&x->timer, on_timer);
	iso_timer_init(&x->choice.timer, iso_exchange_on_choice_timer);
	iso_list_init(&x->relay.link);
	iso_list_push_back(&host->waiting, &x->relay.link);
	iso_task_init(&x->advance, run_advance);
	host->in_flight++;
	iso_metrics_add(host->metrics, ISO_METRIC_IN_FLIGHT, 1);
	/* Answers must not go out before this returns: what would answer now posts itself. */
	x->in_request = true;
	iso_exchange_run(x, ISO_PHASE_ADMIT);
	x->in_request = false;
	return &x->request;
}

static struct iso_generation *generation_new(struct iso_snapshot *snapshot)
{
	struct iso_generation *generation = calloc(1, sizeof(*generation));

	if (generation == NULL)
		return NULL;
	generation->snapshot = iso_snapshot_ref(snapshot);
	generation->current = true;
	return generation;
}

void iso_exchange_shared_init(struct iso_exchange_shared *shared, uint64_t now_us)
{
	memset(shared, 0, sizeof(*shared));
	for (uint32_t i = 0; i < ISO_HOST_SERVICES; i++) {
		iso_bucket_init(&shared->services[i].retries, ISO_BUDGET_BASE_MILLI, 0, now_us);
		iso_bucket_init(&shared->services[i].hedges, HEDGE_BASE_MILLI, 0, now_us);
	}
}

void iso_exchange_shared_adopt(struct iso_exchange_shared *shared, const struct iso_snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		const struct iso_cfg_service *service = &snapshot->services[i];

		iso_bucket_set_income(&shared->services[service->slot].retries, ISO_BUDGET_BASE_MILLI,
				      service->retry.budget_milli);
		iso_bucket_set_income(&shared->services[service->slot].hedges, HEDGE_BASE_MILLI,
				      service->hedge.share_milli);
	}
	atomic_store_explicit(&shared->replay.limit, snapshot->limits.replay_memory, memory_order_relaxed);
}

int iso_exchange_host_init(struct iso_exchange_host *host, struct iso_upstream *upstream,
			   struct iso_snapshot *snapshot, struct iso_metrics *metrics,
			   struct iso_exchange_shared *shared)
{
	memset(host, 0, sizeof(*host));
	host->handler.request = on_request;
	host->loop = upstream->loop;
	host->upstream = upstream;
	host->metrics = metrics;
	host->shared = shared;
	for (uint32_t i = 0; i < ISO_HOST_SERVICES; i++) {
		iso_budget_init(&host->budgets[i], &shared->services[i].retries);
		iso_budget_init(&host->hedges[i], &shared->services[i].hedges);
	}
	iso_list_init(&host->waiting);
	iso_list_init(&host->relaying);
	host->wall_offset_us = iso_clock_wall_us() - iso_clock_mono_us();
	return iso_exchange_host_adopt(host, snapshot);
}

int iso_exchange_host_adopt(struct iso_exchange_host *host, struct iso_snapshot *snapshot)
{
	struct iso_generation *old = host->generation;
	struct iso_generation *generation = generation_new(snapshot);

	if (generation == NULL)
		return ISO_ENOMEM;
	host->generation = generation;
	if (old != NULL) {
		old->current = false;
		generation_release(old);
	}
	return ISO_OK;
}

void iso_exchange_host_done(struct iso_exchange_host *host)
{
	if (host == NULL || host->generation == NULL)
		return;
	assert(host->generation->exchanges == 0);
	host->generation->current = false;
	generation_release(host->generation);
	host->generation = NULL;
}
