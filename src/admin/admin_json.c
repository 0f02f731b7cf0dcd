/*
 * GET /status: what the proxy believes of every region, and why. Thread: control.
 */
#include <jansson.h>
#include <stdlib.h>

#include "admin_priv.h"
#include "iso/net/resolver.h"
#include "iso/policy/balance.h"

static json_t *text_of(struct iso_slice s)
{
	return json_stringn(s.ptr != NULL ? s.ptr : "", s.len);
}

static json_t *ms(uint32_t us)
{
	return us == 0 ? json_null() : json_real(us / 1000.0);
}

static json_t *words(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_t *probe_json(const struct iso_probe_report *probe, uint64_t now_us)
{
	if (probe->at_us == 0)
		return json_null();
	return json_pack("{s:b, s:i, s:o, s:o, s:o, s:o, s:o, s:f, s:I, s:I, s:I}", "passed", probe->passed,
			 "status", (int)probe->status, "words", words(probe->words), "dns_ms",
			 ms(probe->dns_us), "connect_ms", ms(probe->connect_us), "tls_ms", ms(probe->tls_us),
			 "ttfb_ms", ms(probe->ttfb_us), "age_s", (double)(now_us - probe->at_us) / 1e6,
			 "passes", (json_int_t)probe->passes, "failures", (json_int_t)probe->failures,
			 "ignored", (json_int_t)probe->ignored);
}

static json_t *endpoints_json(const struct iso_region_report *report)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < report->endpoint_count; i++) {
		const struct iso_board_endpoint *ep = &report->endpoints[i];
		char text[64];

		if (ep->addr.len == 0)
			continue;
		iso_sockaddr_format(&ep->addr.u.sa, text, sizeof(text));
		json_array_append_new(list,
				      json_pack("{s:s, s:b, s:b, s:b, s:o, s:o, s:o}", "address", text,
						"usable", ep->usable, "ejected", ep->ejected, "slower",
						ep->slower, "estimate_ms", ms(ep->estimate_us), "rtt_ms",
						ms(ep->rtt_us), "why", words(report->endpoint_words[i])));
	}
	return list;
}

static json_t *percentiles_json(const struct iso_window_sums *sums)
{
	return json_pack("{s:o, s:o, s:o}", "p50", ms(sums->p50_us), "p95", ms(sums->p95_us), "p99",
			 ms(sums->p99_us));
}

static json_t *latency_json(uint32_t estimate_us, const struct iso_window_sums *ttfb)
{
	json_t *latency = json_pack("{s:o}", "estimate", ms(estimate_us));

	json_object_update_new(latency, percentiles_json(ttfb));
	return latency;
}

static bool is_worst(const struct iso_region_report *report, const struct iso_dependency *d)
{
	for (uint32_t i = 0; i < report->dependency_count; i++)
		if (strcmp(report->dependencies[i].name, d->name) == 0 &&
		    report->dependencies[i].state > d->state)
			return false;
	return true;
}

static json_t *dependencies_json(const struct iso_region_report *report)
{
	json_t *all = json_object();

	for (uint32_t i = 0; i < report->dependency_count; i++) {
		const struct iso_dependency *d = &report->dependencies[i];

		/* Several components under one name: the worst is shown. */
		if (json_object_get(all, d->name) != NULL && !is_worst(report, d))
			continue;
		json_object_set_new(all, d->name,
				    json_pack("{s:s, s:o}", "status", iso_dependency_state_text(d->state),
					      "observed_ms", ms(d->observed_us)));
	}
	return all;
}

static json_t *outcomes_json(const struct iso_region_report *report)
{
	json_t *outcomes = json_object();

	for (int i = 0; i < ISO_OUTCOME_COUNT; i++)
		json_object_set_new(outcomes, iso_outcome_text((enum iso_outcome)i),
				    json_integer((json_int_t)report->outcomes[i]));
	return outcomes;
}

