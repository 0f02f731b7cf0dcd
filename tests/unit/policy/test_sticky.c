/*
 * Rendezvous hashing: costs against logarithms computed elsewhere, spread by weight, who moves, who comes
 * back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/policy/balance.h"
#include "iso/policy/share.h"
#include "iso/policy/sticky.h"

enum { CLIENTS = 20000 };

static const char *const names[] = { "us-east-1", "eu-west-1", "ap-south-1", "sa-east-1" };

/* A view in which all is well, for the client with this key; n regions of the given weights. */
static struct iso_view view_for(uint64_t key, uint32_t n, const uint32_t weights[])
{
	struct iso_view v = { .n = n, .allowed = 0xffff, .up = 0xffff };

	v.client.keyed = true;
	for (uint32_t i = 0; i < n; i++) {
		v.c[i] = (struct iso_candidate){ 65536, weights[i], 65536, i };
		iso_sticky_fill(&v.client, i, key, iso_sticky_hash(iso_slice_str(names[i])), weights[i]);
	}
	return v;
}

static struct iso_pick pick(const struct iso_view *v, uint32_t draw)
{
	struct iso_pick p;

	memset(&p, 0xee, sizeof(p));
	iso_balance_pick(ISO_POLICY_STICKY, v, draw, &p);
	return p;
}

static uint64_t key_of(uint32_t i)
{
	char text[4];

	memcpy(text, &i, sizeof(i));
	return iso_sticky_hash(iso_slice(text, sizeof(text)));
}

/* Keys whose hash is known: splitmix64's first output for the seed 0, and the inverses of round numbers. */
static void test_costs_are_logarithms(void **state)
{
	static const struct {
		uint64_t key, hash, log; /* -log2(hash / 2^64) * 2^24 */
	} cases[] = {
		{ UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xe220a8397b1dcdaf), 3003237 },
		{ UINT64_C(0xce256ba94d67d15a), UINT64_C(1) << 63, 1 << 24 },
		{ UINT64_C(0x1ba3a849f5fed69c), UINT64_C(1) << 62, 2 << 24 },
		{ UINT64_C(0xba14ee80d8fb39cc), UINT64_C(3) << 62, 6963174 },
		{ UINT64_C(0x966dbfc16913c5d2), 1, 64 << 24 },
		{ 0, 0, 64 << 24 }, /* as 1: the logarithm of 0 is none */
		{ UINT64_C(0xcf9a04affa6badc0), UINT64_MAX, 1 },
	};
	struct iso_view_client c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t cost;

		iso_sticky_fill(&c, 3, cases[i].key, 0, 1);
		cost = c.cost[3] >> 20;
		/* Bit by bit, each rounded down: the last ones of 24 may differ, and the cost is never 0. */
		assert_in_range(cost + 32, cases[i].log + 32, cases[i].log + 64);
		assert_true(cost > 0);
		iso_sticky_fill(&c, 4, cases[i].key ^ 0xabcdef, 0xabcdef, 1000);
		assert_int_equal(c.cost[4], (cost << 20) / 1000);
	}
	iso_sticky_fill(&c, 0, UINT64_C(0x9e3779b97f4a7c15), 0, 1);
	assert_int_equal(c.turn[0], 0x4821);
}

static void test_a_weight_of_0_costs_most(void **state)
{
	struct iso_view_client c;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		iso_sticky_fill(&c, 0, key_of(i), 1, 0);
		iso_sticky_fill(&c, 1, key_of(i), 2, 1);
		iso_sticky_fill(&c, 2, key_of(i), 3, 0);
		assert_true(c.cost[0] > c.cost[1] && c.cost[2] > c.cost[1]);
		assert_true(c.cost[0] != c.cost[2]);
	}
}

static void test_the_draw_does_not_matter(void **state)
{
	static const uint32_t weights[] = { 100, 100, 100 };

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		struct iso_view v = view_for(key_of(i), 3, weights);
		uint32_t first = pick(&v, 0).index;

		assert_int_equal(pick(&v, UINT32_MAX).index, first);
		assert_int_equal(pick(&v, 0x80000000).index, first);
		assert_int_equal(pick(&v, 7).total, 1);
	}
}

