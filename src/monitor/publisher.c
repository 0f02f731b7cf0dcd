/*
 * The publisher's run. Thread: control, the sole writer of the board.
 * Invariant: the statistics of a slot speak of the identity kept beside them.
 */
#include <stdlib.h>

#include "iso/policy/suspicion.h"
#include "publisher_priv.h"

enum {
	PERIOD_US = 100 * 1000,
	HEDGE_EVERY_US = 1000 * 1000,
	HEDGE_LEAST = 20, /* answers: fewer have no 95th percentile */
};

static void on_timer(struct iso_timer *timer)
{
	iso_publisher_run_now(ISO_CONTAINER(timer, struct iso_publisher, timer));
}

static void on_endpoints(void *arg)
{
	iso_publisher_run_now(arg);
}

int iso_publisher_new(struct iso_loop *loop, struct iso_board_stand *stand, struct iso_registry *registry,
		      const char *dns_servers, struct iso_publisher **ret_publisher)
{
	struct iso_publisher *pub = calloc(1, sizeof(*pub));
	struct iso_endpoints_hook hook = { on_endpoints, pub };
	int err;

	if (pub == NULL)
		return ISO_ENOMEM;
	pub->loop = loop;
	pub->stand = stand;
	pub->registry = registry;
	iso_timer_init(&pub->timer, on_timer);
	err = iso_endpoints_new(loop, dns_servers, &hook, &pub->endpoints);
	if (err != ISO_OK) {
		free(pub);
		return err;
	}
	*ret_publisher = pub;
	return ISO_OK;
}

void iso_publisher_free(struct iso_publisher *pub)
{
	if (pub == NULL)
		return;
	iso_timer_clear(&pub->loop->wheel, &pub->timer);
	iso_endpoints_free(pub->endpoints);
	iso_snapshot_unref(pub->snapshot);
	iso_publisher_free_tracks(pub);
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		iso_publisher_forget_health(&pub->slots[i]);
		free(pub->slots[i].identity);
		free(pub->slots[i].left);
	}
	free(pub);
}

int iso_publisher_add_worker(struct iso_publisher *pub, struct iso_evidence *evidence)
{
	if (pub->worker_count == ISO_WORKERS_MAX)
		return ISO_ELIMIT;
	pub->workers[pub->worker_count++] = evidence;
	return ISO_OK;
}

int iso_publisher_add_prober(struct iso_publisher *pub, struct iso_evidence *evidence)
{
	pub->probes = evidence;
	return iso_publisher_add_worker(pub, evidence);
}

void iso_publisher_set_hook(struct iso_publisher *pub, const struct iso_publisher_hook *hook)
{
	pub->hook = *hook;
}

const struct iso_snapshot *iso_publisher_snapshot(const struct iso_publisher *pub)
{
	return pub->snapshot;
}

static bool is_same(const struct iso_publisher_slot *slot, struct iso_slice identity)
{
	return slot->identity != NULL && iso_slice_eq(iso_slice_str(slot->identity), identity);
}

/* The statistics of a slot that another region has taken begin anew. */
static int bind_slot(struct iso_publisher_slot *slot, struct iso_slice identity, uint64_t now_us)
{
	char *copy;

	if (is_same(slot, identity))
		return ISO_OK;
	copy = strndup(identity.ptr, identity.len);
	if (copy == NULL)
		return ISO_ENOMEM;
	free(slot->identity);
	slot->identity = copy;
	slot->doubted = false;
	iso_publisher_forget_health(slot);
	slot->facts = (struct iso_region_facts){ .state = ISO_REGION_UNKNOWN };
	iso_region_stats_init(&slot->stats);
	free(slot->left);
	slot->left = NULL;
	iso_publisher_forget_slot_tracks(slot);
	slot->stats.tracks = slot->tracks;
	slot->bound_us = now_us;
	memset(&slot->traffic, 0, sizeof(slot->traffic));
	return ISO_OK;
}

