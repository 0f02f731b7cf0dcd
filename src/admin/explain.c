/*
 * See explain.h. Thread: control, or a command without a proxy.
 */
#include "iso/admin/explain.h"

#include "iso/exchange/client.h"
#include "iso/http/message.h"
#include "iso/http/uri.h"
#include "iso/net/cidr.h"
#include "iso/net/resolver.h"
#include "iso/policy/decision.h"
#include "iso/policy/safety.h"
#include "iso/policy/share.h"
#include "iso/upstream/view.h"

enum { ARENA_MAX = 256 * 1024 };

struct target {
	struct iso_slice authority, path; /* path: normalised, with its query */
};

static int parse_url(struct iso_arena *arena, const struct iso_explain_request *request,
		     struct target *ret_target, const char **ret_why)
{
	struct iso_slice rest = request->url;
	const char *scheme = rest.len > 3 ? memmem(rest.ptr, rest.len, "://", 3) : NULL;
	size_t at;
	int err;

	*ret_target = (struct target){ .authority = request->host };
	if (scheme != NULL) {
		at = (size_t)(scheme - rest.ptr) + 3;
		rest = iso_slice(rest.ptr + at, rest.len - at);
		at = iso_slice_find(rest, '/');
		if (request->host.len == 0)
			ret_target->authority = iso_slice(rest.ptr, at);
		rest = at < rest.len ? iso_slice(rest.ptr + at, rest.len - at) : ISO_SLICE("/");
	}
	*ret_why = "the URL is written as https://host/path, or as /path";
	if (rest.len == 0 || rest.ptr[0] != '/' || !iso_uri_target_ok(rest) ||
	    (ret_target->authority.len > 0 && !iso_uri_authority_ok(ret_target->authority)))
		return ISO_EBAD;
	*ret_why = "the path holds a broken or forbidden escape";
	err = iso_uri_normalise(arena, rest, &ret_target->path);
	*ret_why = err == ISO_EBAD ? *ret_why : NULL;
	return err;
}

/* "name: value" lines. */
static int parse_fields(struct iso_arena *arena, struct iso_slice lines, struct iso_fields *ret_fields,
			const char **ret_why)
{
	struct iso_slice line;

	while (iso_slice_next(&lines, '\n', &line)) {
		size_t colon = iso_slice_find(line, ':');

		if (line.len == 0)
			continue;
		*ret_why = "a header field is written as name: value";
		if (colon == 0 || colon == line.len)
			return ISO_EBAD;
		*ret_why = NULL;
		if (iso_fields_add_copy(
			    ret_fields, arena, iso_slice(line.ptr, colon),
			    iso_slice_trim(iso_slice(line.ptr + colon + 1, line.len - colon - 1))) != ISO_OK)
			return ISO_ENOMEM;
	}
	return ISO_OK;
}

static int parse_client(struct iso_slice text, struct iso_sockaddr *ret_addr, const char **ret_why)
{
	char copy[64];

	*ret_why = "the client is an IP address";
	if (text.len >= sizeof(copy))
		return ISO_EBAD;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (iso_sockaddr_parse(copy, 0, ret_addr) != ISO_OK)
		return ISO_EBAD;
	*ret_why = NULL;
	return ISO_OK;
}

/* The request as the routes and the policies see it. */
struct asked {
	struct target target;
	struct iso_fields fields;
	struct iso_sockaddr client;
	bool client_known;
};

static int read_request(struct iso_arena *arena, const struct iso_explain_request *request,
			struct asked *ret_asked, const char **ret_why)
{
	int err = parse_url(arena, request, &ret_asked->target, ret_why);

	if (err == ISO_OK)
		err = parse_fields(arena, request->fields, &ret_asked->fields, ret_why);
	if (err == ISO_OK && request->client.len > 0)
		err = parse_client(request->client, &ret_asked->client, ret_why);
	ret_asked->client_known = err == ISO_OK && request->client.len > 0;
	return err;
}

static const struct iso_cfg_route *find_route(struct iso_arena *arena, const struct iso_snapshot *snapshot,
					      const struct iso_explain_request *request,
					      const struct asked *asked)
{
	struct iso_ip ip = { { 0 } };
	const struct iso_route_request facts = {
		.authority = asked->target.authority,
		.path = asked->target.path,
		.method = request->method,
		.fields = &asked->fields,
		.client = asked->client_known && iso_sockaddr_ip(&asked->client.u.sa, &ip) ? &ip : NULL,
		.arena = arena,
		.draw = request->draw,
	};

	return iso_snapshot_route(snapshot, &facts);
}

