/*
 * One try: the request as its region gets it, and its begin. Thread: the exchange's loop.
 */
#include "exchange_priv.h"

static int set_header(struct iso_fields *fields, struct iso_arena *arena, const struct iso_field *header)
{
	iso_fields_remove_name(fields, header->name);
	return iso_fields_add(fields, arena, header->name, header->value);
}

/*
 * Host, base path and headers belong to the attempt: each is right for the region that it goes to. An
 * asterisk is no path (RFC 9112 section 3.2.4): it asks for the server as a whole, and nothing goes before
 * it.
 */
static int make_head(struct iso_exchange *x, struct iso_try *t, const struct iso_cfg_region *region)
{
	struct iso_head *head = &t->head;
	struct iso_slice path = x->head->path;

	*head = *x->head;
	head->authority = region->authority;
	head->scheme = region->tls ? ISO_SLICE("https") : ISO_SLICE("http");
	if (region->base_path.len > 0 && !iso_slice_eq(path, ISO_SLICE("*"))) {
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
	return iso_edit_fields(x, &x->route->request_edits, region, &head->fields);
}

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

static void pass_gate(struct iso_exchange *x, uint32_t slot)
{
	const struct iso_upstream *up = x->host->upstream;
	uint64_t limit_milli = up->board->regions[slot].limit_milli;

	if (limit_milli != 0)
		iso_throttle_gate_pass(&up->stand->shared.gates[slot], limit_milli, x->host->loop->now_us);
}

bool iso_try_start(struct iso_exchange *x, uint32_t region)
{
	struct iso_try *t = iso_arena_zalloc(x->arena, sizeof(*t));
	struct iso_attempt_spec spec = {
		.ops = &iso_try_ops,
		.service = x->service,
		.region = region,
		.arena = x->arena,
		.idempotent = x->idempotent,
		.endpoint = -1,
		.avoid_endpoints = iso_retry_avoid(&x->plan, region),
		.track = x->route->track != NULL ? (uint8_t)x->route->track->number : 0,
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
	t->reason = (uint8_t)(x->choice.reason >= 0 ? x->choice.reason : 0);
	iso_timer_init(&t->patience, iso_try_on_patience);
	if (x->choice.reason >= 0)
		iso_metrics_retry(x->host->metrics, x->service->slot, (unsigned int)x->choice.reason);
	if (x->choice.pick.level == ISO_PICK_HELD)
		iso_metrics_count(x->host->metrics, ISO_METRIC_HELD);
	x->tries[x->try_count++] = t;
	iso_retry_begin(&x->plan, region);
	pass_gate(x, x->service->regions[region].slot);
	spec.head = &t->head;
	spec.end = bodyless;
	iso_attempt_start(&t->a, x->host->upstream, &spec);
	if (!bodyless && !send_body_so_far(x, t)) {
		iso_exchange_cancel_tries(x, NULL);
		/* While it waited for another try the client has sent more than is kept. */
		x->error = x->tape.lost && !x->tape.full
				   ? ISO_SLICE("the request's content is too large to be sent again")
				   : ISO_SLICE("out of memory for this request");
		x->fail_status = x->tape.lost && !x->tape.full ? 502 : 503;
		return false;
	}
	if (x->route->retry.per_try_timeout_us > 0)
		iso_timer_set(&x->host->loop->wheel, &t->patience,
			      x->host->loop->now_us + x->route->retry.per_try_timeout_us);
	return true;
}
