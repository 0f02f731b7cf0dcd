/*
 * The sliding minute against a plain list of everything that was recorded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/stats/window.h"

enum { EVENTS = 6000, SLOT_US = ISO_WINDOW_SLOT_US };

struct event {
	uint64_t at_us;
	uint32_t us; /* 0: a bad one */
};

static struct event events[EVENTS];
static uint32_t sorted[EVENTS];

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void check_percentile(size_t good, size_t percent, uint32_t got)
{
	double truth = good == 0 ? 0 : sorted[(good * percent + 99) / 100 - 1];

	assert_true(got >= truth * 0.98 - 1 && got <= truth * 1.02 + 1);
}

/* What the window must hold: the running ten seconds and the five before. */
static void check(const struct iso_window *window, size_t count, uint64_t now_us)
{
	struct iso_window_sums sums;
	size_t good = 0, bad = 0;

	for (size_t i = 0; i < count; i++) {
		if (events[i].at_us / SLOT_US + ISO_WINDOW_SLOTS <= now_us / SLOT_US)
			continue;
		if (events[i].us == 0)
			bad++;
		else
			sorted[good++] = events[i].us;
	}
	qsort(sorted, good, sizeof(sorted[0]), by_value);
	iso_window_sum(window, now_us, &sums);
	assert_int_equal(sums.good, good);
	assert_int_equal(sums.bad, bad);
	assert_int_equal(iso_window_count(window, now_us), good + bad);
	check_percentile(good, 50, sums.p50_us);
	check_percentile(good, 95, sums.p95_us);
	check_percentile(good, 99, sums.p99_us);
}

static void test_against_a_list(void **state)
{
	static struct iso_window window;
	uint64_t now = 12345678901u;
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 21);
	iso_window_init(&window);
	check(&window, 0, now);
	for (size_t i = 0; i < EVENTS; i++) {
		/* Mostly 20 ms on, now and then a pause longer than a slot or than the window. */
		uint32_t pause = iso_rng_below(&rng, 500);

		now += pause == 0 ? 70u * 1000000u : pause < 3 ? 15u * 1000000u : iso_rng_below(&rng, 40000);
		events[i].at_us = now;
		events[i].us = iso_rng_below(&rng, 5) == 0 ? 0 : 1 + iso_rng_below(&rng, 300000);
		if (events[i].us == 0)
			iso_window_bad(&window, now);
		else
			iso_window_good(&window, events[i].us, now);
		if (i % 20 == 0)
			check(&window, i + 1, now);
	}
	check(&window, EVENTS, now + SLOT_US);
	check(&window, EVENTS, now + 6u * (uint64_t)SLOT_US);
}

static void test_bad_ones_do_not_enter_the_percentiles(void **state)
{
	static struct iso_window window;
	struct iso_window_sums sums;

	(void)state;
	iso_window_init(&window);
	for (int i = 0; i < 100; i++)
		iso_window_bad(&window, 1);
	iso_window_sum(&window, 1, &sums);
	assert_int_equal(sums.bad, 100);
	assert_int_equal(sums.good, 0);
	assert_int_equal(sums.p50_us, 0);
	iso_window_good(&window, 200000, 2);
	iso_window_sum(&window, 2, &sums);
	assert_in_range(sums.p50_us, 196000, 204000);
	assert_in_range(sums.p99_us, 196000, 204000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_list),
		cmocka_unit_test(test_bad_ones_do_not_enter_the_percentiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
