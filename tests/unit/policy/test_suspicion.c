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

/* A failure holds for a second, silence from half of the patience on. */
static void test_wary_edges(void **state)
{
	(void)state;
	assert_false(iso_wary(5000000, 0, 0, 20000));
	assert_true(iso_wary(5000000, 4000001, 0, 20000));
	assert_false(iso_wary(5000000, 4000000, 0, 20000));
	assert_false(iso_wary(5000000, 0, 40000, 20000));
	assert_true(iso_wary(5000000, 0, 40001, 20000));
	assert_false(iso_wary(5000000, 0, 100000, 50000));
	assert_true(iso_wary(5000000, 0, 100001, 50000));
	assert_false(iso_wary(5000000, 0, 500000, 0)); /* the usual time is unknown */
	assert_true(iso_wary(100, 50, 0, 0));
}

/* Three regions in order, of these weights (parts of the best's, in percent) and response times in ms. */
static struct iso_view three(const uint32_t percent[3], const uint32_t ms[3])
{
	struct iso_view view = { .n = 3, .allowed = 7, .up = 7 };

	for (int i = 0; i < 3; i++) {
		view.c[i].weight = ISO_WEIGHT_ONE / 100 * percent[i];
		view.estimate_us[i] = ms[i] * 1000;
	}
	return view;
}

#define CROWDED(view, ...) iso_crowded(view, (const uint32_t[ISO_VIEW_MAX]){ __VA_ARGS__ })

static void test_crowded_among_equals(void **state)
{
	struct iso_view view = three((const uint32_t[]){ 100, 100, 100 }, (const uint32_t[]){ 25, 25, 25 });

	(void)state;
	assert_int_equal(CROWDED(&view, 0, 0, 0), 0);
	assert_int_equal(CROWDED(&view, 3, 3, 3), 0);
	assert_int_equal(CROWDED(&view, 3, 2, 2), 1); /* one more is enough */
	assert_int_equal(CROWDED(&view, 3, 5, 2), 3);
}

/* What is usual is more at a larger weight, and where answers take longer. */
static void test_crowded_by_weight_and_time(void **state)
{
	struct iso_view view = three((const uint32_t[]){ 100, 50, 49 }, (const uint32_t[]){ 20, 30, 30 });

	(void)state;
	/* 8 at the first are as 8 * 0.5 * 30 / 20 = 6 at the second. */
	assert_int_equal(CROWDED(&view, 8, 6, 0), 0);
	assert_int_equal(CROWDED(&view, 8, 7, 0), 2);
	assert_int_equal(CROWDED(&view, 9, 6, 0), 1);
	/* The third is less than half as good: not compared, neither way. */
	assert_int_equal(CROWDED(&view, 0, 0, 50), 0);
}

static void test_crowded_compares_what_may_be_chosen(void **state)
{
	struct iso_view view = three((const uint32_t[]){ 100, 100, 100 }, (const uint32_t[]){ 25, 25, 25 });

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
		assert_int_equal(CROWDED(&v, 0, 4, 4), 0); /* the first is idle because it is out */
	}
	view.estimate_us[0] = 0; /* nor one that nobody has measured */
	assert_int_equal(CROWDED(&view, 0, 4, 4), 0);
	view.up = 0;
	assert_int_equal(CROWDED(&view, 0, 4, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_wary_edges),
		cmocka_unit_test(test_crowded_among_equals),
		cmocka_unit_test(test_crowded_by_weight_and_time),
		cmocka_unit_test(test_crowded_compares_what_may_be_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
