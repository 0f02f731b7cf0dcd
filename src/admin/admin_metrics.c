/*
 * GET /metrics: what was counted, with the names of now. Thread: control.
 */
#include <stdlib.h>

#include "admin_priv.h"
#include "iso/exchange/exchange.h"
#include "iso/ledger/ledger.h"
#include "iso/policy/safety.h"
#include "iso/telemetry/access_log.h"
#include "iso/telemetry/prometheus.h"

enum {
	SAMPLES_PER_REGION = 4,
	SAMPLES_OF_ROUTES = 2 * ISO_TRACKS_MAX * ISO_SERVICE_REGIONS_MAX,
	SIMPLE_SAMPLES = 14 + ISO_CUT_COUNT + ISO_HOST_SERVICES,
};

struct page {
	struct iso_prometheus_names names;
	struct iso_prometheus_sample *samples;
	size_t count;
};

static void add(struct page *page, enum iso_metric metric, const struct iso_cfg_service *service,
		const struct iso_cfg_region *region, double value)
{
	struct iso_prometheus_sample *s = &page->samples[page->count++];

	*s = (struct iso_prometheus_sample){ .metric = metric, .value = value };
	if (service != NULL) {
		s->service = service->name;
		s->region = region->name;
	}
}

static void add_regions(const struct iso_admin *admin, struct page *page)
{
	const struct iso_snapshot *snapshot = admin->config.snapshot;

	for (uint32_t s = 0; s < snapshot->service_count; s++) {
		const struct iso_cfg_service *service = &snapshot->services[s];

		page->names.services[service->slot] = service->name;
		for (uint32_t r = 0; r < service->region_count; r++) {
			const struct iso_cfg_region *region = &service->regions[r];
			struct iso_region_report report;

			page->names.slots[region->slot].service = service->name;
			page->names.slots[region->slot].region = region->name;
			if (!iso_publisher_region(admin->config.publisher, region->slot, &report))
				continue;
			add(page, ISO_METRIC_REGION_SHARE, service, region, report.share);
			add(page, ISO_METRIC_REGION_UP, service, region, report.up ? 1 : 0);
			if (report.rtt_us != 0)
				add(page, ISO_METRIC_REGION_RTT, service, region, report.rtt_us / 1e6);
			add(page, ISO_METRIC_UPSTREAM_CONNECTIONS, service, region, report.connections);
		}
	}
}

static void add_routes(const struct iso_admin *admin, struct page *page)
{
	const struct iso_snapshot *snapshot = admin->config.snapshot;

	for (uint32_t i = 0; i < snapshot->track_count; i++) {
		const struct iso_cfg_route *route = snapshot->tracks[i].route;
		struct iso_track_report report;

		if (!iso_publisher_track(admin->config.publisher, route, &report))
			continue;
		for (uint32_t r = 0; r < report.lane_count; r++) {
			const struct iso_cfg_region *region = &route->service->regions[r];
			const struct iso_lane_report *lane = &report.lanes[r];

			add(page, ISO_METRIC_ROUTE_SHARE, route->service, region, lane->share);
			page->samples[page->count - 1].route = route->name;
			if (lane->estimate_us == 0)
				continue;
			add(page, ISO_METRIC_ROUTE_ESTIMATE, route->service, region, lane->estimate_us / 1e6);
			page->samples[page->count - 1].route = route->name;
		}
	}
}

static void add_servers(const struct iso_admin *admin, struct page *page)
{
	uint64_t connections = 0, accepted = 0, failed = 0, refused = 0, cut[ISO_CUT_COUNT] = { 0 };

	for (size_t i = 0; i < admin->config.server_count; i++) {
		const struct iso_server_counters *c = admin->config.servers[i];

		connections += atomic_load_explicit(&c->connections, memory_order_relaxed);
		accepted += atomic_load_explicit(&c->accepted, memory_order_relaxed);
		failed += atomic_load_explicit(&c->handshakes_failed, memory_order_relaxed);
		refused += atomic_load_explicit(&c->refused, memory_order_relaxed);
		for (int k = 0; k < ISO_CUT_COUNT; k++)
			cut[k] += atomic_load_explicit(&c->cut[k], memory_order_relaxed);
	}
	add(page, ISO_METRIC_DOWNSTREAM_CONNECTIONS, NULL, NULL, (double)connections);
	add(page, ISO_METRIC_DOWNSTREAM_ACCEPTED, NULL, NULL, (double)accepted);
	add(page, ISO_METRIC_HANDSHAKE_FAILURES, NULL, NULL, (double)failed);
	add(page, ISO_METRIC_REFUSED, NULL, NULL, (double)refused);
	for (int k = 0; k < ISO_CUT_COUNT; k++) {
		add(page, ISO_METRIC_CUT, NULL, NULL, (double)cut[k]);
		page->samples[page->count - 1].label = iso_slice_str(iso_cut_text((enum iso_cut)k));
	}
	if (admin->config.scribe != NULL)
		add(page, ISO_METRIC_LOG_DROPPED, NULL, NULL,
		    (double)iso_scribe_dropped(admin->config.scribe));
}

