/*
 * What the publisher tells the admin API and the metrics. Thread: control.
 */
#include "iso/policy/share.h"
#include "iso/policy/suspicion.h"
#include "iso/upstream/view.h"
#include "publisher_priv.h"

static const char *const state_texts[] = {
	[ISO_REGION_UNKNOWN] = "unknown",   [ISO_REGION_HEALTHY] = "healthy",
	[ISO_REGION_DEGRADED] = "degraded", [ISO_REGION_UNHEALTHY] = "unhealthy",
	[ISO_REGION_EJECTED] = "ejected",   [ISO_REGION_DRAINED] = "drained",
};

const char *iso_region_state_text(enum iso_region_state state)
{
	return (unsigned int)state < sizeof(state_texts) / sizeof(state_texts[0]) ? state_texts[state]
										  : "unknown";
}

const char *iso_dependency_state_text(enum iso_dependency_state state)
{
	return state == ISO_DEPENDENCY_PASS ? "pass" : state == ISO_DEPENDENCY_WARN ? "warn" : "fail";
}

bool iso_publisher_uplink_down(const struct iso_publisher *pub)
{
	return pub->uplink_down;
}

bool iso_publisher_fails_open(const struct iso_publisher *pub, uint32_t index)
{
	const struct iso_cfg_service *service;

	if (pub->snapshot == NULL || index >= pub->snapshot->service_count)
		return false;
	service = &pub->snapshot->services[index];
	for (uint32_t r = 0; r < service->region_count; r++)
		if (pub->slots[service->regions[r].slot].facts.up)
			return false;
	return true;
}

/* The view that a pick of a fresh request has; route NULL: all of the service's regions are allowed. */
static void view_of(const struct iso_publisher *pub, const struct iso_cfg_service *service,
		    const struct iso_cfg_route *route, struct iso_slice path, struct iso_view *ret_view)
{
	const struct iso_board_region *boards[ISO_VIEW_MAX];

	iso_view_init(ret_view, service->region_count);
	for (uint32_t r = 0; r < service->region_count; r++) {
		const struct iso_cfg_region *region = &service->regions[r];
		uint16_t bit = (uint16_t)(1u << r);

		boards[r] = &pub->slots[region->slot].board;
		iso_view_add(ret_view, r, region, boards[r]);
		ret_view->suspect |= boards[r]->suspect ? bit : 0;
		ret_view->full |= iso_publisher_is_full(pub, region) ? bit : 0;
	}
	if (route == NULL)
		return;
	for (uint32_t r = 0; r < service->region_count; r++) {
		const struct iso_publisher_slot *slot = &pub->slots[service->regions[r].slot];

		if (boards[r]->unmeasured)
			ret_view->explore |= (uint16_t)(1u << r);
		if (iso_has_just_failed(pub->loop->now_us, slot->failed_us) ||
		    iso_quiet(slot->stats.silent_us, boards[r]->usual_us))
			ret_view->wary |= (uint16_t)(1u << r);
	}
	(void)iso_view_track(ret_view, route, iso_publisher_board_track(pub, route), true);
	ret_view->allowed &= route->region_mask;
	iso_view_require(ret_view, boards, route, path);
}

void iso_publisher_view(const struct iso_publisher *pub, const struct iso_cfg_route *route,
			struct iso_slice path, struct iso_view *ret_view)
{
	view_of(pub, route->service, route, path, ret_view);
}

/*
 * Whom `geo` sends where depends on who asks: the share that can be told is the one that the last minute had,
 * among the regions that may be used now. Until there was traffic, it is that of clients without a place.
 */
static void weigh_by_traffic(const struct iso_publisher *pub, const struct iso_cfg_service *service,
			     const struct iso_cfg_track *track, struct iso_view *view)
{
	uint32_t counts[ISO_VIEW_MAX], all = 0;

	for (uint32_t r = 0; r < service->region_count; r++) {
		const struct iso_publisher_slot *slot = &pub->slots[service->regions[r].slot];
		const struct iso_window *window = track != NULL ? &slot->tracks[track->number - 1]->window
								: &slot->stats.window;

		counts[r] = (uint32_t)iso_window_count(window, pub->loop->now_us);
		all |= counts[r];
	}
	for (uint32_t r = 0; r < service->region_count && all != 0; r++)
		view->c[r].weight = counts[r];
}

void iso_publisher_route_shares(const struct iso_publisher *pub, const struct iso_cfg_route *route,
				uint32_t ret_shares[ISO_VIEW_MAX])
{
	struct iso_view view;

	view_of(pub, route->service, route, iso_slice(NULL, 0), &view);
	view.explore = view.wary = 0; /* no request in particular */
	if (route->policy == ISO_POLICY_GEO)
		weigh_by_traffic(pub, route->service, route->track, &view);
	iso_balance_shares(route->policy, &view, ret_shares);
}

