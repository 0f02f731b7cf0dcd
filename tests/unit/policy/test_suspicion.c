/*
 * Silence and patience.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/suspicion.h"

static void test_patience(void **state)
{
	(void)state;
	assert_int_equal(iso_patience_us(0), 1000000);
	assert_int_equal(iso_patience_us(1), 80000);
	assert_int_equal(iso_patience_us(20000), 80000);
	assert_int_equal(iso_patience_us(50000), 200000);
	assert_int_equal(iso_patience_us(UINT32_MAX), 4ull * UINT32_MAX);
}

static void test_silence(void **state)
{
	(void)state;
	assert_int_equal(iso_silence_us(1000, 400, 0, 1), 600);
	assert_int_equal(iso_silence_us(1000, 400, 900, 1), 100); /* something came */
	assert_int_equal(iso_silence_us(1000, 400, 100, 1), 600); /* before it was sent */
	assert_int_equal(iso_silence_us(1000, 400, 0, 0), 0);     /* nothing waits */
	assert_int_equal(iso_silence_us(1000, 2000, 0, 1), 0);    /* another thread's clock is ahead */
}

/* It holds for a second. */
static void test_just_failed_edges(void **state)
{
	(void)state;
	assert_false(iso_has_just_failed(5000000, 0));
	assert_true(iso_has_just_failed(5000000, 4000001));
	assert_false(iso_has_just_failed(5000000, 4000000));
	assert_true(iso_has_just_failed(100, 50));
	assert_true(iso_has_just_failed(100, 150)); /* by another thread's clock */
	assert_false(iso_has_just_failed(100, 0));
}

static void test_quiet_edges(void **state)
{
	(void)state;
	assert_false(iso_quiet(0, 20000));
	assert_false(iso_quiet(40000, 20000));
	assert_true(iso_quiet(40001, 20000));
	assert_false(iso_quiet(100000, 50000));
	assert_true(iso_quiet(100001, 50000));
	assert_false(iso_quiet(500000, 0)); /* the usual time is unknown */
	assert_true(iso_quiet(500001, 0));
}

/* Three regions in order, of these parts of the best's weight, in percent. */
static struct iso_view three(const uint32_t percent[3])
{
	struct iso_view view = { .n = 3, .allowed = 7, .up = 7 };

	for (int i = 0; i < 3; i++)
		view.c[i] = (struct iso_candidate){ .weight = ISO_WEIGHT_ONE / 100 * percent[i],
						    .ramp = ISO_WEIGHT_ONE };
	return view;
}

#define UNHEARD(view, ...) iso_unheard(view, (const uint32_t[ISO_VIEW_MAX]){ __VA_ARGS__ })

static void test_two_more_unheard_are_too_many(void **state)
{
	struct iso_view view = three((const uint32_t[]){ 100, 100, 100 });

	(void)state;
	assert_int_equal(UNHEARD(&view, 0, 0, 0), 0);
	assert_int_equal(UNHEARD(&view, 9, 9, 9), 0);
	assert_int_equal(UNHEARD(&view, 1, 0, 0), 0);
	assert_int_equal(UNHEARD(&view, 2, 0, 0), 1);
	assert_int_equal(UNHEARD(&view, 4, 5, 2), 3);
	assert_int_equal(UNHEARD(&view, 3, UINT32_MAX, 2), 2);
}

/* A region that is much worse is neither compared nor takes what the better ones are spared. */
static void test_unheard_among_the_good_ones(void **state)
{
	struct iso_view view = three((const uint32_t[]){ 100, 50, 49 });

	(void)state;
	assert_int_equal(UNHEARD(&view, 5, 5, 0), 0);
	assert_int_equal(UNHEARD(&view, 0, 0, 9), 0);
	assert_int_equal(UNHEARD(&view, 2, 0, 0), 1 | 4);
	assert_int_equal(UNHEARD(&view, 0, 2, 0), 2 | 4);
	view.warned = 2; /* that leaves it a quarter of its weight */
	assert_int_equal(UNHEARD(&view, 2, 0, 0), 0);
	assert_int_equal(UNHEARD(&view, 2, 9, 0), 0);
	assert_int_equal(UNHEARD(&view, 2, 9, 4), 0);
	view.warned = 1; /* 25, 50, 49: all three are good enough */
	assert_int_equal(UNHEARD(&view, 4, 2, 0), 1 | 2);
}

