/*
 * One probe per region slot: waits, asks, judges, tells the publisher, waits again. Thread: control.
 * Invariant: a slot has at most one attempt under way; while it has, its `next` timer is not set and
 * `timeout` is.
 */
#include "iso/monitor/prober.h"

#include <stdlib.h>

#include "health_report_priv.h"
#include "iso/base/clock.h"
#include "iso/policy/health.h"
#include "iso/upstream/attempt.h"

enum {
	NAMES_WAIT_US = 20 * 1000, /* until the first DNS answer */
	AGAIN_US = 250 * 1000,     /* after a probe that did not count */
	LAG_MAX_US = 50 * 1000,
	CONTAINS_WITHIN = 5120, /* as Route 53 does */
	ARENA_MAX = 256 * 1024,
	CHECK_AGES = 3, /* intervals, after which a check within a health answer is old; a minute at least */
	CHECK_AGE_MIN_US = 60 * 1000 * 1000,
};

struct probe {
	struct iso_prober *owner;
	struct iso_timer next, timeout;
	struct iso_task cut;                   /* ends a probe whose body is too long */
	const struct iso_cfg_service *service; /* of the bound snapshot; NULL: none */
	uint32_t region, slot;
	bool running;
	bool own_turn; /* the next one is an address's own, if one wants it */
	struct iso_probe_quota quota;
	/* While it runs. */
	struct iso_snapshot *snapshot; /* holds what the attempt's spec points to */
	struct iso_attempt attempt;
	struct iso_arena arena;
	struct iso_head head;
	struct iso_classify_input verdict;
	char *body; /* what has come of it; NULL: nothing */
	size_t body_bytes, body_cap;
	bool json; /* by its content-type */
	int aimed; /* the address that is probed for itself; -1: the region is */
	uint32_t aimed_epoch;
};

struct iso_prober {
	struct iso_upstream *upstream;
	struct iso_publisher *publisher;
	struct iso_snapshot *snapshot;
	struct probe probes[ISO_REGION_SLOTS];
};

static struct iso_loop *loop_of(const struct probe *p)
{
	return p->owner->upstream->loop;
}

static void set_next(struct probe *p, uint64_t wait_us)
{
	iso_timer_set(&loop_of(p)->wheel, &p->next, loop_of(p)->now_us + wait_us);
}

static void schedule(struct probe *p)
{
	uint32_t draw = (uint32_t)(iso_rng_next(&loop_of(p)->rng) >> 32);

	set_next(p, iso_publisher_probe_wait_us(p->owner->publisher, p->slot, p->service->health.interval_us,
						draw));
}

/* After the attempt is over or cancelled. */
static void clear(struct probe *p)
{
	p->running = false;
	iso_timer_clear(&loop_of(p)->wheel, &p->timeout);
	iso_task_cancel(&p->cut);
	iso_arena_done(&p->arena);
	free(p->body);
	p->body = NULL;
	iso_snapshot_unref(p->snapshot);
	p->snapshot = NULL;
}

static void stop(struct probe *p)
{
	iso_timer_clear(&loop_of(p)->wheel, &p->next);
	if (!p->running)
		return;
	iso_attempt_cancel(&p->attempt);
	clear(p);
}

static bool is_expected(const struct iso_statuses *statuses, uint16_t status)
{
	for (uint32_t i = 0; i < statuses->n; i++)
		if (statuses->v[i] == status)
			return true;
	return false;
}

static bool contains(const struct probe *p)
{
	struct iso_slice want = p->service->health.contains;
	size_t n = p->body_bytes < CONTAINS_WITHIN ? p->body_bytes : CONTAINS_WITHIN;

	return want.len == 0 || (p->body != NULL && memmem(p->body, n, want.ptr, want.len) != NULL);
}