static const char *words_of(const struct iso_publisher_slot *slot)
{
	const struct iso_region_stats *stats = &slot->stats;

	switch (slot->facts.state) {
	case ISO_REGION_DRAINED:
		return "drained by an operator";
	case ISO_REGION_EJECTED:
		return stats->outlier.words;
	case ISO_REGION_UNHEALTHY:
		return stats->probe.words != NULL ? stats->probe.words : "its probes fail";
	case ISO_REGION_DEGRADED:
		if (stats->suspect_us != 0)
			return "silent while requests wait for it";
		if (stats->wish != NULL)
			return stats->wish;
		if (slot->warned)
			return "its health answer warns";
		return slot->facts.ramp < ISO_WEIGHT_ONE ? "coming back" : stats->probe.words;
	default:
		return NULL;
	}
}

static void fill_probe(const struct iso_region_stats *stats, struct iso_probe_report *ret_probe)
{
	const struct iso_probe_note *note = &stats->probe;

	*ret_probe = (struct iso_probe_report){
		.at_us = note->at_us,
		.dns_us = note->dns_us,
		.connect_us = note->connect_us,
		.tls_us = note->tls_us,
		.ttfb_us = note->ttfb_us,
		.status = note->status,
		.passed = note->passed,
		.words = note->words,
		.passes = stats->probes_passed,
		.failures = stats->probes_failed,
		.ignored = stats->probes_ignored,
	};
}

/* The parts of the time, and who is out. */
static void fill_endpoints(const struct iso_region_stats *stats, uint64_t now_us,
			   struct iso_region_report *ret_report)
{
	const struct iso_endpoint_stats *es = &stats->endpoints;

	ret_report->rtt_us = iso_endpoint_stats_rtt_us(es);
	iso_window_sum(&stats->connects, now_us, &ret_report->connect);
	iso_window_sum(&stats->handshakes, now_us, &ret_report->tls);
	iso_window_sum(&stats->totals, now_us, &ret_report->total);
	for (uint32_t i = 0; i < es->count && i < ret_report->endpoint_count; i++)
		ret_report->endpoint_words[i] = es->v[i].outlier.ejected ? es->v[i].outlier.words : NULL;
}

bool iso_publisher_region(const struct iso_publisher *pub, uint32_t index,
			  struct iso_region_report *ret_report)
{
	const struct iso_publisher_slot *slot;
	struct iso_view view;
	uint32_t shares[ISO_VIEW_MAX];

	if (index >= ISO_REGION_SLOTS || pub->slots[index].service == NULL)
		return false;
	slot = &pub->slots[index];
	memset(ret_report, 0, sizeof(*ret_report));
	iso_window_sum(&slot->stats.window, pub->loop->now_us, &ret_report->ttfb);
	view_of(pub, slot->service, NULL, iso_slice(NULL, 0), &view);
	if (slot->service->policy == ISO_POLICY_GEO)
		weigh_by_traffic(pub, slot->service, NULL, &view);
	iso_publisher_shares(pub, slot->service, &view, shares);
	ret_report->state = slot->facts.state;
	ret_report->up = slot->facts.up;
	ret_report->suspect = slot->facts.suspect;
	ret_report->share = (double)shares[slot->region] / ISO_WEIGHT_ONE;
	ret_report->estimate_us = slot->facts.estimate_us;
	ret_report->limit_milli = slot->board.limit_milli;
	iso_publisher_load(pub, index, &ret_report->in_flight, &ret_report->connections);
	memcpy(ret_report->outcomes, slot->stats.outcomes, sizeof(ret_report->outcomes));
	ret_report->words = words_of(slot);
	ret_report->ejected_until_us = slot->stats.outlier.ejected ? slot->stats.outlier.until_us : 0;
	ret_report->dns_words = iso_endpoints_why(pub->endpoints, index);
	fill_probe(&slot->stats, &ret_report->probe);
	ret_report->health_words = slot->health.error;
	ret_report->dependency_count = slot->health.n;
	memcpy(ret_report->dependencies, slot->health.v, sizeof(ret_report->dependencies));
	ret_report->endpoint_count = slot->board.endpoint_count;
	memcpy(ret_report->endpoints, slot->board.endpoints, sizeof(ret_report->endpoints));
	fill_endpoints(&slot->stats, pub->loop->now_us, ret_report);
	return true;
}