int iso_publisher_bind(struct iso_publisher *pub, struct iso_snapshot *snapshot)
{
	int err;

	for (uint32_t s = 0; s < snapshot->service_count; s++) {
		const struct iso_cfg_service *service = &snapshot->services[s];

		for (uint32_t r = 0; r < service->region_count; r++) {
			err = bind_slot(&pub->slots[service->regions[r].slot], service->regions[r].identity,
					pub->loop->now_us);
			if (err != ISO_OK)
				return err;
		}
	}
	err = iso_publisher_make_tracks(pub, snapshot);
	if (err != ISO_OK)
		return err;
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		pub->slots[i].service = NULL;
	for (uint32_t s = 0; s < snapshot->service_count; s++) {
		const struct iso_cfg_service *service = &snapshot->services[s];

		for (uint32_t r = 0; r < service->region_count; r++) {
			pub->slots[service->regions[r].slot].service = service;
			pub->slots[service->regions[r].slot].region = r;
			pub->slots[service->regions[r].slot].stats.learns = service->learn_throttles;
			iso_publisher_match_health(&pub->slots[service->regions[r].slot]);
		}
	}
	iso_publisher_name_tracks(pub, snapshot);
	(void)iso_snapshot_ref(snapshot);
	iso_snapshot_unref(pub->snapshot);
	pub->snapshot = snapshot;
	iso_endpoints_bind(pub->endpoints, snapshot);
	iso_publisher_run_now(pub);
	return ISO_OK;
}

static void drain_rings(struct iso_publisher *pub)
{
	for (uint32_t w = 0; w < pub->worker_count; w++) {
		struct iso_sample sample;

		/* One ring's worth at most: a worker that fills it as fast must not hold us here. */
		for (uint32_t n = 0; n < ISO_RING_SAMPLES && iso_evidence_pop(pub->workers[w], &sample); n++)
			if (sample.slot < ISO_REGION_SLOTS && pub->slots[sample.slot].service != NULL)
				iso_region_stats_sample(&pub->slots[sample.slot].stats, &sample);
	}
}

static uint64_t load64(const _Atomic uint64_t *cell)
{
	return atomic_load_explicit(cell, memory_order_relaxed);
}

static uint32_t load32(const _Atomic uint32_t *cell)
{
	return atomic_load_explicit(cell, memory_order_relaxed);
}

static void read_cells(struct iso_publisher *pub, uint32_t slot)
{
	struct iso_cell_view views[ISO_WORKERS_MAX];
	uint64_t failed_us = 0;
	uint32_t n = 0;

	for (uint32_t w = 0; w < pub->worker_count; w++) {
		const struct iso_cell *cell = &pub->workers[w]->cells[slot];
		struct iso_cell_view *view = &views[n];

		if (pub->workers[w] == pub->probes)
			continue;
		n++;
		if (load64(&cell->failed_us) > failed_us)
			failed_us = load64(&cell->failed_us);
		view->waiting = load32(&cell->waiting);
		/* The members are read one by one: a wait that has just ended has no begin. */
		view->oldest_us = load64(&cell->oldest_us);
		view->progress_us = load64(&cell->progress_us);
		view->overdue_us = load64(&cell->overdue_us);
	}
	pub->slots[slot].failed_us = failed_us;
	iso_region_stats_cells(&pub->slots[slot].stats, views, n, pub->loop->now_us);
}

void iso_publisher_load(const struct iso_publisher *pub, uint32_t slot, uint32_t *ret_in_flight,
			uint32_t *ret_connections)
{
	uint32_t in_flight = 0, connections = 0;

	for (uint32_t w = 0; w < pub->worker_count; w++) {
		in_flight += load32(&pub->workers[w]->cells[slot].in_flight);
		connections += load32(&pub->workers[w]->cells[slot].connections);
	}
	*ret_in_flight = in_flight;
	*ret_connections = connections;
}

