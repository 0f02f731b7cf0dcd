/*
 * A small world in virtual time for the simulations: regions with latencies, noise and faults, a stream of
 * requests, probes, and the monitor's own statistics and judgement between them. One worker, no retries: what
 * is tested is where the requests go. Steps of 1 ms. Everything follows from the seed.
 */
#ifndef SIM_MONITOR_WORLD_H
#define SIM_MONITOR_WORLD_H

#include <math.h>
#include <stdlib.h>

#include "iso/base/rng.h"
#include "iso/policy/balance.h"
#include "iso/policy/share.h"
#include "iso/policy/suspicion.h"
#include "region_stats_priv.h"

enum { WORLD_REGIONS = 4, WORLD_ROUTES = 2, WORLD_IN_FLIGHT = 8192 };
enum fault { FAULT_NONE, FAULT_HANG, FAULT_503, FAULT_429, FAULT_REFUSED };

static const uint64_t ms = 1000, second = 1000 * 1000;

struct place {
	double base_us;      /* response time */
	double noise;        /* standard deviation, as a part of it */
	double probe_factor; /* a probe takes as many times as long */
	enum fault fault;
	bool probes_blind;      /* the health check does not see the fault */
	double cold_us;         /* the next one takes so long, be it a request or a probe; 0: none does */
	uint32_t max_in_flight; /* 0: no limit */
	uint32_t refused;       /* requests that it has answered with its fault */
	uint32_t fault_route;   /* the only route that has the fault; 0: all */
	double work_us[1 + WORLD_ROUTES]; /* what a request of the route takes beside base_us */
};

struct flight {
	uint64_t start_us, due_us; /* UINT64_MAX: hangs */
	uint32_t region, route;    /* route: from 1; 0: it is not measured by itself */
	bool probe;
};

struct world {
	struct place places[WORLD_REGIONS];
	struct iso_region_stats *stats[WORLD_REGIONS];
	struct iso_region_facts facts[WORLD_REGIONS];
	struct iso_cfg_health health;
	uint32_t n;
	uint64_t now_us, begin_us, judged_us;
	double rate, arrival_us; /* requests a second; when the next one comes */
	struct iso_rng rng;
	struct flight *flights;
	uint32_t flight_count;
	uint64_t next_probe_us[WORLD_REGIONS];
	bool probing[WORLD_REGIONS], doubted[WORLD_REGIONS];
	uint64_t progress_us[WORLD_REGIONS];
	uint64_t suspect_us[WORLD_REGIONS]; /* the worker's own suspicion */
	uint32_t in_flight[WORLD_REGIONS];  /* requests */
	uint32_t trials[WORLD_REGIONS];     /* the last trial that was taken */
	uint64_t picks[WORLD_REGIONS], picked;
	double latency_sum_us;
	uint64_t answers;
	/* Routes that are measured by themselves, the requests of which come in turns; 0: there is none. */
	uint32_t routes;
	struct iso_track_stats *tracks[WORLD_REGIONS][ISO_TRACK_SLOTS];
	struct iso_board_lane lanes[1 + WORLD_ROUTES][WORLD_REGIONS];
	uint64_t route_picks[1 + WORLD_ROUTES][WORLD_REGIONS];
};

