/*
 * The learnt limit against regions with token buckets: two of 500 requests a second each, as API Gateway's
 * throttle is (bucket of a rate and a burst).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/policy/throttle.h"

enum { REGIONS = 2, STEP_US = 100000 };

static const uint64_t second = 1000000;

struct region {
	struct iso_throttle throttle;
	struct iso_throttle_gate gate;
	double rate, burst, level;
	uint64_t filled_us, good, refused;
};

struct world {
	struct region r[REGIONS];
	struct iso_rng rng;
	uint32_t keys;     /* requests come with one of so many API keys; 0: with none */
	uint64_t quota_us; /* when the client whose own quota is used up asks region 0 next; 0: there is none
			    */
	uint64_t now_us, stepped_us, spilled, told;
};

enum { QUOTA_KEY = 77, QUOTA_EVERY_US = 20000 };

static void make(struct world *w, uint64_t seed, double rate, double burst)
{
	memset(w, 0, sizeof(*w));
	iso_rng_seed(&w->rng, seed);
	w->now_us = w->stepped_us = 100 * second;
	for (int i = 0; i < REGIONS; i++)
		w->r[i] = (struct region){
			.rate = rate, .burst = burst, .level = burst, .filled_us = w->now_us
		};
}

static bool closed(const struct world *w, int i)
{
	const struct region *r = &w->r[i];

	return r->throttle.limit_milli != 0 &&
	       iso_throttle_gate_closed(&r->gate, r->throttle.limit_milli, w->now_us);
}

/* What came of a request: it was answered, refused by the region's throttle, or by the client's own quota as
 * it seems, which is told to the client. */
enum end { GOOD, THROTTLED, TOLD };

static enum end refused(struct world *w, int i, uint32_t key)
{
	struct region *r = &w->r[i];

	(void)iso_throttle_refused(&r->throttle, key, w->now_us);
	return iso_throttle_gate_refused(&r->gate, key, w->now_us) ? THROTTLED : TOLD;
}

static enum end send(struct world *w, int i, uint32_t key)
{
	struct region *r = &w->r[i];

	if (r->throttle.limit_milli != 0)
		iso_throttle_gate_pass(&r->gate, r->throttle.limit_milli, w->now_us);
	r->level += r->rate * (double)(w->now_us - r->filled_us) / 1e6;
	r->filled_us = w->now_us;
	if (r->level > r->burst)
		r->level = r->burst;
	if (r->level < 1) {
		r->refused++;
		return refused(w, i, key);
	}
	r->level -= 1;
	r->good++;
	iso_throttle_passed(&r->throttle, w->now_us);
	return GOOD;
}

static void run_quota(struct world *w)
{
	while (w->quota_us != 0 && w->quota_us <= w->now_us) {
		w->quota_us += QUOTA_EVERY_US;
		if (refused(w, 0, QUOTA_KEY) == TOLD)
			w->told++;
	}
}

/* Poisson arrivals; half of the requests prefer each region, and a 429 is tried elsewhere unless it is full
 * too. */
static void run(struct world *w, double per_second, uint64_t for_us)
{
	uint64_t until = w->now_us + for_us;

	while (w->now_us < until) {
		double u = ((double)(iso_rng_next(&w->rng) >> 11) + 1) / 9007199254740993.0;
		int first = (int)(iso_rng_next(&w->rng) & 1), other = 1 - first;
		uint32_t key = w->keys != 0 ? 1000 + iso_rng_below(&w->rng, w->keys) : 0;
		enum end end;

		w->now_us += (uint64_t)(-__builtin_log(u) / per_second * 1e6);
		while (w->stepped_us + STEP_US <= w->now_us) {
			w->stepped_us += STEP_US;
			for (int i = 0; i < REGIONS; i++)
				iso_throttle_step(&w->r[i].throttle, w->stepped_us);
		}
		if (closed(w, first) && !closed(w, other)) {
			w->spilled++;
			first = other;
			other = 1 - first;
		}
		run_quota(w);
		end = send(w, first, key);
		if (end == THROTTLED && !closed(w, other))
			end = send(w, other, key);
		w->told += end == TOLD;
	}
}

static void clear(struct world *w)
{
	for (int i = 0; i < REGIONS; i++)
		w->r[i].good = w->r[i].refused = 0;
	w->spilled = w->told = 0;
}