static const char *words_of(const struct probe *p, const struct iso_sample *sample)
{
	const char *words = NULL;

	if (sample->outcome == ISO_OUTCOME_TIMEOUT)
		return sample->ttfb_us != 0 ? "its probe's answer did not end in time"
					    : "its probe timed out";
	if (sample->outcome != ISO_OUTCOME_STATUS)
		return iso_outcome_text((enum iso_outcome)sample->outcome);
	if (is_expected(&p->service->health.statuses, sample->status))
		return contains(p) ? "its health answer says that it fails"
				   : "its probe's answer does not hold the expected text";
	if (sample->status / 100 == 3)
		return "its health endpoint redirects: configure the path that it leads to";
	words = iso_classify(&p->verdict).words;
	return words != NULL ? words : "its probe was answered with an unexpected status";
}

/* Whether routes go by single dependencies here. */
static bool is_aware(const struct iso_cfg_service *service)
{
	return service->dependency_count > 0 || service->health.use_affected_endpoints;
}

static void read_health(const struct probe *p, struct iso_health_report *ret_report)
{
	struct iso_health_clock clock = { iso_clock_wall_us(), CHECK_AGES * p->service->health.interval_us };

	if (clock.max_age_us < CHECK_AGE_MIN_US)
		clock.max_age_us = CHECK_AGE_MIN_US;
	memset(ret_report, 0, sizeof(*ret_report));
	if (p->body_bytes > ISO_HEALTH_BODY_MAX)
		ret_report->error = "its health answer is longer than 64 KiB";
	else if (p->json)
		iso_health_parse(iso_slice(p->body, p->body != NULL ? p->body_bytes : 0), clock, ret_report);
	else if (is_aware(p->service))
		ret_report->error = "its health answer is not JSON by its content-type: what routes require "
				    "is unknown";
}

/*
 * Whether all that fails by its health answer is some routes' concern alone: then the region itself is well,
 * whatever the status.
 */
static bool is_explained(const struct probe *p, const struct iso_health_report *report)
{
	const struct iso_cfg_service *service = p->service;
	uint32_t failing = 0, known = 0;

	for (uint32_t i = 0; i < report->n; i++) {
		uint32_t k = 0;

		if (report->v[i].state != ISO_DEPENDENCY_FAIL)
			continue;
		failing++;
		while (k < service->dependency_count &&
		       !iso_health_is_named(&report->v[i], service->dependencies[k]))
			k++;
		known += k < service->dependency_count;
	}
	if (service->health.use_affected_endpoints && report->affected_count > 0)
		return failing > 0;
	return failing > 0 && known == failing;
}

/* What an answer of the health endpoint says, by status, text and body. */
static enum iso_outcome judge_answer(const struct probe *p, const struct iso_health_report *report)
{
	bool fails = !is_expected(&p->service->health.statuses, p->attempt.status) ||
		     report->state == ISO_DEPENDENCY_FAIL;

	if (is_explained(p, report))
		return ISO_OUTCOME_OK;
	return fails || !contains(p) ? ISO_OUTCOME_STATUS : ISO_OUTCOME_OK;
}

