/*
 * The pick: which set is drawn from, and where a draw lands in it.
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

static struct iso_view three(void)
{
	struct iso_view v = { .n = 3, .allowed = 7, .up = 7 };

	v.c[0] = (struct iso_candidate){ 65536, 100, 65536, 0 };
	v.c[1] = (struct iso_candidate){ 32768, 100, 65536, 1 };
	v.c[2] = (struct iso_candidate){ 32768, 200, 65536, 2 };
	return v;
}

static struct iso_pick pick(enum iso_policy policy, const struct iso_view *v, uint32_t draw)
{
	struct iso_pick p;

	memset(&p, 0xee, sizeof(p));
	iso_balance_pick(policy, v, draw, &p);
	return p;
}

static void test_walk_edges(void **state)
{
	struct iso_view v = three();
	struct iso_pick p = pick(ISO_POLICY_LATENCY, &v, 0);

	(void)state;
	assert_int_equal(p.index, 0);
	assert_int_equal(p.level, ISO_PICK_GOOD);
	assert_int_equal(p.among, 7);
	assert_int_equal(p.total, 131072);
	/* Half, a quarter, a quarter: cumulative bounds at 2^31 and 3 x 2^30. */
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0x7fffffff).index, 0);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0x80000000).index, 1);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0xbfffffff).index, 1);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0xc0000000).index, 2);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0xffffffff).index, 2);
}

static void test_levels(void **state)
{
	struct iso_view v = three();

	(void)state;
	v.full = 1;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 6);
	v.full = 7;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_FULL);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 7);
	v.suspect = 3;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 4);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_FULL);
	v.tried = 4;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_SUSPECT);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 3);
	v.up = 4; /* the only one that is up was tried: again, rather than one that is down */
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_AGAIN);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 4);
	v.up = 0;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_FAIL_OPEN);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 3);
	v.tried = 7;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_AGAIN);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 7);
	v.allowed = 0;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 5).level, ISO_PICK_NONE);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 5).among, 0);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 5).total, 0);
}

static void test_drained_region_is_not_used_when_all_fail(void **state)
{
	struct iso_view v = three();

	(void)state;
	v.allowed = 5;
	v.up = 2;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_not_equal(pick(ISO_POLICY_LATENCY, &v, i * 4294967u).index, 1);
}

static void test_masks_beyond_n_are_nothing(void **state)
{
	struct iso_view v = three();

	(void)state;
	v.allowed = v.up = 0xfff8;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_NONE);
	v.n = 0;
	v.allowed = v.up = 0xffff;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_NONE);
}

static void test_no_weights_are_equal(void **state)
{
	struct iso_view v = { .n = 4, .allowed = 15, .up = 0 };
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	for (int p = ISO_POLICY_LATENCY; p <= ISO_POLICY_STICKY; p++) {
		if (p == ISO_POLICY_FAILOVER)
			continue;
		assert_int_equal(pick((enum iso_policy)p, &v, 0x3fffffff).index, 0);
		assert_int_equal(pick((enum iso_policy)p, &v, 0x40000000).index, 1);
		assert_int_equal(pick((enum iso_policy)p, &v, 0xffffffff).index, 3);
	}
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	assert_int_equal(shares[2], 16384);
	assert_int_equal(shares[4], 0);
}

static void test_failover_order(void **state)
{
	struct iso_view v = three();

	(void)state;
	v.c[0].priority = 9;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(pick(ISO_POLICY_FAILOVER, &v, i * 4294967u).index, 1);
	v.up = 5;
	assert_int_equal(pick(ISO_POLICY_FAILOVER, &v, UINT32_MAX).index, 2);
	v.up = 0; /* Route 53: both unhealthy is the primary */
	assert_int_equal(pick(ISO_POLICY_FAILOVER, &v, UINT32_MAX).index, 1);
	v.tried = 2;
	assert_int_equal(pick(ISO_POLICY_FAILOVER, &v, 0).index, 2);
}