static bool uplink_down(const struct iso_publisher *pub)
{
	const struct iso_outlier *outliers[ISO_REGION_SLOTS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		if (pub->slots[i].service != NULL)
			outliers[n++] = &pub->slots[i].stats.outlier;
	return iso_outlier_uplink_down(outliers, n, pub->loop->now_us);
}

static void judge_service(struct iso_publisher *pub, const struct iso_cfg_service *service)
{
	struct iso_region_stats *regions[ISO_SERVICE_REGIONS_MAX];
	struct iso_region_facts facts[ISO_SERVICE_REGIONS_MAX];
	uint32_t draws[ISO_SERVICE_REGIONS_MAX];
	struct iso_judge judge = {
		.now_us = pub->loop->now_us,
		.healthy_threshold = service->health.healthy_threshold,
		.uplink_down = pub->uplink_down,
		.by_latency = service->policy == ISO_POLICY_LATENCY,
		.draws = draws,
	};

	for (uint32_t r = 0; r < service->region_count; r++) {
		uint32_t slot = service->regions[r].slot;

		regions[r] = &pub->slots[slot].stats;
		draws[r] = (uint32_t)(iso_rng_next(&pub->loop->rng) >> 32);
		if (pub->slots[slot].stats.outlier.trial != 0 &&
		    iso_board_trial_taken(pub->stand, slot) == pub->slots[slot].stats.outlier.trial)
			judge.tried = (uint16_t)(judge.tried | 1u << r);
		if (pub->registry->slots[slot].drained)
			judge.drained = (uint16_t)(judge.drained | 1u << r);
	}
	for (uint32_t r = 0; r < service->region_count; r++) {
		struct iso_endpoint_judge each = { judge.now_us, judge.healthy_threshold, draws[r],
						   judge.uplink_down };

		uint32_t before_us = iso_estimate_usual_us(&regions[r]->estimate);

		iso_endpoint_stats_judge(&regions[r]->endpoints, &each, &regions[r]->estimate);
		iso_publisher_tracks_without(&pub->slots[service->regions[r].slot], before_us);
	}
	iso_service_judge(regions, service->region_count, &judge, facts);
	for (uint32_t r = 0; r < service->region_count; r++) {
		struct iso_publisher_slot *slot = &pub->slots[service->regions[r].slot];

		slot->facts = facts[r];
		if (slot->warned && slot->facts.state == ISO_REGION_HEALTHY)
			slot->facts.state = ISO_REGION_DEGRADED;
	}
}

/* Once a second is enough: looking it up costs something. */
void iso_publisher_hedge(const struct iso_window *window, enum iso_hedge after, uint64_t now_us,
			 uint64_t *at_us, uint32_t *us)
{
	struct iso_window_sums sums;

	if (after != ISO_HEDGE_P95 && after != ISO_HEDGE_P99) {
		*us = 0;
		return;
	}
	if (now_us < *at_us + HEDGE_EVERY_US)
		return;
	*at_us = now_us;
	iso_window_sum(window, now_us, &sums);
	*us = sums.good < HEDGE_LEAST ? 0 : after == ISO_HEDGE_P95 ? sums.p95_us : sums.p99_us;
}

/* Two intervals without a probe: they are capped, or the region does not get any. */
static bool is_unmeasured(const struct iso_publisher *pub, const struct iso_publisher_slot *slot)
{
	uint64_t last_us = slot->stats.probe.at_us;

	if (slot->stats.live_good_us > last_us)
		last_us = slot->stats.live_good_us;
	if (slot->bound_us > last_us)
		last_us = slot->bound_us;
	return slot->service != NULL && pub->loop->now_us > last_us + 2 * slot->service->health.interval_us;
}

static void fill_region(struct iso_publisher *pub, uint32_t i, struct iso_board_region *to)
{
	struct iso_publisher_slot *slot = &pub->slots[i];
	const struct iso_region_facts *facts = &slot->facts;

	to->state = facts->state;
	to->up = facts->up;
	to->drained = pub->registry->slots[i].drained;
	to->suspect = facts->suspect;
	to->unmeasured = is_unmeasured(pub, slot);
	to->weight = facts->weight;
	to->ramp = facts->ramp;
	to->estimate_us = facts->estimate_us;
	to->usual_us = facts->usual_us;
	if (slot->stats.learns)
		iso_throttle_step(&slot->stats.throttle, pub->loop->now_us);
	to->limit_milli = slot->stats.throttle.limit_milli;
	iso_publisher_hedge(&slot->stats.window, slot->service->hedge.after, pub->loop->now_us,
			    &slot->hedge_at_us, &slot->hedge_us);
	to->hedge_us = slot->hedge_us;
	to->normal_us = facts->normal_us;
	to->failed_us = slot->failed_us;
	to->trial = facts->trial;
	to->warned = slot->warned;
	to->broken = slot->broken;
	to->uneasy = slot->uneasy;
	to->affected = slot->affected;
	if (to->affected != NULL)
		to->affected->refs++;
	iso_endpoints_read(pub->endpoints, i, to);
	iso_endpoint_stats_bind(&slot->stats.endpoints, to);
	iso_endpoint_stats_fill(&slot->stats.endpoints, to);
	slot->board = *to;
	iso_publisher_look(pub, i);
}

static void publish(struct iso_publisher *pub)
{
	uint32_t track_count = iso_publisher_track_count(pub);
	struct iso_board *board = calloc(1, sizeof(*board) + track_count * sizeof(board->tracks[0]));

	/* Without memory the last board stands; the next run tries again. */
	if (board == NULL)
		return;
	board->uplink_down = pub->uplink_down;
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		const struct iso_publisher_slot *slot = &pub->slots[i];

		if (slot->service == NULL)
			continue;
		fill_region(pub, i, &board->regions[i]);
		board->half_open |= board->regions[i].trial != 0;
		board->unwell |= slot->warned || slot->broken != 0 || slot->uneasy != 0 ||
				 slot->affected != NULL;
	}
	board->track_count = track_count;
	iso_publisher_fill_tracks(pub, board);
	iso_board_publish(pub->stand, board);
}

