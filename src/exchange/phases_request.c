/*
 * From a request's head to the choice of a region: ADMIT, MATCH, PREPARE. Thread: the exchange's loop.
 */
#include "exchange_priv.h"
#include "iso/net/cidr.h"
#include "iso/net/resolver.h"
#include "iso/http/hop.h"
#include "iso/http/uri.h"

static enum iso_step refuse(struct iso_exchange *x, uint16_t status, const char *detail)
{
	iso_local_reply(x, status, detail);
	return ISO_STEP_PARK;
}

/* The address without its port and brackets. */
static struct iso_slice bare_ip(struct iso_slice client)
{
	size_t len = client.len;

	while (len > 0 && client.ptr[len - 1] != ':')
		len--;
	if (len > 0)
		client.len = len - 1;
	if (client.len > 2 && client.ptr[0] == '[' && client.ptr[client.len - 1] == ']')
		client = iso_slice(client.ptr + 1, client.len - 2);
	return client;
}

static bool parse_ip(struct iso_slice ip, struct iso_sockaddr *ret_addr)
{
	char text[64];

	if (ip.len >= sizeof(text))
		return false;
	memcpy(text, ip.ptr, ip.len);
	text[ip.len] = '\0';
	return iso_sockaddr_parse(text, 0, ret_addr) == ISO_OK;
}

/*
 * One line of X-Forwarded-For, from the right, up to the first address that is not a trusted proxy's. True:
 * all of them are, what stands before the line counts too.
 */
static bool pass_proxies(struct iso_exchange *x, struct iso_slice rest)
{
	while (rest.len > 0) {
		size_t comma = rest.len;
		struct iso_slice entry;
		struct iso_sockaddr addr;

		while (comma > 0 && rest.ptr[comma - 1] != ',')
			comma--;
		entry = iso_slice_trim(iso_slice(rest.ptr + comma, rest.len - comma));
		rest.len = comma > 0 ? comma - 1 : 0;
		if (entry.len == 0)
			continue; /* RFC 9110 section 5.6.1.2 */
		if (!parse_ip(entry, &addr))
			return false; /* no address: nothing further left can be believed */
		x->from.client = entry;
		if (!iso_cidr_set_has(x->from.trusted_proxies, &addr.u.sa))
			return false;
	}
	return true;
}

/*
 * The client behind trusted proxies: of X-Forwarded-For, from the end, the first that is not one of them.
 * What stands before it anybody may have written. All lines are one list (RFC 9110 section 5.3): there are
 * proxies that add a line of their own.
 */
static void find_client(struct iso_exchange *x)
{
	const struct iso_fields *fields = &x->head->fields;

	for (uint32_t i = fields->n; i-- > 0;)
		if (fields->v[i].id == ISO_FIELD_X_FORWARDED_FOR && !pass_proxies(x, fields->v[i].value))
			return;
}

struct iso_slice iso_exchange_client_ip(const struct iso_exchange *x)
{
	struct iso_sockaddr addr;

	/* Behind a trusted proxy it comes without a port, and an IPv6 address without brackets: the last
	 * group of that must not be taken for a port. */
	return parse_ip(x->from.client, &addr) ? x->from.client : iso_uri_host(x->from.client);
}

bool iso_exchange_client(const struct iso_exchange *x, struct iso_sockaddr *ret_addr)
{
	return parse_ip(x->from.client, ret_addr) || parse_ip(iso_uri_host(x->from.client), ret_addr);
}

bool iso_exchange_body_too_large(const struct iso_exchange *x, uint64_t bytes)
{
	uint64_t most = x->generation->snapshot->limits.body_bytes;

	return most > 0 && bytes > most;
}

/* A loop that does not catch up gets later with each request that it takes. */
static bool overloaded(const struct iso_exchange *x)
{
	uint64_t most_us = x->generation->snapshot->limits.loop_lag_us;

	return most_us > 0 && iso_lag_us(&x->host->loop->lag) > most_us;
}

/* By AWS Signature Version 4: its path must go on as it came. */
static bool is_signed(const struct iso_head *head)
{
	const struct iso_field *f = iso_fields_get(&head->fields, ISO_FIELD_AUTHORIZATION);

	return (f != NULL && iso_slice_starts(f->value, ISO_SLICE("AWS4-"))) ||
	       iso_slice_contains(head->path, ISO_SLICE("X-Amz-Signature="));
}