/* The probe is over: what it means, and when the next one is due. */
static void conclude(struct probe *p, enum iso_outcome outcome)
{
	const struct iso_attempt *a = &p->attempt;
	struct iso_publisher *pub = p->owner->publisher;
	struct iso_loop *loop = loop_of(p);
	struct iso_sample sample = {
		.start_us = a->started_us,
		.end_us = loop->now_us,
		.ttfb_us = a->head_us != 0 ? (uint32_t)(a->head_us - a->sent_us) : 0,
		.connect_us = a->connect_us,
		.tls_us = a->tls_us,
		.slot = (uint16_t)p->slot,
		.status = a->status,
		.endpoint = a->endpoint,
		.endpoints_epoch = a->endpoints_epoch,
		.probe = true,
	};
	struct iso_health_report report;
	bool passed, slow;
	const char *words;

	if (p->aimed >= 0) {
		sample.endpoint = (uint8_t)p->aimed;
		sample.endpoints_epoch = p->aimed_epoch;
	}
	if (outcome == ISO_OUTCOME_OK) {
		read_health(p, &report);
		outcome = judge_answer(p, &report);
		if (p->aimed < 0)
			iso_publisher_health(pub, p->slot, &report);
	}
	sample.outcome = (uint8_t)outcome;
	passed = outcome == ISO_OUTCOME_OK;
	words = passed ? NULL : words_of(p, &sample);
	slow = outcome == ISO_OUTCOME_TIMEOUT || outcome == ISO_OUTCOME_CONNECT ||
	       sample.ttfb_us > iso_publisher_patience_us(pub, p->slot);
	clear(p);
	/* A machine that is late itself cannot say that the region is; an overload is our own, too. */
	if ((slow && loop->lag_us > LAG_MAX_US) || outcome == ISO_OUTCOME_OVERLOAD ||
	    outcome == ISO_OUTCOME_CANCELLED) {
		iso_publisher_probe_ignored(pub, p->slot);
		set_next(p, AGAIN_US);
		return;
	}
	if (p->aimed >= 0)
		iso_publisher_endpoint_probe(pub, &sample, passed);
	else
		iso_publisher_probe(pub, &sample, passed, words);
	schedule(p);
}

static void on_head(struct iso_attempt *a, const struct iso_head *head, bool end)
{
	struct probe *p = ISO_CONTAINER(a, struct probe, attempt);
	const struct iso_field *type = iso_fields_get(&head->fields, ISO_FIELD_X_AMZN_ERRORTYPE);

	(void)end;
	p->verdict.status = head->status;
	p->verdict.error_type = type != NULL ? type->value : iso_slice(NULL, 0);
	type = iso_fields_get(&head->fields, ISO_FIELD_CONTENT_TYPE);
	p->json = type != NULL && iso_health_is_json(type->value);
}

/* Without memory the body is lost, which is said as if it were no JSON; the status counts all the same. */
static void keep_body(struct probe *p, const struct iso_buf *data)
{
	size_t need = p->body_bytes + data->bytes;

	if (need > ISO_HEALTH_BODY_MAX)
		return;
	if (need > p->body_cap) {
		size_t cap = need < 4096 ? 4096 : 2 * need;
		char *grown = realloc(p->body, cap);

		if (grown == NULL)
			return;
		p->body = grown;
		p->body_cap = cap;
	}
	(void)iso_buf_peek(data, p->body + p->body_bytes, data->bytes);
}

static void on_data(struct iso_attempt *a, struct iso_buf *data, bool end)
{
	struct probe *p = ISO_CONTAINER(a, struct probe, attempt);
	size_t n = data->bytes;

	(void)end;
	keep_body(p, data);
	iso_buf_done(data);
	iso_buf_init(data);
	p->body_bytes += n;
	if (p->body_bytes <= ISO_HEALTH_BODY_MAX)
		iso_attempt_consumed(a, n);
	else
		iso_loop_post(loop_of(p), &p->cut);
}

static void on_trailers(struct iso_attempt *a, const struct iso_fields *trailers)
{
	(void)a;
	(void)trailers;
}

static void on_writable(struct iso_attempt *a, size_t n)
{
	(void)a;
	(void)n;
}

static void on_end(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed)
{
	(void)executed;
	conclude(ISO_CONTAINER(a, struct probe, attempt), outcome);
}

static const struct iso_attempt_ops attempt_ops = {
	.head = on_head,
	.data = on_data,
	.trailers = on_trailers,
	.writable = on_writable,
	.end = on_end,
};

/* Its status counts; nobody needs the rest of the body. */
static void run_cut(struct iso_task *task)
{
	struct probe *p = ISO_CONTAINER(task, struct probe, cut);

	if (!p->running)
		return;
	iso_attempt_cancel(&p->attempt);
	conclude(p, ISO_OUTCOME_OK);
}