static void tell_doubts(struct iso_publisher *pub)
{
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		struct iso_publisher_slot *slot = &pub->slots[i];
		bool doubted = slot->service != NULL && iso_region_stats_doubted(&slot->stats);
		bool newly = doubted && !slot->doubted;

		slot->doubted = doubted;
		if (newly && pub->hook.doubt != NULL)
			pub->hook.doubt(pub->hook.arg, i);
	}
}

void iso_publisher_run_now(struct iso_publisher *pub)
{
	if (pub->snapshot == NULL)
		return;
	drain_rings(pub);
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		if (pub->slots[i].service != NULL)
			read_cells(pub, i);
	pub->uplink_down = uplink_down(pub);
	for (uint32_t s = 0; s < pub->snapshot->service_count; s++)
		judge_service(pub, &pub->snapshot->services[s]);
	iso_publisher_judge_tracks(pub);
	publish(pub);
	iso_timer_set(&pub->loop->wheel, &pub->timer, pub->loop->now_us + PERIOD_US);
	tell_doubts(pub);
}

void iso_publisher_count_in(struct iso_publisher *pub, struct iso_metrics *metrics)
{
	pub->metrics = metrics;
}

void iso_publisher_probe(struct iso_publisher *pub, const struct iso_sample *sample, bool passed,
			 const char *words)
{
	struct iso_publisher_slot *slot;
	struct iso_probe_note note = {
		.at_us = sample->end_us,
		.connect_us = sample->connect_us,
		.tls_us = sample->tls_us,
		.ttfb_us = sample->ttfb_us,
		.status = sample->status,
		.passed = passed,
		.words = words,
	};

	if (sample->slot >= ISO_REGION_SLOTS || pub->slots[sample->slot].service == NULL)
		return;
	slot = &pub->slots[sample->slot];
	if (pub->metrics != NULL)
		iso_metrics_probe(pub->metrics, sample->slot,
				  !passed                                     ? ISO_PROBE_RESULT_FAIL
				  : slot->health.state != ISO_DEPENDENCY_PASS ? ISO_PROBE_RESULT_WARN
									      : ISO_PROBE_RESULT_PASS);
	note.dns_us = iso_endpoints_took_us(pub->endpoints, sample->slot);
	if (iso_endpoint_stats_probe(&slot->stats.endpoints,
				     iso_endpoint_stats_index(&slot->stats.endpoints, sample), sample, passed,
				     slot->service->health.unhealthy_threshold)) {
		slot->stats.probes_failed++;
		slot->stats.probe = note;
		/* It may be our own uplink all the same. */
		if (note.status != 0 || sample->outcome == ISO_OUTCOME_CONNECT)
			iso_outlier_reached(&slot->stats.outlier, note.status != 0, note.at_us);
		return; /* of one address of several: the next probe goes to another one */
	}
	iso_region_stats_probe(&slot->stats, &note, sample->start_us, (enum iso_outcome)sample->outcome,
			       &slot->service->health, pub->uplink_down);
	/* A fine probe of a fine region can wait for the next round. */
	if (!passed || slot->facts.state != ISO_REGION_HEALTHY)
		iso_publisher_run_now(pub);
}