enum iso_step iso_phase_admit(struct iso_exchange *x)
{
	struct iso_hop_facts facts = {
		.client_ip = bare_ip(x->from.client),
		.trusted = x->from.trusted_proxies != NULL,
		.scheme = x->from.tls ? ISO_SLICE("https") : ISO_SLICE("http"),
		.random = { iso_rng_next(&x->host->loop->rng), iso_rng_next(&x->host->loop->rng) },
	};
	int err;

	if (x->from.trusted_proxies != NULL)
		find_client(x);
	if (x->from.misdirected)
		return refuse(x, 421, "this host asks for another TLS connection: use one of its own");
	if (iso_exchange_body_too_large(x,
					x->head->content_length > 0 ? (uint64_t)x->head->content_length : 0))
		return refuse(x, 413, "the request's content is larger than is allowed here");
	if (iso_chunk_pool_short(&x->host->loop->chunks) && !iso_exchange_shed(x->host))
		return refuse(x, 503, "the proxy is short of memory: try again in a moment");
	if (overloaded(x))
		return refuse(x, 503, "the proxy is overloaded: try again in a moment");
	if (x->head->method_id == ISO_METHOD_TRACE)
		return refuse(x, 405, "TRACE is not allowed here");
	err = iso_uri_normalise(x->arena, x->head->path, &x->from.path);
	if (err == ISO_EBAD)
		return refuse(x, 400, "the path holds a broken or forbidden escape");
	if (err == ISO_OK && !iso_slice_eq(x->from.path, x->head->path) && is_signed(x->head))
		return refuse(x, 400,
			      "a signed path must be in its normal form: remove dot segments and needless "
			      "escapes");
	x->head->path = err == ISO_OK ? x->from.path : x->head->path;
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
	const struct iso_snapshot *snapshot = x->generation->snapshot;
	struct iso_route_request request = {
		.authority = x->head->authority,
		.path = x->head->path,
		.method = x->head->method,
		.fields = &x->head->fields,
		.arena = x->arena,
		.draw = iso_rng_next(&x->host->loop->rng),
	};
	struct iso_sockaddr client;
	struct iso_ip ip;

	if (iso_router_asks_clients(snapshot->router) && iso_exchange_client(x, &client) &&
	    iso_sockaddr_ip(&client.u.sa, &ip))
		request.client = &ip;
	x->route = iso_snapshot_route(snapshot, &request);
	if (x->route == NULL)
		return refuse(x, 404, "no route matches this request");
	if (!iso_rate_limit_take(x))
		return refuse(x, 429, "too many requests: try again later");
	if (x->route->service == NULL) {
		iso_local_answer(x);
		return ISO_STEP_PARK;
	}
	x->service = x->route->service;
	if (x->route->rewrite.n > 0 && !iso_rewrite_path(x))
		return refuse(x, 431, "the request's path takes too much memory");
	x->phase = ISO_PHASE_PREPARE;
	return ISO_STEP_MORE;
}

enum iso_step iso_phase_prepare(struct iso_exchange *x)
{
	const struct iso_cfg_retry *retry = &x->route->retry;
	struct iso_loop *loop = x->host->loop;

	x->safe = iso_method_is_safe(x->head->method_id);
	x->idempotent = iso_method_is_idempotent(x->head->method_id) || x->route->idempotent;
	x->deadline_us = x->received_us + x->route->timeout_us;
	iso_timer_set(&loop->wheel, &x->timer, x->deadline_us);
	/* Recorded whatever the method: what was not executed may be sent again, a POST too. */
	iso_tape_init(&x->tape,
		      (retry->attempts > 1 && x->head->protocol.len == 0) || iso_keys_wanted(x)
			      ? retry->body_limit
			      : 0,
		      &x->host->shared->replay);
	if (retry->refuse_large && retry->attempts > 1 &&
	    x->head->content_length > (int64_t)retry->body_limit)
		return refuse(x, 413, "the request's content is larger than what is kept for replay");
	iso_budget_request(iso_exchange_budget(x), loop->now_us);
	if (x->route->hedge.after != ISO_HEDGE_OFF)
		iso_budget_request(&x->host->hedges[x->service->slot], loop->now_us);
	iso_retry_init(&x->plan, retry->attempts);
	x->choice.allowed = x->route->region_mask;
	x->choice.reason = -1;
	iso_affinity_find(x);
	x->phase = iso_keys_wanted(x) ? ISO_PHASE_KEYS : ISO_PHASE_PICK;
	return ISO_STEP_MORE;
}