static void test_failover_ramps_the_primary(void **state)
{
	struct iso_view v = three();
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	v.c[0].ramp = 16384;
	iso_balance_shares(ISO_POLICY_FAILOVER, &v, shares);
	assert_int_equal(shares[0], 16384);
	assert_int_equal(shares[1], 49152);
	assert_int_equal(shares[2], 0);
	v.c[1].priority = 0; /* a tie: by latency, with the group's furthest ramp */
	v.c[1].weight = 65536;
	iso_balance_shares(ISO_POLICY_FAILOVER, &v, shares);
	assert_int_equal(shares[0], 32768);
	assert_int_equal(shares[1], 32768);
}

static void test_failover_before_the_first_board(void **state)
{
	struct iso_view v = { .n = 3, .allowed = 7 };

	(void)state;
	v.c[0].priority = 2;
	v.c[1].priority = 1;
	v.c[2].priority = 1;
	assert_int_equal(pick(ISO_POLICY_FAILOVER, &v, 0).index, 1);
	assert_int_equal(pick(ISO_POLICY_FAILOVER, &v, UINT32_MAX).index, 2);
}

static void test_weighted(void **state)
{
	struct iso_view v = three();
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	iso_balance_shares(ISO_POLICY_WEIGHTED, &v, shares);
	assert_int_equal(shares[0], 16384);
	assert_int_equal(shares[2], 32768);
	v.c[2].ramp = 32768;
	iso_balance_shares(ISO_POLICY_WEIGHTED, &v, shares);
	assert_int_equal(shares[2], 21845); /* 100 of 300 */
	v.c[0].cfg_weight = 0;
	v.c[1].cfg_weight = 0;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(pick(ISO_POLICY_WEIGHTED, &v, i * 42949672u).index, 2);
	v.up = 3; /* weight 0 is used only when all others are down */
	assert_int_equal(pick(ISO_POLICY_WEIGHTED, &v, 0).index, 0);
	assert_int_equal(pick(ISO_POLICY_WEIGHTED, &v, UINT32_MAX).index, 1);
}

static void test_huge_weights_do_not_overflow(void **state)
{
	struct iso_view v = { .n = 16, .allowed = 0xffff, .up = 0xffff };
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	for (uint32_t i = 0; i < 16; i++)
		v.c[i] = (struct iso_candidate){ UINT32_MAX, UINT32_MAX, 65536, 0 };
	for (int p = ISO_POLICY_LATENCY; p <= ISO_POLICY_STICKY; p++) {
		for (uint32_t i = 0; i < 16; i++) {
			assert_int_equal(pick((enum iso_policy)p, &v, i << 28).index, i);
			assert_int_equal(pick((enum iso_policy)p, &v, (i << 28) + 0x0fffffff).index, i);
		}
		iso_balance_shares((enum iso_policy)p, &v, shares);
		assert_in_range(shares[7], 4095, 4096);
	}
}

/* Shares are what picks give: 65,536 even draws against the computed shares. */
static void test_shares_agree_with_picks(void **state)
{
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 7);
	for (uint32_t round = 0; round < 30; round++) {
		struct iso_view v = { .n = 5, .allowed = 31 };
		uint32_t shares[ISO_VIEW_MAX], counts[ISO_VIEW_MAX] = { 0 };
		enum iso_policy policy = (enum iso_policy)iso_rng_below(&rng, 3);

		v.up = (uint16_t)iso_rng_below(&rng, 32);
		v.suspect = (uint16_t)iso_rng_below(&rng, 32);
		for (uint32_t i = 0; i < 5; i++)
			v.c[i] = (struct iso_candidate){ iso_rng_below(&rng, 65537), iso_rng_below(&rng, 300),
							 iso_rng_below(&rng, 65537), iso_rng_below(&rng, 3) };
		for (uint32_t d = 0; d < 65536; d++)
			counts[pick(policy, &v, d << 16 | iso_rng_below(&rng, 65536)).index]++;
		iso_balance_shares(policy, &v, shares);
		for (uint32_t i = 0; i < 5; i++)
			assert_in_range(counts[i] + 3, shares[i], shares[i] + 6);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(iso_policy_name(ISO_POLICY_LATENCY), "latency");
	assert_string_equal(iso_policy_name(ISO_POLICY_STICKY), "sticky");
	assert_null(iso_policy_name((enum iso_policy)5));
}