static void on_timeout(struct iso_timer *timer)
{
	struct probe *p = ISO_CONTAINER(timer, struct probe, timeout);

	iso_attempt_cancel(&p->attempt);
	conclude(p, ISO_OUTCOME_TIMEOUT);
}

static int add_fields(struct probe *p, const struct iso_fields *fields)
{
	for (uint32_t i = 0; i < fields->n; i++) {
		int err = iso_fields_add(&p->head.fields, &p->arena, fields->v[i].name, fields->v[i].value);

		if (err != ISO_OK)
			return err;
	}
	return ISO_OK;
}

/* What the health check sets replaces what the region sets. */
static int build_fields(struct probe *p, const struct iso_cfg_region *region)
{
	struct iso_fields *fields = &p->head.fields;
	const struct iso_fields *own = &p->service->health.headers;
	int err = iso_fields_add(fields, &p->arena, ISO_SLICE("user-agent"),
				 ISO_SLICE("isochrone/" ISO_VERSION " (health)"));

	if (err == ISO_OK)
		err = add_fields(p, &region->headers);
	for (uint32_t i = 0; i < own->n; i++)
		iso_fields_remove_name(fields, own->v[i].name);
	return err == ISO_OK ? add_fields(p, own) : err;
}

static int build_head(struct probe *p)
{
	const struct iso_cfg_region *region = &p->service->regions[p->region];
	struct iso_slice base = region->base_path, path = p->service->health.path;
	char *target = iso_arena_alloc(&p->arena, base.len + path.len + 1);

	if (target == NULL)
		return ISO_ENOMEM;
	if (base.len > 0)
		memcpy(target, base.ptr, base.len);
	memcpy(target + base.len, path.ptr, path.len);
	p->head = (struct iso_head){
		.version = ISO_HTTP_2,
		.method_id = ISO_METHOD_GET,
		.method = ISO_SLICE("GET"),
		.scheme = region->tls ? ISO_SLICE("https") : ISO_SLICE("http"),
		.authority = region->authority,
		.path = iso_slice(target, base.len + path.len),
		.content_length = -1,
	};
	return build_fields(p, region);
}

/* Which address it goes to; -1: any. Every other turn belongs to those that traffic does not measure. */
static int aim(struct probe *p)
{
	const struct iso_prober *prober = p->owner;
	const struct iso_board_region *board = &prober->upstream->board->regions[p->slot];
	int at = -1;

	/* The first of all is the region's: clients are let in when each has had one. */
	p->aimed = p->own_turn ? iso_publisher_endpoint_wanting(prober->publisher, p->slot) : -1;
	p->own_turn = !p->own_turn;
	p->aimed_epoch = board->endpoints_epoch;
	if (p->aimed >= (int)board->endpoint_count) /* the board of this turn is older */
		p->aimed = -1;
	at = p->aimed >= 0 ? p->aimed : iso_publisher_endpoint_sound(prober->publisher, p->slot);
	return at < (int)board->endpoint_count ? at : -1;
}

static void start(struct probe *p)
{
	struct iso_prober *prober = p->owner;
	struct iso_attempt_spec spec = {
		.ops = &attempt_ops,
		.service = p->service,
		.region = p->region,
		.arena = &p->arena,
		.head = &p->head,
		.end = true,
		.idempotent = true,
		.probe = true,
		.endpoint = aim(p),
	};

	iso_arena_init(&p->arena, &loop_of(p)->arenas, ARENA_MAX);
	p->verdict = (struct iso_classify_input){ 0 };
	p->body_bytes = p->body_cap = 0;
	p->json = false;
	if (build_head(p) != ISO_OK) {
		iso_arena_done(&p->arena);
		set_next(p, AGAIN_US);
		return;
	}
	p->snapshot = iso_snapshot_ref(prober->snapshot);
	p->running = true;
	iso_timer_set(&loop_of(p)->wheel, &p->timeout, loop_of(p)->now_us + p->service->health.timeout_us);
	iso_attempt_start(&p->attempt, prober->upstream, &spec);
}

