/*
 * The property that keeps a failing region from winning: an added failure never raises its share (PRODUCT.md
 * section 4), nor that of the route which failed there. Two copies of a service live through the same random
 * events; one gets a failure more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/policy/balance.h"
#include "iso/policy/share.h"
#include "region_stats_priv.h"

enum { SEEDS = 1000, EVENTS = 120, REGIONS = 3, ROUTES = 2 };

struct copy {
	struct iso_region_stats *regions[REGIONS];
	struct iso_region_facts facts[REGIONS];
	struct iso_track_stats *tracks[REGIONS][ISO_TRACK_SLOTS];
	struct iso_board_lane lanes[ROUTES][REGIONS];
};

static const struct iso_cfg_health health = { .healthy_threshold = 2, .unhealthy_threshold = 3 };

static void copy_init(struct copy *c)
{
	for (int i = 0; i < REGIONS; i++) {
		c->regions[i] = calloc(1, sizeof(*c->regions[i]));
		assert_non_null(c->regions[i]);
		iso_region_stats_init(c->regions[i]);
		c->regions[i]->tracks = c->tracks[i];
		for (int k = 0; k < ROUTES; k++) {
			c->tracks[i][k] = malloc(sizeof(*c->tracks[i][k]));
			assert_non_null(c->tracks[i][k]);
			iso_track_stats_init(c->tracks[i][k], 100000000);
		}
	}
}

static void copy_done(struct copy *c)
{
	for (int i = 0; i < REGIONS; i++) {
		for (int k = 0; k < ROUTES; k++)
			free(c->tracks[i][k]);
		free(c->regions[i]);
	}
}

static void judge(struct copy *c, uint64_t now_us)
{
	static const uint32_t draws[REGIONS] = { 1u << 31, 1u << 31, 1u << 31 };
	struct iso_judge judge = { .now_us = now_us, .healthy_threshold = 2, .draws = draws };

	iso_service_judge(c->regions, REGIONS, &judge, c->facts);
	for (uint32_t k = 0; k < ROUTES; k++) {
		struct iso_track_stats *tracks[REGIONS];

		for (uint32_t i = 0; i < REGIONS; i++)
			tracks[i] = c->tracks[i][k];
		iso_track_judge(tracks, c->regions, c->facts, REGIONS, now_us, c->lanes[k]);
	}
}

/* The region's, of the requests of a route (from 1), or of all others (0). */
static uint32_t share(const struct copy *c, uint32_t route, uint32_t region)
{
	uint32_t shares[ISO_VIEW_MAX];
	struct iso_view v = { .n = REGIONS, .allowed = (1 << REGIONS) - 1 };

	for (uint32_t i = 0; i < REGIONS; i++) {
		v.c[i].weight = route != 0 ? c->lanes[route - 1][i].weight : c->facts[i].weight;
		if (c->facts[i].up)
			v.up |= (uint16_t)(1u << i);
		if (c->facts[i].suspect)
			v.suspect |= (uint16_t)(1u << i);
	}
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	return shares[region];
}

static struct iso_sample failure(struct iso_rng *rng, uint32_t region, uint64_t now_us)
{
	static const enum iso_outcome outcomes[] = { ISO_OUTCOME_STATUS,  ISO_OUTCOME_CONNECT,
						     ISO_OUTCOME_TLS,     ISO_OUTCOME_RESET,
						     ISO_OUTCOME_TIMEOUT, ISO_OUTCOME_PROTOCOL };
	uint64_t age_us = 500 + iso_rng_below(rng, 3000000);
	struct iso_sample s = { .start_us = now_us - age_us, .end_us = now_us, .slot = (uint16_t)region };

	s.outcome = (uint8_t)outcomes[iso_rng_below(rng, 6)];
	s.fault = ISO_FAULT_REGION;
	if (s.outcome == ISO_OUTCOME_STATUS) {
		s.status = 503;
		s.ttfb_us = 1 + iso_rng_below(rng, 5000);
		if (iso_rng_below(rng, 4) == 0)
			s.fault = ISO_FAULT_THROTTLE;
		s.retry_after_us = iso_rng_below(rng, 2) * 5000000;
	}
	return s;
}

static void feed(struct copy *c, const struct iso_sample *s)
{
	iso_region_stats_sample(c->regions[s->slot], s);
}