static inline double uniform(struct iso_rng *rng)
{
	return ((double)(iso_rng_next(rng) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double gauss(struct iso_rng *rng)
{
	return sqrt(-2 * log(uniform(rng))) * cos(2 * 3.14159265358979 * uniform(rng));
}

static inline void world_init(struct world *w, uint32_t n, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->n = n;
	w->now_us = w->begin_us = 1000 * second;
	w->arrival_us = (double)w->now_us;
	w->flights = calloc(WORLD_IN_FLIGHT, sizeof(*w->flights));
	w->health = (struct iso_cfg_health){ .interval_us = 10 * second,
					     .timeout_us = 2 * second,
					     .healthy_threshold = 2,
					     .unhealthy_threshold = 3 };
	iso_rng_seed(&w->rng, seed);
	for (uint32_t i = 0; i < n; i++) {
		w->stats[i] = calloc(1, sizeof(*w->stats[i]));
		if (w->stats[i] == NULL || w->flights == NULL)
			abort();
		iso_region_stats_init(w->stats[i]);
		w->places[i] = (struct place){ .base_us = 50e3, .probe_factor = 1 };
		w->next_probe_us[i] = w->now_us;
	}
}

/* From now on its requests are those of as many routes. */
static inline void world_measure(struct world *w, uint32_t routes)
{
	w->routes = routes;
	for (uint32_t i = 0; i < w->n; i++) {
		w->stats[i]->tracks = w->tracks[i];
		for (uint32_t k = 0; k < routes; k++) {
			w->tracks[i][k] = malloc(sizeof(*w->tracks[i][k]));
			if (w->tracks[i][k] == NULL)
				abort();
			iso_track_stats_init(w->tracks[i][k], w->now_us);
		}
	}
}

static inline void world_done(struct world *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		for (uint32_t k = 0; k < w->routes; k++)
			free(w->tracks[i][k]);
		free(w->stats[i]);
	}
	free(w->flights);
}

static inline void world_judge_routes(struct world *w)
{
	for (uint32_t k = 1; k <= w->routes; k++) {
		struct iso_track_stats *tracks[WORLD_REGIONS];

		for (uint32_t i = 0; i < w->n; i++)
			tracks[i] = w->tracks[i][k - 1];
		iso_track_judge(tracks, w->stats, w->facts, w->n, w->now_us, w->lanes[k]);
	}
}

/* A request that waits, as a worker's cell has it. */
static inline void world_wait(const struct world *w, const struct flight *f, struct iso_cell_view *cell)
{
	uint64_t since_us = f->start_us > cell->progress_us ? f->start_us : cell->progress_us;

	cell->waiting++;
	if (f->route == 0 && (cell->oldest_us == 0 || f->start_us < cell->oldest_us))
		cell->oldest_us = f->start_us;
	else if (f->route != 0 &&
		 w->now_us > since_us + iso_patience_us(w->lanes[f->route][f->region].usual_us))
		cell->overdue_us = since_us;
}

static inline void world_judge(struct world *w)
{
	uint32_t draws[WORLD_REGIONS];
	struct iso_judge judge = { .now_us = w->now_us,
				   .healthy_threshold = w->health.healthy_threshold,
				   .by_latency = true,
				   .draws = draws };
	const struct iso_outlier *outliers[WORLD_REGIONS];

	for (uint32_t i = 0; i < w->n; i++)
		if (w->trials[i] != 0 && w->trials[i] == w->stats[i]->outlier.trial)
			judge.tried = (uint16_t)(judge.tried | 1u << i);
	for (uint32_t i = 0; i < w->n; i++) {
		struct iso_cell_view cell = { .progress_us = w->progress_us[i] };

		draws[i] = (uint32_t)(iso_rng_next(&w->rng) >> 32);
		outliers[i] = &w->stats[i]->outlier;
		for (uint32_t f = 0; f < w->flight_count; f++)
			if (w->flights[f].region == i)
				world_wait(w, &w->flights[f], &cell);
		iso_region_stats_cells(w->stats[i], &cell, 1, w->now_us);
	}
	judge.uplink_down = iso_outlier_uplink_down(outliers, w->n, w->now_us);
	iso_service_judge(w->stats, w->n, &judge, w->facts);
	world_judge_routes(w);
	for (uint32_t i = 0; i < w->n; i++) { /* newly in doubt: asked at once */
		bool doubted = iso_region_stats_doubted(w->stats[i]);

		if (doubted && !w->doubted[i] && !w->probing[i])
			w->next_probe_us[i] = w->now_us;
		w->doubted[i] = doubted;
	}
	w->judged_us = w->now_us;
}

static inline void world_view(struct world *w, struct iso_view *v)
{
	memset(v, 0, sizeof(*v));
	v->n = w->n;
	v->allowed = (uint16_t)((1u << w->n) - 1);
	for (uint32_t i = 0; i < w->n; i++) {
		v->c[i] = (struct iso_candidate){ w->facts[i].weight, 100, w->facts[i].ramp, i };
		if (w->facts[i].up)
			v->up |= (uint16_t)(1u << i);
		if (w->suspect_us[i] != 0 && w->facts[i].normal_us > w->suspect_us[i])
			w->suspect_us[i] = 0;
		if (w->facts[i].suspect || w->suspect_us[i] != 0)
			v->suspect |= (uint16_t)(1u << i);
		if (w->places[i].max_in_flight != 0 && w->in_flight[i] >= w->places[i].max_in_flight)
			v->full |= (uint16_t)(1u << i);
	}
}

/* As a request of that route sees it. */
static inline void world_view_of(struct world *w, uint32_t route, struct iso_view *v)
{
	world_view(w, v);
	for (uint32_t i = 0; route != 0 && i < w->n; i++) {
		v->c[i].weight = w->lanes[route][i].weight;
		if (iso_track_stats_unmeasured(w->tracks[i][route - 1], w->health.interval_us, w->now_us))
			v->explore |= (uint16_t)(1u << i);
	}
}

static inline double world_share_of(struct world *w, uint32_t route, uint32_t region)
{
	uint32_t shares[ISO_VIEW_MAX];
	struct iso_view v;

	world_view_of(w, route, &v);
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	return (double)shares[region] / ISO_WEIGHT_ONE;
}

static inline double world_share(struct world *w, uint32_t region)
{
	return world_share_of(w, 0, region);
}

static inline void world_launch(struct world *w, uint32_t region, uint32_t route, bool probe)
{
	struct place *p = &w->places[region];
	double us = (p->base_us + p->work_us[route]) * (1 + p->noise * gauss(&w->rng)) *
		    (probe ? p->probe_factor : 1);
	struct flight *f;

	if (p->cold_us > 0)
		us = p->cold_us;
	p->cold_us = 0;
	if (w->flight_count == WORLD_IN_FLIGHT)
		abort();
	f = &w->flights[w->flight_count++];
	*f = (struct flight){ w->now_us, w->now_us + (uint64_t)(us > 1000 ? us : 1000), region, route,
			      probe };
	w->in_flight[region] += !probe;
	if ((probe && p->probes_blind) || (p->fault_route != 0 && p->fault_route != route))
		return;
	if (p->fault == FAULT_503 || p->fault == FAULT_429 || p->fault == FAULT_REFUSED)
		f->due_us = w->now_us + 2 * ms;
	else if (p->fault == FAULT_HANG)
		f->due_us = UINT64_MAX;
}

static inline void world_land_probe(struct world *w, const struct flight *f, bool timed_out)
{
	struct iso_region_stats *rs = w->stats[f->region];
	enum fault fault = w->places[f->region].probes_blind ? FAULT_NONE : w->places[f->region].fault;
	bool passed = (fault == FAULT_NONE || fault == FAULT_429) && !timed_out;
	struct iso_probe_note note = { .at_us = w->now_us,
				       .passed = passed,
				       .words = passed ? NULL : "failed",
				       .ttfb_us = (uint32_t)(w->now_us - f->start_us),
				       .status = (uint16_t)(passed               ? 200
							    : fault == FAULT_503 ? 503
										 : 0) };
	enum iso_outcome outcome = passed               ? ISO_OUTCOME_OK
				   : timed_out          ? ISO_OUTCOME_TIMEOUT
				   : fault == FAULT_503 ? ISO_OUTCOME_STATUS
							: ISO_OUTCOME_CONNECT;
	bool live;

	iso_region_stats_probe(rs, &note, f->start_us, outcome, &w->health, false);
	w->probing[f->region] = false;
	live = rs->live_good_us != 0 && rs->live_good_us + w->health.interval_us > w->now_us;
	w->next_probe_us[f->region] =
		w->now_us +
		iso_health_next_probe_us(w->health.interval_us,
					 iso_health_pace(&rs->health, iso_region_stats_doubted(rs), live),
					 (uint32_t)(iso_rng_next(&w->rng) >> 32));
}

static inline void world_land(struct world *w, const struct flight *f, bool timed_out)
{
	uint32_t of_route = w->places[f->region].fault_route;
	enum fault fault = of_route == 0 || of_route == f->route ? w->places[f->region].fault : FAULT_NONE;
	uint32_t took_us = (uint32_t)(w->now_us - f->start_us);
	struct iso_sample s = { .start_us = f->start_us,
				.end_us = w->now_us,
				.slot = (uint16_t)f->region,
				.track = (uint8_t)f->route };

	if (!timed_out && fault != FAULT_REFUSED)
		w->progress_us[f->region] = w->now_us;
	if (f->probe) {
		world_land_probe(w, f, timed_out);
		return;
	}
	w->in_flight[f->region]--;
	w->latency_sum_us += took_us;
	w->answers++;
	if (timed_out) {
		s.outcome = ISO_OUTCOME_TIMEOUT;
		s.fault = ISO_FAULT_REGION;
	} else if (fault == FAULT_REFUSED) {
		s.outcome = ISO_OUTCOME_CONNECT;
		s.fault = ISO_FAULT_REGION;
	} else if (fault == FAULT_503) {
		s.outcome = ISO_OUTCOME_STATUS;
		s.fault = ISO_FAULT_REGION;
		s.status = 503;
		s.ttfb_us = took_us;
	} else if (fault == FAULT_429) {
		s.outcome = ISO_OUTCOME_STATUS;
		s.fault = ISO_FAULT_THROTTLE;
		s.status = 429;
		s.ttfb_us = took_us;
	} else {
		s.outcome = ISO_OUTCOME_OK;
		s.status = 200;
		s.ttfb_us = took_us;
	}
	w->places[f->region].refused += s.fault != ISO_FAULT_NONE;
	iso_region_stats_sample(w->stats[f->region], &s);
	if (s.fault == ISO_FAULT_REGION)
		world_judge(w); /* urgent */
}

/* The worker's own suspicion, as upstream/ has it. */
static inline void world_suspect(struct world *w, const struct flight *f)
{
	uint32_t r = f->region;
	uint32_t usual_us = f->route != 0 ? w->lanes[f->route][r].usual_us : w->facts[r].usual_us;

	if (w->suspect_us[r] == 0 &&
	    iso_silence_us(w->now_us, f->start_us, w->progress_us[r], 1) > iso_patience_us(usual_us)) {
		w->suspect_us[r] = w->now_us;
		world_judge(w);
		if (!w->probing[r])
			w->next_probe_us[r] = w->now_us;
	}
}

static inline void world_request(struct world *w)
{
	uint32_t route = w->routes != 0 ? 1 + (uint32_t)(w->picked % w->routes) : 0;
	struct iso_view v;
	struct iso_pick pick;

	world_view_of(w, route, &v);
	for (uint32_t i = 0; i < w->n && v.trial == 0; i++) {
		if (w->facts[i].trial == 0 || w->facts[i].trial == w->trials[i])
			continue;
		w->trials[i] = w->facts[i].trial;
		v.trial = (uint16_t)(1u << i);
	}
	iso_balance_pick(ISO_POLICY_LATENCY, &v, (uint32_t)(iso_rng_next(&w->rng) >> 32), &pick);
	w->picks[pick.index]++;
	w->picked++;
	w->route_picks[route][pick.index]++;
	world_launch(w, pick.index, route, false);
}

/* Those that land are worked off when the others are in place again: landing may judge. */
static inline void world_landings(struct world *w)
{
	struct flight landed[256];
	uint32_t kept = 0, n = 0;

	for (uint32_t i = 0; i < w->flight_count; i++) {
		struct flight *f = &w->flights[i];
		uint64_t limit_us = f->start_us + (f->probe ? w->health.timeout_us : 10 * second);

		if ((f->due_us > w->now_us && limit_us > w->now_us) || n == 256)
			w->flights[kept++] = *f;
		else
			landed[n++] = *f;
	}
	w->flight_count = kept;
	for (uint32_t i = 0; i < n; i++)
		world_land(w, &landed[i], landed[i].due_us > w->now_us);
	for (uint32_t i = 0; i < w->flight_count; i++)
		world_suspect(w, &w->flights[i]);
}

static inline void world_step(struct world *w)
{
	w->now_us += ms;
	world_landings(w);
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->probing[i] || w->now_us < w->next_probe_us[i])
			continue;
		w->probing[i] = true;
		world_launch(w, i, 0, true);
	}
	if (w->now_us >= w->judged_us + 100 * ms)
		world_judge(w);
	while (w->rate > 0 && w->arrival_us <= (double)w->now_us) {
		world_request(w);
		/* Poisson */
		w->arrival_us += -log(uniform(&w->rng)) * 1e6 / w->rate;
	}
	if (w->rate <= 0)
		w->arrival_us = (double)w->now_us;
}

static inline void world_run(struct world *w, uint64_t us)
{
	uint64_t end_us = w->now_us + us;

	while (w->now_us < end_us)
		world_step(w);
}

static inline void world_count_anew(struct world *w)
{
	memset(w->picks, 0, sizeof(w->picks));
	memset(w->route_picks, 0, sizeof(w->route_picks));
	w->picked = w->answers = 0;
	w->latency_sum_us = 0;
}

/* The part of the requests since the last count that went to a region. */
static inline double world_part(const struct world *w, uint32_t region)
{
	return w->picked != 0 ? (double)w->picks[region] / (double)w->picked : 0;
}

/* The same of one route's. */
static inline double world_part_of(const struct world *w, uint32_t route, uint32_t region)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < w->n; i++)
		sum += w->route_picks[route][i];
	return sum != 0 ? (double)w->route_picks[route][region] / (double)sum : 0;
}

#endif