static void test_clients_are_spread_by_weight(void **state)
{
	static const uint32_t weights[] = { 100, 300, 0, 600 };
	uint32_t counts[4] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct iso_view v = view_for(key_of(i), 4, weights);

		counts[pick(&v, 0).index]++;
	}
	/* Binomial with n = 20000: five standard deviations are 212, 324 and 346. */
	assert_in_range(counts[0], 2000 - 212, 2000 + 212);
	assert_in_range(counts[1], 6000 - 324, 6000 + 324);
	assert_int_equal(counts[2], 0);
	assert_in_range(counts[3], 12000 - 346, 12000 + 346);
}

/* Whatever takes a region out of the set, its clients alone move, and over all others. */
static void test_only_the_clients_of_a_lost_region_move(void **state)
{
	static const uint32_t weights[] = { 100, 100, 100, 100 };
	uint32_t moved[4] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct iso_view well = view_for(key_of(i), 4, weights), v = well;
		uint32_t home = pick(&well, 0).index, next;

		v.up = 0xffff & ~2u;
		next = pick(&v, 0).index;
		if (home == 1)
			moved[next]++;
		else
			assert_int_equal(next, home);
		v = well;
		v.suspect = 2;
		assert_int_equal(pick(&v, 0).index, next);
		v = well;
		v.full = 2;
		assert_int_equal(pick(&v, 0).index, next);
		v = well;
		v.allowed = 0xffff & ~2u;
		assert_int_equal(pick(&v, 0).index, next);
		v = well;
		v.tried = 2;
		assert_int_equal(pick(&v, 0).index, next);
	}
	/* A third each of about 5000: 1667, a standard deviation of 33 and of 31 more for the 5000. */
	assert_int_equal(moved[1], 0);
	assert_in_range(moved[0], 1667 - 230, 1667 + 230);
	assert_in_range(moved[2], 1667 - 230, 1667 + 230);
	assert_in_range(moved[3], 1667 - 230, 1667 + 230);
}

static void test_order_in_the_file_does_not_matter(void **state)
{
	struct iso_view v = { .n = 3, .allowed = 7, .up = 7 };

	(void)state;
	v.client.keyed = true;
	for (uint32_t k = 0; k < 500; k++) {
		uint32_t first;

		for (uint32_t i = 0; i < 3; i++)
			iso_sticky_fill(&v.client, i, key_of(k), iso_sticky_hash(iso_slice_str(names[i])), 5);
		first = pick(&v, 0).index;
		for (uint32_t i = 0; i < 3; i++)
			iso_sticky_fill(&v.client, 2 - i, key_of(k), iso_sticky_hash(iso_slice_str(names[i])),
					5);
		assert_int_equal(pick(&v, 0).index, 2 - first);
	}
}

static void test_levels(void **state)
{
	static const uint32_t weights[] = { 100, 100, 100 };

	(void)state;
	for (uint32_t k = 0; k < 200; k++) {
		struct iso_view v = view_for(key_of(k), 3, weights);
		uint32_t home = pick(&v, 0).index;

		v.full = 7;
		assert_int_equal(pick(&v, 0).level, ISO_PICK_FULL);
		assert_int_equal(pick(&v, 0).index, home);
		v.suspect = 7;
		assert_int_equal(pick(&v, 0).level, ISO_PICK_SUSPECT);
		assert_int_equal(pick(&v, 0).index, home);
		v.up = 0;
		assert_int_equal(pick(&v, 0).level, ISO_PICK_FAIL_OPEN);
		assert_int_equal(pick(&v, 0).index, home);
		v.tried = 7;
		assert_int_equal(pick(&v, 0).level, ISO_PICK_AGAIN);
		assert_int_equal(pick(&v, 0).index, home);
		v.allowed = 0;
		assert_int_equal(pick(&v, 0).level, ISO_PICK_NONE);
	}
}

