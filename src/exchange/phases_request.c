/*
 * From a request's head to the choice of a region: ADMIT, MATCH, PREPARE. Thread: the exchange's loop.
 */
#include "exchange_priv.h"
#include "iso/http/hop.h"
#include "iso/http/uri.h"

static enum iso_step refuse(struct iso_exchange *x, uint16_t status, const char *detail)
{
	iso_local_reply(x, status, detail);
	return ISO_STEP_PARK;
}

/* The address without its port. */
static struct iso_slice bare_ip(struct iso_slice client)
{
	size_t len = client.len;

	while (len > 0 && client.ptr[len - 1] != ':')
		len--;
	return len > 0 ? iso_slice(client.ptr, len - 1) : client;
}

enum iso_step iso_phase_admit(struct iso_exchange *x)
{
	struct iso_hop_facts facts = {
		.client_ip = bare_ip(x->client),
		.scheme = x->tls ? ISO_SLICE("https") : ISO_SLICE("http"),
		.random = { iso_rng_next(&x->host->loop->rng), iso_rng_next(&x->host->loop->rng) },
	};
	int err;

	if (x->head->method_id == ISO_METHOD_TRACE)
		return refuse(x, 405, "TRACE is not allowed here");
	err = iso_uri_normalise(x->arena, x->head->path, &x->head->path);
	if (err == ISO_EBAD)
		return refuse(x, 400, "the path holds a broken or forbidden escape");
	if (err == ISO_OK)
		err = iso_hop_request(x->head, x->arena, &facts, &x->id);
	if (err == ISO_EEXISTS)
		return refuse(x, 508, "the request has come through this proxy before (CDN-Loop)");
	if (err == ISO_EBAD)
		return refuse(x, 400, "the Connection header names a field that is not the connection's");
	if (err != ISO_OK)
		return refuse(x, 431, "the request's header fields take too much memory");
	x->phase = ISO_PHASE_MATCH;
	return ISO_STEP_MORE;
}

enum iso_step iso_phase_match(struct iso_exchange *x)
{
	x->route = iso_snapshot_route(x->generation->snapshot, x->head->authority, x->head->path,
				      x->head->method);
	if (x->route == NULL)
		return refuse(x, 404, "no route matches this host, path and method");
	x->service = x->route->service;
	x->phase = ISO_PHASE_PREPARE;
	return ISO_STEP_MORE;
}

enum iso_step iso_phase_prepare(struct iso_exchange *x)
{
	const struct iso_cfg_retry *retry = &x->service->retry;
	struct iso_loop *loop = x->host->loop;

	x->safe = iso_method_is_safe(x->head->method_id);
	x->idempotent = iso_method_is_idempotent(x->head->method_id) || x->route->idempotent;
	x->deadline_us = x->received_us + x->service->timeout_us;
	iso_timer_set(&loop->wheel, &x->timer, x->deadline_us);
	/* Recorded whatever the method: what was not executed may be sent again, a POST too. */
	iso_tape_init(&x->tape, retry->attempts > 1 ? retry->body_limit : 0);
	iso_budget_request(&x->host->budgets[x->service->index % ISO_HOST_SERVICES], loop->now_us);
	iso_retry_init(&x->plan, retry->attempts);
	x->step_allowed = x->route->region_mask;
	x->next_reason = -1;
	x->phase = ISO_PHASE_PICK;
	return ISO_STEP_MORE;
}