void iso_publisher_probe_ignored(struct iso_publisher *pub, uint32_t slot)
{
	pub->slots[slot].stats.probes_ignored++;
	if (pub->metrics != NULL)
		iso_metrics_probe(pub->metrics, slot, ISO_PROBE_RESULT_IGNORED);
}

enum iso_slot_names iso_publisher_names(const struct iso_publisher *pub, uint32_t slot)
{
	if (pub->slots[slot].board.endpoint_count > 0)
		return ISO_SLOT_RESOLVED;
	return iso_endpoints_why(pub->endpoints, slot) != NULL ? ISO_SLOT_NAMELESS : ISO_SLOT_WAITS;
}

uint64_t iso_publisher_probe_wait_us(const struct iso_publisher *pub, uint32_t slot, uint64_t interval_us,
				     uint32_t draw)
{
	const struct iso_region_stats *stats = &pub->slots[slot].stats;
	bool live = stats->live_good_us != 0 && stats->live_good_us + interval_us > pub->loop->now_us;
	enum iso_probe_pace pace = iso_health_pace(&stats->health, iso_region_stats_doubted(stats), live);

	/* Those that are measured by themselves take every other turn. */
	if (iso_endpoint_stats_wants(&stats->endpoints) && pace != ISO_PROBE_FAST)
		return iso_health_next_probe_us(interval_us, ISO_PROBE_NORMAL, draw) / 2;
	return iso_health_next_probe_us(interval_us, pace, draw);
}

void iso_publisher_endpoint_probe(struct iso_publisher *pub, const struct iso_sample *sample, bool passed)
{
	struct iso_publisher_slot *slot;

	if (sample->slot >= ISO_REGION_SLOTS || pub->slots[sample->slot].service == NULL)
		return;
	slot = &pub->slots[sample->slot];
	if (pub->metrics != NULL)
		iso_metrics_probe(pub->metrics, sample->slot,
				  passed ? ISO_PROBE_RESULT_PASS : ISO_PROBE_RESULT_FAIL);
	(void)iso_endpoint_stats_probe(&slot->stats.endpoints,
				       iso_endpoint_stats_index(&slot->stats.endpoints, sample), sample,
				       passed, slot->service->health.unhealthy_threshold);
}

int iso_publisher_endpoint_wanting(struct iso_publisher *pub, uint32_t slot)
{
	return iso_endpoint_stats_wanting(&pub->slots[slot].stats.endpoints);
}

int iso_publisher_endpoint_sound(const struct iso_publisher *pub, uint32_t slot)
{
	return iso_endpoint_stats_sound(&pub->slots[slot].stats.endpoints);
}

uint64_t iso_publisher_patience_us(const struct iso_publisher *pub, uint32_t slot)
{
	const struct iso_estimate *estimate = &pub->slots[slot].stats.estimate;
	uint32_t usual_us = iso_estimate_usual_us(estimate);

	return iso_patience_us(usual_us > estimate->probes_us[0] ? usual_us : estimate->probes_us[0]);
}
