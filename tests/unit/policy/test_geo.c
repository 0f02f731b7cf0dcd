/*
 * `geo`: the nearest first, the next nearest when it is out, gradually back, latency without a place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "iso/policy/balance.h"
#include "iso/policy/share.h"

static struct iso_view three(void)
{
	struct iso_view v = { .n = 3, .allowed = 7, .up = 7 };

	v.c[0] = (struct iso_candidate){ 65536, 100, 65536, 0 };
	v.c[1] = (struct iso_candidate){ 32768, 100, 65536, 1 };
	v.c[2] = (struct iso_candidate){ 32768, 200, 65536, 2 };
	v.client.placed = true;
	v.client.km[0] = 9000;
	v.client.km[1] = 700;
	v.client.km[2] = 300;
	return v;
}

static struct iso_pick pick(const struct iso_view *v, uint32_t draw)
{
	struct iso_pick p;

	memset(&p, 0xee, sizeof(p));
	iso_balance_pick(ISO_POLICY_GEO, v, draw, &p);
	return p;
}

static void expect(const struct iso_view *v, uint32_t index, enum iso_pick_level level)
{
	for (uint32_t i = 0; i < 100; i++) {
		struct iso_pick p = pick(v, i * 43383508u);

		assert_int_equal(p.index, index);
		assert_int_equal(p.level, level);
	}
}

static void test_the_nearest_first(void **state)
{
	struct iso_view v = three();

	(void)state;
	expect(&v, 2, ISO_PICK_GOOD);
	v.tried = 4; /* a retry */
	expect(&v, 1, ISO_PICK_GOOD);
	v.tried = 6;
	expect(&v, 0, ISO_PICK_GOOD);
	v.tried = 7;
	expect(&v, 2, ISO_PICK_AGAIN);
	v.client.km[0] = 0; /* the client is in its city */
	v.tried = 0;
	expect(&v, 0, ISO_PICK_GOOD);
	v.client.km[0] = 20015;
	expect(&v, 2, ISO_PICK_GOOD);
}

static void test_levels(void **state)
{
	struct iso_view v = three();

	(void)state;
	v.up = 3;
	expect(&v, 1, ISO_PICK_GOOD);
	v = three();
	v.suspect = 4;
	expect(&v, 1, ISO_PICK_GOOD);
	v.full = 3;
	expect(&v, 1, ISO_PICK_FULL);
	v.suspect = 7;
	expect(&v, 2, ISO_PICK_SUSPECT);
	v.up = 0;
	expect(&v, 2, ISO_PICK_FAIL_OPEN);
	v.allowed = 3;
	expect(&v, 1, ISO_PICK_FAIL_OPEN);
	v.allowed = 0;
	assert_int_equal(pick(&v, 0).level, ISO_PICK_NONE);
}

static void test_full_spills_to_the_next(void **state)
{
	struct iso_view v = three();

	(void)state;
	v.full = 4;
	expect(&v, 1, ISO_PICK_GOOD);
	v.full = 7;
	expect(&v, 2, ISO_PICK_FULL);
}

static void test_a_ramp_gives_the_rest_to_the_next(void **state)
{
	struct iso_view v = three();
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	v.c[2].ramp = 16384;
	iso_balance_shares(ISO_POLICY_GEO, &v, shares);
	assert_int_equal(shares[2], 16384);
	assert_int_equal(shares[1], 49152);
	assert_int_equal(shares[0], 0);
}

static void test_equally_far_share_by_latency(void **state)
{
	struct iso_view v = three();
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	v.client.km[0] = v.client.km[1] = 300;
	iso_balance_shares(ISO_POLICY_GEO, &v, shares);
	assert_int_equal(shares[0], 32768);
	assert_int_equal(shares[1], 16384);
	assert_int_equal(shares[2], 16384);
}

static void test_without_a_place_latency_decides(void **state)
{
	struct iso_view v = three();

	(void)state;
	v.client.placed = false;
	assert_int_equal(pick(&v, 0x7fffffff).index, 0);
	assert_int_equal(pick(&v, 0x80000000).index, 1);
	assert_int_equal(pick(&v, 0xc0000000).index, 2);
	assert_int_equal(pick(&v, 0).total, 131072);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_nearest_first),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_full_spills_to_the_next),
		cmocka_unit_test(test_a_ramp_gives_the_rest_to_the_next),
		cmocka_unit_test(test_equally_far_share_by_latency),
		cmocka_unit_test(test_without_a_place_latency_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