static void add_exchanges(const struct iso_admin *admin, struct page *page)
{
	struct iso_exchange_shared *shared = admin->config.exchanges;
	const struct iso_snapshot *snapshot = admin->config.snapshot;

	for (uint32_t s = 0; s < snapshot->service_count; s++) {
		add(page, ISO_METRIC_RETRY_BUDGET, NULL, NULL,
		    (double)iso_bucket_now_milli(&shared->services[snapshot->services[s].slot].retries,
						 admin->config.loop->now_us) /
			    1000);
		page->samples[page->count - 1].label = snapshot->services[s].name;
	}
	add(page, ISO_METRIC_REPLAY_BYTES, NULL, NULL,
	    (double)atomic_load_explicit(&shared->replay.bytes, memory_order_relaxed));
}

static void add_ledger(const struct iso_ledger *ledger, struct page *page)
{
	const struct iso_ledger_counters *c;

	if (ledger == NULL)
		return;
	c = iso_ledger_counters(ledger);
	add(page, ISO_METRIC_KEYS, NULL, NULL, (double)atomic_load(&c->entries));
	add(page, ISO_METRIC_KEY_BYTES, NULL, NULL, (double)atomic_load(&c->bytes));
	add(page, ISO_METRIC_KEY_REPLAYS, NULL, NULL, (double)atomic_load(&c->replayed));
	add(page, ISO_METRIC_KEY_CONFLICTS, NULL, NULL, (double)atomic_load(&c->conflicts));
	add(page, ISO_METRIC_KEY_MISMATCHES, NULL, NULL, (double)atomic_load(&c->mismatches));
	add(page, ISO_METRIC_KEY_EVICTED, NULL, NULL, (double)atomic_load(&c->evicted));
	add(page, ISO_METRIC_KEY_JOURNAL_ERRORS, NULL, NULL, (double)atomic_load(&c->journal_errors));
}

int iso_admin_metrics(const struct iso_admin *admin, struct iso_text *text)
{
	struct page *page = calloc(1, sizeof(*page));
	struct iso_prometheus_view view;
	int err;

	if (page == NULL)
		return ISO_ENOMEM;
	page->samples = calloc(ISO_REGION_SLOTS * SAMPLES_PER_REGION + SAMPLES_OF_ROUTES + SIMPLE_SAMPLES,
			       sizeof(*page->samples));
	if (page->samples == NULL) {
		free(page);
		return ISO_ENOMEM;
	}
	for (int i = 0; i < ISO_OUTCOME_COUNT; i++)
		page->names.outcomes[i] = iso_outcome_text((enum iso_outcome)i);
	for (int i = 0; i < ISO_RETRY_REASON_COUNT; i++)
		page->names.reasons[i] = iso_retry_reason_text((enum iso_retry_reason)i);
	for (int i = 0; i < ISO_STAY_COUNT; i++)
		page->names.stays[i] = iso_stay_text((enum iso_stay)i);
	for (int i = 0; i < ISO_METRICS_EXECUTED; i++)
		page->names.executed[i] = iso_executed_text((enum iso_executed)i);
	page->names.version = ISO_SLICE(ISO_VERSION);
	add_regions(admin, page);
	add_routes(admin, page);
	add_servers(admin, page);
	add_exchanges(admin, page);
	add_ledger(admin->config.ledger, page);
	view = (struct iso_prometheus_view){
		.all = admin->config.metrics,
		.all_count = admin->config.metrics_count,
		.names = &page->names,
		.samples = page->samples,
		.sample_count = page->count,
	};
	err = iso_prometheus_write(&view, text);
	free(page->samples);
	free(page);
	return err;
}