/* One draw in two hundred, over all regions together, and only those that are eligible and by latency. */
static void test_exploration(void **state)
{
	struct iso_view v = three();
	uint32_t at[3] = { 0, 0, 0 }, usual[3] = { 0, 0, 0 };

	(void)state;
	v.explore = 6;
	for (uint32_t i = 0; i < 1000000; i++) {
		struct iso_pick p = pick(ISO_POLICY_LATENCY, &v, i * 4294);

		if (p.level == ISO_PICK_EXPLORE)
			at[p.index]++;
		else
			usual[p.index]++;
	}
	assert_int_equal(at[0], 0);
	assert_in_range(at[1], 2300, 2700);
	assert_in_range(at[2], 2300, 2700);
	assert_in_range(at[1] + at[2], 4800, 5010);
	assert_in_range(usual[0], 492500, 502500); /* the draws that are left are as even as all are */
	assert_in_range(usual[1], 246000, 252000);
	for (uint32_t i = 0; i < 100000; i++) {
		v.explore = 6;
		assert_int_not_equal(pick(ISO_POLICY_FAILOVER, &v, i * 42949).level, ISO_PICK_EXPLORE);
		v.up = 1; /* neither of those is */
		assert_int_equal(pick(ISO_POLICY_LATENCY, &v, i * 42949).level, ISO_PICK_GOOD);
		v.up = 7;
	}
}

/* What must not run twice goes where nothing is wrong, if `latency` chooses and there is such a place. */
static void test_wary(void **state)
{
	struct iso_view v = three();

	(void)state;
	v.wary = 3;
	for (uint32_t i = 0; i < 1000; i++) {
		struct iso_pick p = pick(ISO_POLICY_LATENCY, &v, i * 4294967);

		assert_int_equal(p.level, ISO_PICK_GOOD);
		assert_int_equal(p.index, 2);
		assert_int_equal(p.among, 4);
		assert_int_equal(pick(ISO_POLICY_FAILOVER, &v, i * 4294967).index, 0);
	}
	v.suspect = 4; /* the only one that is not wary is no good: then all the others are as good */
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 3);
}

/* Where it is in order the client goes where it wrote, by any policy and before any trial; else on as ever.
 */
static void test_held(void **state)
{
	struct iso_view v = three();
	uint16_t *const outs[] = { &v.suspect, &v.tried, &v.full, &v.lacking };
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	v.held = 4;
	v.trial = 2;
	v.explore = 2;
	for (int p = ISO_POLICY_LATENCY; p <= ISO_POLICY_STICKY; p++)
		for (uint32_t i = 0; i < 1000; i++) {
			struct iso_pick got = pick((enum iso_policy)p, &v, i * 4294967u);

			assert_int_equal(got.level, ISO_PICK_HELD);
			assert_int_equal(got.index, 2);
			assert_int_equal(got.among, 4);
		}
	assert_int_equal(iso_balance_held(&v), 4);
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	assert_int_equal(shares[2], ISO_WEIGHT_ONE);
	for (size_t i = 0; i < sizeof(outs) / sizeof(outs[0]); i++) {
		*outs[i] = 4;
		assert_int_equal(iso_balance_held(&v), 0);
		assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_TRIAL);
		*outs[i] = 0;
	}
	v.trial = v.explore = 0;
	v.up = 3;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_GOOD);
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).among, 3);
	v.up = 7;
	v.allowed = 3;
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_GOOD);
	v.allowed = 7;
	v.n = 2; /* a bit of no region is nothing */
	assert_int_equal(pick(ISO_POLICY_LATENCY, &v, 0).level, ISO_PICK_GOOD);
}

/* Half of one percent is spent on what is explored, and taken from all alike. */
static void test_shares_tell_what_is_explored(void **state)
{
	struct iso_view v = three();
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	v.explore = 4;
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	/* 65536 x 0.995 x 1/2, 1/4, 1/4, and 65536 x 0.005 for the last. */
	assert_in_range(shares[0], 32604, 32606);
	assert_in_range(shares[1], 16302, 16304);
	assert_in_range(shares[2], 16629, 16631);
	v.explore = 6;
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	assert_in_range(shares[1], 16465, 16467);
	assert_in_range(shares[2], 16465, 16467);
	/* What is not drawn from is not explored; and other policies do not. */
	v.suspect = 6;
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	assert_int_equal(shares[0], 65536);
	v.suspect = 0;
	iso_balance_shares(ISO_POLICY_WEIGHTED, &v, shares);
	assert_int_equal(shares[0], 16384);
}