/* Where the client that the request names has just written. */
static uint16_t held(const struct iso_explain_request *request, const struct asked *asked,
		     const struct iso_cfg_service *service)
{
	struct iso_exchange_cookie cookie;
	struct iso_slice bytes = iso_slice((const char *)&cookie.key, sizeof(cookie.key));

	if (service->after_write_us == 0 || request->holds == NULL)
		return 0;
	if (service->after_write_by == ISO_STICKY_COOKIE
		    ? !iso_client_cookie(&asked->fields, service->sticky.name, &cookie)
		    : !iso_client_bytes(service->after_write_by, service->sticky.name, &asked->fields,
					asked->client_known ? &asked->client : NULL, &bytes))
		return 0;
	return iso_holds_find(request->holds, iso_holds_client(request->holds, service, bytes), service,
			      request->now_us);
}

/* Before anything is measured. */
static void unmeasured_view(const struct iso_cfg_route *route, struct iso_view *ret_view)
{
	static const struct iso_board_region unknown = {
		.state = ISO_REGION_UNKNOWN, .up = true, .weight = ISO_WEIGHT_ONE, .ramp = ISO_WEIGHT_ONE
	};

	iso_view_init(ret_view, route->service->region_count);
	for (uint32_t i = 0; i < ret_view->n; i++)
		iso_view_add(ret_view, i, &route->service->regions[i], &unknown);
	ret_view->allowed &= route->region_mask;
}

/* As a first try has it. */
static void make_view(const struct iso_publisher *pub, const struct iso_explain_request *request,
		      const struct asked *asked, const struct iso_cfg_route *route, struct iso_view *ret_view)
{
	bool safe = iso_method_is_safe(iso_method_id(request->method));

	if (pub == NULL) {
		unmeasured_view(route, ret_view);
		return;
	}
	iso_publisher_view(pub, route, asked->target.path, ret_view);
	if (route->policy != ISO_POLICY_LATENCY || !safe)
		ret_view->explore = 0;
	if (route->policy != ISO_POLICY_LATENCY || iso_safety_may_double(safe, route->idempotent))
		ret_view->wary = 0;
	ret_view->held = held(request, asked, route->service);
}

static const char *why_not(const struct iso_view *view, uint32_t i, uint16_t mask,
			   const struct iso_region_report *report)
{
	if ((mask >> i & 1) == 0)
		return "the route does not allow it";
	if ((view->allowed >> i & 1) == 0)
		return "drained by an operator";
	if ((view->up >> i & 1) == 0)
		return report->words != NULL ? report->words : "it is down";
	if ((view->lacking >> i & 1) != 0)
		return "a dependency that the route requires fails there";
	if ((view->suspect >> i & 1) != 0)
		return "silent while requests wait for it";
	return (view->full >> i & 1) != 0
		       ? "its limit is reached: max_in_flight, or what it takes before it answers 429"
		       : NULL;
}

static void put_ms(struct iso_text *text, const char *key, uint32_t us)
{
	iso_text_fmt(text, ",\"%s\":", key);
	if (us == 0)
		iso_text_str(text, "null");
	else
		iso_text_double(text, us / 1000.0, 3);
}

static const char *flag(uint16_t mask, uint32_t i)
{
	return (mask >> i & 1) != 0 ? "true" : "false";
}

/* The route's numbers in place of the region's; whose they are is said where a route keeps its own. */
static void put_numbers(const struct iso_region_report *region, const struct iso_lane_report *lane,
			struct iso_text *text)
{
	const struct iso_window_sums *ttfb = lane != NULL ? &lane->ttfb : &region->ttfb;

	put_ms(text, "estimate_ms", lane != NULL ? lane->estimate_us : region->estimate_us);
	put_ms(text, "p50_ms", ttfb->p50_us);
	put_ms(text, "p95_ms", ttfb->p95_us);
	if (lane != NULL)
		iso_text_fmt(text, ",\"numbers\":\"%s\"", lane->own ? "route" : "region");
	put_ms(text, "rtt_ms", region->rtt_us);
}