static void test_unheard_where_it_may_go(void **state)
{
	const struct iso_view view = three((const uint32_t[]){ 100, 100, 100 });

	(void)state;
	for (int i = 0; i < 7; i++) {
		struct iso_view v = view;
		uint16_t *bits[] = { &v.suspect, &v.tried, &v.full, &v.lacking, &v.wary };

		if (i < 5)
			*bits[i] = 1;
		else if (i == 5)
			v.up = 6;
		else
			v.allowed = 6;
		assert_int_equal(UNHEARD(&v, 0, 4, 4), 0); /* the first has none because it is out */
		assert_int_equal(UNHEARD(&v, 9, 4, 0), 2);
		v.up = 0;
		assert_int_equal(UNHEARD(&v, 0, 4, 9), 0);
	}
}

#define SPARED(view, quiet) iso_spared(view, quiet, (const uint32_t[ISO_VIEW_MAX]){ 3, 3, 3 })

/* What may run twice avoids a quiet region for one that is as good, and for no other. */
static void test_spared_for_a_good_one(void **state)
{
	struct iso_view view = three((const uint32_t[]){ 100, 50, 49 });

	(void)state;
	assert_int_equal(SPARED(&view, 0), 0);
	assert_int_equal(SPARED(&view, 1), 1);
	assert_int_equal(SPARED(&view, 2), 2);
	assert_int_equal(SPARED(&view, 4), 4);
	assert_int_equal(SPARED(&view, 1 | 4), 1 | 4);
	assert_int_equal(SPARED(&view, 1 | 2), 0); /* the third is too far */
	assert_int_equal(SPARED(&view, 1 | 2 | 4), 0);
	view.warned = 2;
	assert_int_equal(SPARED(&view, 1), 0);
	view.warned = 1; /* 25, 50, 49 */
	assert_int_equal(SPARED(&view, 1 | 2), 1 | 2);
	view.warned = 0;
	view.c[1].ramp--; /* what comes back is not given all at once */
	assert_int_equal(SPARED(&view, 1), 0);
	assert_int_equal(SPARED(&view, 2), 2);
}

/* A slow request and a lull are no silence: who is avoided cannot answer. */
static void test_spared_when_three_are_owed(void **state)
{
	const struct iso_view view = three((const uint32_t[]){ 100, 100, 100 });

	(void)state;
	assert_int_equal(iso_spared(&view, 3, (const uint32_t[ISO_VIEW_MAX]){ 2, 2, 9 }), 0);
	assert_int_equal(iso_spared(&view, 3, (const uint32_t[ISO_VIEW_MAX]){ 3, 2, 0 }), 1);
	assert_int_equal(iso_spared(&view, 3, (const uint32_t[ISO_VIEW_MAX]){ 0, 3, 0 }), 2);
}

/* The one that is left must be one that the request could go to. */
static void test_spared_where_it_may_go(void **state)
{
	const struct iso_view view = three((const uint32_t[]){ 100, 100, 100 });

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct iso_view v = view;
		uint16_t *bits[] = { &v.suspect, &v.tried, &v.full, &v.lacking };

		if (i < 4)
			*bits[i] = 4;
		else if (i == 4)
			v.up = 3;
		else
			v.allowed = 3;
		assert_int_equal(SPARED(&v, 1 | 2), 0);
		assert_int_equal(SPARED(&v, 1), 1);
		v.up = 0;
		assert_int_equal(SPARED(&v, 1), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_just_failed_edges),
		cmocka_unit_test(test_quiet_edges),
		cmocka_unit_test(test_spared_for_a_good_one),
		cmocka_unit_test(test_spared_when_three_are_owed),
		cmocka_unit_test(test_spared_where_it_may_go),
		cmocka_unit_test(test_two_more_unheard_are_too_many),
		cmocka_unit_test(test_unheard_among_the_good_ones),
		cmocka_unit_test(test_unheard_where_it_may_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