static void test_below_the_limits(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct world w;
		uint64_t good, refused;

		make(&w, seed, 500, 50);
		run(&w, 800, 3 * second);
		clear(&w);
		run(&w, 800, 20 * second);
		good = w.r[0].good + w.r[1].good;
		refused = w.r[0].refused + w.r[1].refused;
		assert_true(good >= 790 * 20 - 300); /* of what came, whose number is random */
		assert_true(refused * 50 < good);
	}
}

static void test_above_the_limits(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct world w;
		uint64_t good, sent;

		make(&w, seed, 500, 50);
		run(&w, 1300, 3 * second);
		clear(&w);
		run(&w, 1300, 20 * second);
		good = w.r[0].good + w.r[1].good;
		sent = good + w.r[0].refused + w.r[1].refused;
		assert_true(good >= 950 * 20);
		assert_true(sent <= 1300 * 20 * 105 / 100); /* no storm */
	}
}

/* One region of 200 beside one that takes everything: only the excess spills, and it stays near its limit. */
static void test_only_the_excess_spills(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct world w;

		make(&w, seed, 200, 20);
		w.r[1].rate = w.r[1].burst = 1e9;
		run(&w, 600, 5 * second);
		clear(&w);
		run(&w, 600, 20 * second);
		assert_in_range(w.r[0].good, 180 * 20, 205 * 20);
		assert_true(w.r[0].refused * 50 < w.r[0].good);
	}
}

/* The limit rises to ten times: found out within half a minute. */
static void test_a_limit_that_rises_is_found(void **state)
{
	struct world w;

	(void)state;
	make(&w, 7, 50, 5);
	w.r[1].rate = w.r[1].burst = 1e9;
	run(&w, 1000, 10 * second);
	clear(&w);
	run(&w, 1000, 10 * second);
	assert_in_range(w.r[0].good, 450, 550);
	w.r[0].rate = w.r[0].burst = 500;
	run(&w, 1000, 30 * second);
	clear(&w);
	run(&w, 1000, 10 * second);
	assert_in_range(w.r[0].good, 4500, 5200);
}

static void test_a_limit_is_forgotten(void **state)
{
	struct world w;

	(void)state;
	make(&w, 3, 50, 5);
	run(&w, 500, 5 * second);
	assert_true(w.r[0].throttle.limit_milli != 0);
	w.r[0].rate = w.r[1].rate = 1e9;
	run(&w, 2, 62 * second);
	assert_int_equal(w.r[0].throttle.limit_milli, 0);
}

/* Retry-After: what exceeds the limit stays away for so long, and what does not goes on. */
static void test_retry_after_holds_the_limit(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;
		uint64_t limit;

		make(&w, seed, 200, 20);
		w.r[1].rate = w.r[1].burst = 1e9;
		run(&w, 600, 5 * second);
		iso_throttle_asked(&w.r[0].throttle, 20 * second, w.now_us);
		limit = w.r[0].throttle.limit_milli;
		w.r[0].rate = w.r[0].burst = 1e9;
		clear(&w);
		run(&w, 600, 19 * second);
		assert_true(w.r[0].throttle.limit_milli <= limit);
		assert_true(w.r[0].good >= limit * 19 / 1000 * 9 / 10);
		run(&w, 600, 3 * second);
		assert_in_range(w.r[0].throttle.limit_milli, limit + 1, limit * 125 / 100);
		/* Not for longer than a limit is kept that nobody confirms. */
		iso_throttle_asked(&w.r[0].throttle, 300 * second, w.now_us);
		assert_int_equal(w.r[0].throttle.asked_us, w.now_us + 60 * second);
		iso_throttle_asked(&w.r[0].throttle, 0, w.now_us + second); /* another one asks for nothing */
		assert_int_equal(w.r[0].throttle.asked_us, w.now_us + 60 * second);
	}
}

static void test_one_clients_quota_is_not_the_regions(void **state)
{
	struct iso_throttle t;
	uint64_t now = 100 * second;

	(void)state;
	iso_throttle_init(&t);
	for (int i = 0; i < 100; i++)
		assert_false(iso_throttle_refused(&t, 77, now += 1000));
	iso_throttle_step(&t, now);
	assert_int_equal(t.limit_milli, 0);
	assert_false(iso_throttle_refused(&t, 78, now + 2 * second)); /* too long apart */
	assert_true(iso_throttle_refused(&t, 77, now + 2 * second + 500000));
	iso_throttle_init(&t);
	assert_true(iso_throttle_refused(&t, 0, now));           /* no key: nobody's quota */
	assert_true(iso_throttle_refused(&t, 77, now + 500000)); /* the second client that sees it */
	assert_false(iso_throttle_refused(&t, 77, now + 600000));
}