/* A random event, the same for both. */
static void event(struct copy *a, struct copy *b, struct iso_rng *rng, uint64_t now_us)
{
	uint32_t region = iso_rng_below(rng, REGIONS), kind = iso_rng_below(rng, 20);
	uint32_t us = (uint32_t)(20000 + region * 15000 + iso_rng_below(rng, 40000)) * (kind == 5 ? 8 : 1);
	struct iso_sample s = { .start_us = now_us - us,
				.end_us = now_us,
				.slot = (uint16_t)region,
				.outcome = ISO_OUTCOME_OK,
				.status = 200,
				.ttfb_us = us,
				.track = (uint8_t)iso_rng_below(rng, 1 + ROUTES) };
	struct iso_probe_note note = { .at_us = now_us, .ttfb_us = us, .status = 200, .passed = true };

	switch (kind) {
	case 0:
	case 1:
		iso_region_stats_probe(a->regions[region], &note, s.start_us, ISO_OUTCOME_OK, &health, false);
		iso_region_stats_probe(b->regions[region], &note, s.start_us, ISO_OUTCOME_OK, &health, false);
		return;
	case 2: {
		uint8_t track = s.track;

		s = failure(rng, region, now_us);
		s.track = track;
		break;
	}
	case 3: /* the client's fault, fast */
		s.status = 403;
		s.fault = ISO_FAULT_CLIENT;
		s.ttfb_us = 300;
		break;
	case 4:
		s.outcome = ISO_OUTCOME_CANCELLED;
		s.status = 0;
		s.ttfb_us = 0;
		break;
	default:
		break;
	}
	feed(a, &s);
	feed(b, &s);
}

/*
 * The copy without the failure has never been out: when the other one is ejected and comes back, it may not
 * be better off. An absence of its own begins and ends at other times than the other one's.
 */
static bool comparable(const struct copy *a)
{
	for (int i = 0; i < REGIONS; i++)
		if (a->regions[i]->out || a->regions[i]->back_us != 0)
			return false;
	return true;
}

/* The others of both copies are in: a share is theirs and its own. */
static bool same_others(const struct copy *b, uint32_t region)
{
	for (uint32_t i = 0; i < REGIONS; i++)
		if (i != region && (b->regions[i]->out || b->regions[i]->back_us != 0))
			return false;
	return true;
}

static void test_a_failure_never_raises_a_share(void **state)
{
	uint32_t compared = 0, lowered = 0, returned = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct copy a = { 0 }, b = { 0 };
		struct iso_rng rng;
		uint64_t now_us = 100000000;
		uint32_t at, region, route;

		iso_rng_seed(&rng, seed);
		copy_init(&a);
		copy_init(&b);
		at = iso_rng_below(&rng, EVENTS);
		region = iso_rng_below(&rng, REGIONS);
		route = iso_rng_below(&rng, 1 + ROUTES);
		for (uint32_t i = 0; i < EVENTS; i++) {
			uint32_t with, without;

			now_us += iso_rng_below(&rng, i % 30 == 29 ? 4000000 : 60000);
			event(&a, &b, &rng, now_us);
			if (i == at) {
				struct iso_sample s = failure(&rng, region, now_us);

				s.track = (uint8_t)route;
				feed(&b, &s);
			}
			judge(&a, now_us);
			judge(&b, now_us);
			without = share(&a, route, region);
			with = share(&b, route, region);
			if (i < at)
				assert_int_equal(with, without);
			/* Whoever was out, and when: no failure makes a region look faster. */
			assert_true(iso_estimate_us(&b.regions[region]->estimate) >=
				    iso_estimate_us(&a.regions[region]->estimate));
			for (uint32_t k = 0; k < ROUTES; k++)
				assert_true(iso_estimate_us(&b.tracks[region][k]->estimate) >=
					    iso_estimate_us(&a.tracks[region][k]->estimate));
			if ((i == at && !a.regions[region]->out) ||
			    (i > at && comparable(&a) && same_others(&b, region))) {
				returned += b.regions[region]->back_us != 0;
				/* A share is rounded: the last bits may differ. */
				assert_true(with <= without + 2);
				compared++;
				lowered += with < without;
			}
		}
		copy_done(&a);
		copy_done(&b);
	}
	assert_true(compared > SEEDS * 5);
	assert_true(lowered > compared / 4);
	assert_true(returned > 100);
	print_message("%u comparisons, lower in %u, after a return in %u\n", compared, lowered, returned);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failure_never_raises_a_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