static json_t *region_json(const struct iso_admin *admin, const struct iso_cfg_region *region)
{
	struct iso_region_report r;
	uint64_t now_us = admin->config.loop->now_us;

	if (!iso_publisher_region(admin->config.publisher, region->slot, &r))
		return json_null();
	return json_pack("{s:s, s:f, s:o, s:I, s:b, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:I, s:I, s:o, s:o, s:o, s:o, s:o}",
			 "state", iso_region_state_text(r.state), "share", r.share, "latency_ms",
			 latency_json(r.estimate_us, &r.ttfb), "in_flight", (json_int_t)r.in_flight, "up",
			 r.up, "suspect", r.suspect, "why", words(r.words), "connections",
			 (json_int_t)r.connections, "probe", probe_json(&r.probe, now_us), "dns",
			 words(r.dns_words), "health", words(r.health_words), "dependencies",
			 dependencies_json(&r), "endpoints", endpoints_json(&r), "outcomes",
			 outcomes_json(&r), "good_last_minute", (json_int_t)r.ttfb.good, "bad_last_minute",
			 (json_int_t)r.ttfb.bad, "limit",
			 r.limit_milli != 0 ? json_real((double)r.limit_milli / 1000) : json_null(), "rtt_ms",
			 ms(r.rtt_us), "connect_ms", percentiles_json(&r.connect), "tls_ms",
			 percentiles_json(&r.tls), "total_ms", percentiles_json(&r.total));
}

static json_t *lane_json(const struct iso_lane_report *lane)
{
	return json_pack("{s:f, s:s, s:o, s:o, s:I, s:I}", "share", lane->share, "numbers",
			 lane->own ? "route" : "region", "latency_ms",
			 latency_json(lane->estimate_us, &lane->ttfb), "total_ms",
			 percentiles_json(&lane->total), "good_last_minute", (json_int_t)lane->ttfb.good,
			 "bad_last_minute", (json_int_t)lane->ttfb.bad);
}

/* The routes to the service that are measured by themselves. */
static json_t *routes_json(const struct iso_admin *admin, const struct iso_cfg_service *service)
{
	const struct iso_snapshot *snapshot = admin->config.snapshot;
	json_t *routes = json_object();

	for (uint32_t i = 0; i < snapshot->track_count; i++) {
		const struct iso_cfg_route *route = snapshot->tracks[i].route;
		json_t *regions;
		struct iso_track_report report;

		if (route->service != service ||
		    !iso_publisher_track(admin->config.publisher, route, &report))
			continue;
		regions = json_object();
		for (uint32_t r = 0; r < report.lane_count; r++)
			json_object_set_new(regions, service->regions[r].name.ptr,
					    lane_json(&report.lanes[r]));
		json_object_set_new(routes, route->name.ptr,
				    json_pack("{s:s, s:o}", "policy", iso_policy_name(route->policy),
					      "regions", regions));
	}
	return routes;
}

static json_t *service_json(const struct iso_admin *admin, const struct iso_cfg_service *service)
{
	json_t *regions = json_object();

	for (uint32_t i = 0; i < service->region_count; i++)
		json_object_set_new(regions, service->regions[i].name.ptr,
				    region_json(admin, &service->regions[i]));
	return json_pack("{s:s, s:b, s:o, s:o}", "policy", iso_policy_name(service->policy), "fail_open",
			 iso_publisher_fails_open(admin->config.publisher, service->index), "regions",
			 regions, "routes", routes_json(admin, service));
}

int iso_admin_status(const struct iso_admin *admin, struct iso_text *text)
{
	const struct iso_snapshot *snapshot = admin->config.snapshot;
	json_t *services = json_object(), *root;
	char *dump;

	for (uint32_t i = 0; i < snapshot->service_count; i++)
		json_object_set_new(services, snapshot->services[i].name.ptr,
				    service_json(admin, &snapshot->services[i]));
	root = json_pack("{s:s, s:f, s:I, s:o, s:b, s:b, s:o}", "version", ISO_VERSION, "uptime_s",
			 (double)(admin->config.loop->now_us - admin->started_us) / 1e6, "generation",
			 (json_int_t)snapshot->generation, "config", text_of(snapshot->path), "uplink_down",
			 iso_publisher_uplink_down(admin->config.publisher), "draining", admin->draining,
			 "services", services);
	dump = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
	json_decref(root);
	if (dump == NULL)
		return ISO_ENOMEM;
	iso_text_str(text, dump);
	iso_text_str(text, "\n");
	free(dump);
	return iso_text_ok(text);
}

/* Whatever a request asks for, it goes to a region that is not well. */
static bool nothing_is_up(const struct iso_admin *admin)
{
	const struct iso_snapshot *snapshot = admin->config.snapshot;

	for (uint32_t i = 0; i < snapshot->service_count; i++)
		if (!iso_publisher_fails_open(admin->config.publisher, snapshot->services[i].index))
			return false;
	return snapshot->service_count > 0;
}

const char *iso_admin_not_ready(const struct iso_admin *admin)
{
	if (admin->draining)
		return "draining\n";
	if (iso_publisher_uplink_down(admin->config.publisher))
		return "no region can be reached: our own network is down\n";
	if (nothing_is_up(admin))
		return "no region of any service is up: requests go to all that are not drained\n";
	return NULL;
}