/* While a region's ramp rises, its clients come back one by one, each once, and as many as the ramp says. */
static void test_a_ramp_takes_clients_back_one_by_one(void **state)
{
	static const uint32_t weights[] = { 100, 100, 100 };
	uint32_t own = 0, half = 0;

	(void)state;
	for (uint32_t k = 0; k < CLIENTS; k++) {
		struct iso_view v = view_for(key_of(k), 3, weights);
		uint32_t home = pick(&v, 0).index, moves = 0, last;

		v.c[0].ramp = 1;
		last = pick(&v, 0).index;
		for (uint32_t ramp = 1024; ramp <= 65536; ramp += 1024) {
			uint32_t now;

			v.c[0].ramp = ramp;
			now = pick(&v, 0).index;
			moves += now != last;
			half += ramp == 32768 && now == 0;
			last = now;
		}
		assert_int_equal(last, home);
		assert_true(moves <= (home == 0 ? 1 : 0));
		own += home == 0;
	}
	/* A standard deviation of 41 for the half of 6667. */
	assert_in_range(half, own / 2 - 205, own / 2 + 205);
}

static void test_all_ramping_or_none_published(void **state)
{
	static const uint32_t weights[] = { 100, 100, 100 };

	(void)state;
	for (uint32_t k = 0; k < 500; k++) {
		struct iso_view v = view_for(key_of(k), 3, weights);
		uint32_t home = pick(&v, 0).index;

		for (uint32_t i = 0; i < 3; i++) {
			v.c[i].ramp = 1;
			v.client.turn[i] = 5;
		}
		assert_int_equal(pick(&v, 0).index, home);
		for (uint32_t i = 0; i < 3; i++)
			v.c[i].ramp = 0;
		assert_int_equal(pick(&v, 0).index, home);
	}
}

static void test_a_promised_region_comes_first(void **state)
{
	static const uint32_t weights[] = { 100, 0, 100 };

	(void)state;
	for (uint32_t k = 0; k < 200; k++) {
		struct iso_view v = view_for(key_of(k), 3, weights);
		uint32_t own = pick(&v, 0).index;

		v.client.home = 2;
		v.c[1].ramp = 1; /* it was promised: no ramp stands before it */
		assert_int_equal(pick(&v, 0).index, 1);
		v.up = 5;
		assert_int_equal(pick(&v, 0).index, own);
		v.up = 7;
		v.tried = 2;
		assert_int_equal(pick(&v, 0).index, own);
	}
}

static void test_without_a_key_latency_decides(void **state)
{
	struct iso_view v = { .n = 3, .allowed = 7, .up = 7 };
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	v.c[0] = (struct iso_candidate){ 65536, 100, 65536, 0 };
	v.c[1] = (struct iso_candidate){ 32768, 100, 65536, 0 };
	v.c[2] = (struct iso_candidate){ 32768, 200, 65536, 0 };
	assert_int_equal(pick(&v, 0x7fffffff).index, 0);
	assert_int_equal(pick(&v, 0x80000000).index, 1);
	assert_int_equal(pick(&v, 0xc0000000).index, 2);
	/* What is said of all clients together: their keys fall by weight. */
	iso_balance_shares(ISO_POLICY_STICKY, &v, shares);
	assert_int_equal(shares[0], 16384);
	assert_int_equal(shares[2], 32768);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_costs_are_logarithms),
		cmocka_unit_test(test_a_weight_of_0_costs_most),
		cmocka_unit_test(test_the_draw_does_not_matter),
		cmocka_unit_test(test_clients_are_spread_by_weight),
		cmocka_unit_test(test_only_the_clients_of_a_lost_region_move),
		cmocka_unit_test(test_order_in_the_file_does_not_matter),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_a_ramp_takes_clients_back_one_by_one),
		cmocka_unit_test(test_all_ramping_or_none_published),
		cmocka_unit_test(test_a_promised_region_comes_first),
		cmocka_unit_test(test_without_a_key_latency_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