/* The workers go by the same rule. */
static void test_the_gate_knows_a_quota(void **state)
{
	struct iso_throttle_gate gate = { 0 };
	uint64_t now = 100 * second;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_false(iso_throttle_gate_refused(&gate, 77, now += 1000));
	assert_true(iso_throttle_gate_refused(&gate, 78, now + second - 2000));
	assert_true(iso_throttle_gate_refused(&gate, UINT32_MAX, now + second));
	assert_false(iso_throttle_gate_refused(&gate, 77, now + 2 * second)); /* too long apart */
	assert_true(iso_throttle_gate_refused(&gate, 0, now + 4 * second));
	assert_true(iso_throttle_gate_refused(&gate, 77, now + 4 * second + 1000));
	now = (UINT64_C(1) << 32) * 1000; /* where the count of milliseconds begins anew */
	assert_false(iso_throttle_gate_refused(&gate, 77, now - 1000));
	assert_true(iso_throttle_gate_refused(&gate, 78, now + 1000));
}

/* The same with API keys, whose clients are told of a limit only until another one is refused as well. */
static void test_limits_with_keys(void **state)
{
	static const uint32_t keys[] = { 3, 1000 };

	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct world w;
		uint64_t good;

		make(&w, seed, 500, 50);
		w.keys = keys[seed % 2];
		run(&w, 1300, 3 * second);
		clear(&w);
		run(&w, 1300, 20 * second);
		good = w.r[0].good + w.r[1].good;
		assert_true(good >= 950 * 20);
		for (int i = 0; i < REGIONS; i++)
			assert_in_range(w.r[i].throttle.limit_milli, 400000, 625000);
		make(&w, seed, 500, 50);
		w.keys = keys[seed % 2];
		run(&w, 800, 3 * second);
		clear(&w);
		run(&w, 800, 20 * second);
		assert_true(w.told * 50 < w.r[0].good + w.r[1].good);
	}
}

/* Nor is it where a limit is known already: that stays, is not lowered by one client, and is forgotten. */
static void test_one_clients_quota_beside_a_limit(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;
		uint64_t limit;

		make(&w, seed, 500, 50);
		w.keys = 1000;
		run(&w, 1300, 5 * second);
		run(&w, 300, 2 * second);
		limit = w.r[0].throttle.limit_milli;
		assert_true(limit >= 400000);
		clear(&w);
		w.quota_us = w.now_us;
		run(&w, 300, 15 * second);
		assert_true(w.r[0].throttle.limit_milli >= limit);
		assert_in_range(w.told, 749, 751); /* none of them went elsewhere */
		run(&w, 300, 50 * second);
		assert_int_equal(w.r[0].throttle.limit_milli, 0);
		/* And the region's own throttle is learnt beside it. */
		run(&w, 1300, 5 * second);
		clear(&w);
		run(&w, 1300, 20 * second);
		assert_true(w.r[0].good >= 430 * 20);
		assert_true(w.r[1].good >= 475 * 20);
	}
}

/* A region that refuses everything still gets its one request a second, by which its end is seen. */
static void test_the_floor(void **state)
{
	struct world w;

	(void)state;
	make(&w, 5, 0, 0);
	w.r[1].rate = w.r[1].burst = 1e9;
	run(&w, 300, 5 * second);
	clear(&w);
	run(&w, 300, 20 * second);
	assert_int_equal(w.r[0].good, 0);
	assert_in_range(w.r[0].refused, 15, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below_the_limits),
		cmocka_unit_test(test_above_the_limits),
		cmocka_unit_test(test_only_the_excess_spills),
		cmocka_unit_test(test_a_limit_that_rises_is_found),
		cmocka_unit_test(test_a_limit_is_forgotten),
		cmocka_unit_test(test_retry_after_holds_the_limit),
		cmocka_unit_test(test_one_clients_quota_is_not_the_regions),
		cmocka_unit_test(test_the_gate_knows_a_quota),
		cmocka_unit_test(test_limits_with_keys),
		cmocka_unit_test(test_one_clients_quota_beside_a_limit),
		cmocka_unit_test(test_the_floor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