static void put_candidates(const struct iso_publisher *pub, const struct iso_cfg_route *route,
			   const struct iso_view *view, struct iso_text *text)
{
	uint32_t shares[ISO_VIEW_MAX];
	struct iso_track_report track;
	bool tracked = pub != NULL && iso_publisher_track(pub, route, &track);

	iso_balance_shares(route->policy, view, shares);
	iso_text_str(text, ",\"candidates\":[");
	for (uint32_t i = 0; i < view->n; i++) {
		const struct iso_cfg_region *region = &route->service->regions[i];
		struct iso_region_report report;
		const char *why;

		if (pub == NULL || !iso_publisher_region(pub, region->slot, &report))
			report = (struct iso_region_report){ .state = ISO_REGION_UNKNOWN, .up = true };
		why = why_not(view, i, route->region_mask, &report);
		iso_text_str(text, i > 0 ? ",{\"region\":" : "{\"region\":");
		iso_text_json(text, region->name);
		iso_text_fmt(text, ",\"state\":\"%s\",\"eligible\":%s,\"why_not\":",
			     iso_region_state_text(report.state), why == NULL ? "true" : "false");
		if (why == NULL)
			iso_text_str(text, "null");
		else
			iso_text_json(text, iso_slice_str(why));
		put_numbers(&report, tracked ? &track.lanes[i] : NULL, text);
		iso_text_fmt(text, ",\"in_flight\":%u,\"weight\":%u,\"warned\":%s", report.in_flight,
			     view->c[i].weight, flag(view->warned, i));
		iso_text_fmt(text,
			     ",\"explored\":%s,\"held\":%s,\"wary\":%s,\"share\":", flag(view->explore, i),
			     flag(view->held, i), flag(view->wary, i));
		iso_text_double(text, (double)shares[i] / ISO_WEIGHT_ONE, 4);
		iso_text_str(text, "}");
	}
	iso_text_str(text, "]");
}

static void put_names(struct iso_text *text, const char *key, const struct iso_slice names[], uint32_t n)
{
	iso_text_fmt(text, ",\"%s\":[", key);
	for (uint32_t i = 0; i < n; i++) {
		iso_text_str(text, i > 0 ? "," : "");
		iso_text_json(text, names[i]);
	}
	iso_text_str(text, "]");
}

static void put_route(const struct iso_cfg_route *route, struct iso_text *text)
{
	iso_text_str(text, ",\"route\":{\"name\":");
	iso_text_json(text, route->name);
	if (route->service == NULL) {
		iso_text_fmt(text, ",\"service\":null,\"status\":%u}", route->answer.status);
		return;
	}
	iso_text_str(text, ",\"service\":");
	iso_text_json(text, route->service->name);
	iso_text_fmt(text, ",\"policy\":\"%s\"", iso_policy_name(route->policy));
	put_names(text, "requires", route->requires, route->requires_count);
	iso_text_str(text, "}");
}

static void put_pick(const struct iso_cfg_route *route, const struct iso_view *view, uint32_t draw,
		     struct iso_text *text)
{
	struct iso_decision decision = { .policy = route->policy, .view = *view };
	struct iso_slice names[ISO_VIEW_MAX];

	for (uint32_t i = 0; i < view->n; i++)
		names[i] = route->service->regions[i].name;
	iso_balance_pick(route->policy, view, draw, &decision.pick);
	iso_text_str(text, ",\"pick\":");
	if (decision.pick.level == ISO_PICK_NONE)
		iso_text_str(text, "null");
	else
		iso_text_json(text, names[decision.pick.index]);
	iso_text_fmt(text,
		     ",\"level\":\"%s\",\"draw\":%u,\"decision\":", iso_pick_level_name(decision.pick.level),
		     draw);
	iso_decision_write(&decision, names, text);
}

int iso_explain(const struct iso_snapshot *snapshot, const struct iso_publisher *pub,
		const struct iso_explain_request *request, struct iso_text *text, const char **ret_why)
{
	struct asked asked = { .client_known = false };
	const struct iso_cfg_route *route;
	struct iso_arena arena;
	struct iso_view view;
	int err;

	iso_arena_init(&arena, NULL, ARENA_MAX);
	err = read_request(&arena, request, &asked, ret_why);
	if (err != ISO_OK)
		goto out;
	route = find_route(&arena, snapshot, request, &asked);
	iso_text_str(text, "{\"request\":{\"method\":");
	iso_text_json(text, request->method);
	iso_text_str(text, ",\"host\":");
	iso_text_json(text, asked.target.authority);
	iso_text_str(text, ",\"path\":");
	iso_text_json(text, asked.target.path);
	iso_text_fmt(text, "},\"measured\":%s", pub != NULL ? "true" : "false");
	if (route == NULL) {
		iso_text_str(text, ",\"route\":null,\"why\":\"no route matches this request\"");
	} else if (route->service == NULL) {
		put_route(route, text);
	} else {
		make_view(pub, request, &asked, route, &view);
		put_route(route, text);
		put_candidates(pub, route, &view, text);
		put_pick(route, &view, (uint32_t)(request->draw >> 32), text);
	}
	iso_text_str(text, "}\n");
	err = iso_text_ok(text);
out:
	iso_arena_done(&arena);
	return err;
}