/* No address, and DNS says why: that is a failed probe, too. */
static void fail_nameless(struct probe *p)
{
	struct iso_sample sample = {
		.start_us = loop_of(p)->now_us,
		.end_us = loop_of(p)->now_us,
		.slot = (uint16_t)p->slot,
		.outcome = ISO_OUTCOME_CONNECT,
		.probe = true,
	};

	iso_publisher_probe(p->owner->publisher, &sample, false, "its name does not resolve");
	schedule(p);
}

static void on_next(struct iso_timer *timer)
{
	struct probe *p = ISO_CONTAINER(timer, struct probe, next);
	uint64_t wait_us;

	if (p->running || p->service == NULL)
		return;
	switch (iso_publisher_names(p->owner->publisher, p->slot)) {
	case ISO_SLOT_NAMELESS:
		fail_nameless(p);
		return;
	case ISO_SLOT_WAITS:
		set_next(p, NAMES_WAIT_US);
		return;
	case ISO_SLOT_RESOLVED:
		break;
	}
	/* The board of this turn may be older than the names. */
	if (p->owner->upstream->board->regions[p->slot].endpoint_count == 0) {
		set_next(p, NAMES_WAIT_US);
		return;
	}
	wait_us = iso_probe_quota_take(&p->quota, p->service->health.probes_per_hour, loop_of(p)->now_us);
	if (wait_us > 0)
		set_next(p, wait_us);
	else
		start(p);
}

/* A region has come into doubt: ask now, unless a probe is on its way. */
static void on_doubt(void *arg, uint32_t slot)
{
	struct iso_prober *prober = arg;
	struct probe *p = &prober->probes[slot];

	if (p->service != NULL && !p->running)
		set_next(p, 0);
}

int iso_prober_new(struct iso_upstream *upstream, struct iso_publisher *publisher,
		   struct iso_prober **ret_prober)
{
	struct iso_prober *prober = calloc(1, sizeof(*prober));
	struct iso_publisher_hook hook = { on_doubt, prober };

	if (prober == NULL)
		return ISO_ENOMEM;
	prober->upstream = upstream;
	prober->publisher = publisher;
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		struct probe *p = &prober->probes[i];

		p->owner = prober;
		p->slot = i;
		iso_timer_init(&p->next, on_next);
		iso_timer_init(&p->timeout, on_timeout);
		iso_task_init(&p->cut, run_cut);
	}
	iso_publisher_set_hook(publisher, &hook);
	*ret_prober = prober;
	return ISO_OK;
}

void iso_prober_free(struct iso_prober *prober)
{
	struct iso_publisher_hook none = { NULL, NULL };

	if (prober == NULL)
		return;
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		stop(&prober->probes[i]);
	iso_publisher_set_hook(prober->publisher, &none);
	iso_snapshot_unref(prober->snapshot);
	free(prober);
}

static void bind_slot(struct probe *p, const struct iso_cfg_service *service, uint32_t region)
{
	bool fresh = p->service == NULL;

	p->service = service;
	p->region = region;
	if (fresh)
		set_next(p, 0);
	else if (!p->running)
		schedule(p); /* the interval may have changed */
}

void iso_prober_bind(struct iso_prober *prober, struct iso_snapshot *snapshot)
{
	bool named[ISO_REGION_SLOTS] = { false };
	struct iso_snapshot *old = prober->snapshot;

	prober->snapshot = iso_snapshot_ref(snapshot);
	for (uint32_t s = 0; s < snapshot->service_count; s++) {
		const struct iso_cfg_service *service = &snapshot->services[s];

		for (uint32_t r = 0; r < service->region_count; r++) {
			named[service->regions[r].slot] = true;
			bind_slot(&prober->probes[service->regions[r].slot], service, r);
		}
	}
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		if (named[i] || prober->probes[i].service == NULL)
			continue;
		stop(&prober->probes[i]);
		prober->probes[i].service = NULL;
	}
	iso_snapshot_unref(old);
}