/* A tenth of all before its full share is a tenth of whatever is drawn from, and all where it is alone. */
static void test_a_ramp_holds_in_every_set(void **state)
{
	struct iso_view v = { .n = 3, .allowed = 7, .up = 7 };
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	/* As published: 10 %, 89.9 % and 0.1 %. */
	v.c[0] = (struct iso_candidate){ 7290, 100, 6554, 0 };
	v.c[1] = (struct iso_candidate){ 65536, 100, 65536, 1 };
	v.c[2] = (struct iso_candidate){ 73, 100, 65536, 2 };
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	assert_in_range(shares[0], 6551, 6555);
	assert_in_range(shares[2], 64, 67);
	v.full = 2;
	for (uint32_t weight = 0; weight <= 73; weight += 73) { /* one that is rounded to nothing, too */
		v.c[2].weight = weight;
		iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
		assert_in_range(shares[0], 6545, 6555);
		assert_int_equal(shares[1], 0);
		assert_in_range(shares[2], 58979, 58991);
	}
	v.full = 6;
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	assert_int_equal(shares[0], 65536);
	/* When all of them ramp, there is nobody to give way to. */
	v.full = 0;
	v.c[1].ramp = v.c[2].ramp = 6554;
	v.c[2].weight = 65536;
	iso_balance_shares(ISO_POLICY_LATENCY, &v, shares);
	assert_in_range(shares[0], 3450, 3454); /* 7290 of 138362 */
}

/* What was full takes what it took; the others divide the rest. */
static void test_shares_at_a_limit(void **state)
{
	static const uint64_t seen[ISO_VIEW_MAX] = { 30, 60, 10 }, nothing[ISO_VIEW_MAX] = { 0 };
	struct iso_view v = three();
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	iso_balance_shares_at_limit(ISO_POLICY_LATENCY, &v, seen, shares);
	assert_int_equal(shares[0], 32768); /* nobody is full: the weights' */
	v.full = 1;
	iso_balance_shares_at_limit(ISO_POLICY_LATENCY, &v, seen, shares);
	assert_int_equal(shares[0], 19660);
	assert_int_equal(shares[1], 22937);
	assert_int_equal(shares[2], 22937);
	iso_balance_shares_at_limit(ISO_POLICY_LATENCY, &v, nothing, shares);
	assert_int_equal(shares[0], 0);
	assert_int_equal(shares[1], 32768);
	v.full = 7;
	iso_balance_shares_at_limit(ISO_POLICY_LATENCY, &v, seen, shares);
	assert_int_equal(shares[0], 19660);
	assert_int_equal(shares[1], 39321);
	assert_int_equal(shares[2], 6553);
	/* What a region had before it was lost is nobody's any more. */
	v.up = 6;
	v.full = 2;
	iso_balance_shares_at_limit(ISO_POLICY_LATENCY, &v, seen, shares);
	assert_int_equal(shares[0], 0);
	assert_int_equal(shares[1], 56173);
	assert_int_equal(shares[2], 9362);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exploration),
		cmocka_unit_test(test_wary),
		cmocka_unit_test(test_walk_edges),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_drained_region_is_not_used_when_all_fail),
		cmocka_unit_test(test_masks_beyond_n_are_nothing),
		cmocka_unit_test(test_no_weights_are_equal),
		cmocka_unit_test(test_failover_order),
		cmocka_unit_test(test_failover_ramps_the_primary),
		cmocka_unit_test(test_failover_before_the_first_board),
		cmocka_unit_test(test_weighted),
		cmocka_unit_test(test_huge_weights_do_not_overflow),
		cmocka_unit_test(test_shares_agree_with_picks),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_shares_tell_what_is_explored),
		cmocka_unit_test(test_a_ramp_holds_in_every_set),
		cmocka_unit_test(test_shares_at_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
