/*
 * What the choice of a region must show (PRODUCT.md section 5), in virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

static void test_latencies_10_40_120(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world w;

		world_init(&w, 3, seed);
		w.places[0].base_us = 10e3;
		w.places[1].base_us = 40e3;
		w.places[2].base_us = 120e3;
		for (int i = 0; i < 3; i++)
			w.places[i].noise = 0.1;
		w.rate = 100;
		world_run(&w, 60 * second);
		assert_true(w.latency_sum_us / (double)w.answers <= 13e3);
		world_done(&w);
	}
}

/* Shares, once half a minute has taught the estimates, stay within 20 points over a minute. */
static void check_equal_regions(double rate)
{
	double worst = 0;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		double least = 1, most = 0;
		struct world w;

		world_init(&w, 2, seed);
		w.places[0].noise = w.places[1].noise = 0.2;
		w.rate = rate;
		world_run(&w, 30 * second);
		for (int i = 0; i < 600; i++) {
			double share;

			world_run(&w, 100 * ms);
			share = world_share(&w, 0);
			least = share < least ? share : least;
			most = share > most ? share : most;
		}
		worst = most - least > worst ? most - least : worst;
		world_done(&w);
	}
	print_message("%.0f requests/s: swing %.3f\n", rate, worst);
	assert_true(worst <= 0.20);
}

static void test_equal_regions_are_calm(void **state)
{
	(void)state;
	check_equal_regions(10);
	check_equal_regions(30);
	check_equal_regions(300);
}

/* Returns the share of its own that region 0 keeps in the second half second after the change, on average. */
static void test_slower_region_loses_its_traffic(void **state)
{
	double worst = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;
		double before, after;

		world_init(&w, 3, seed);
		for (int i = 0; i < 3; i++)
			w.places[i].noise = 0.1;
		w.rate = 100;
		world_run(&w, 30 * second);
		before = world_share(&w, 0);
		w.places[0].base_us += 200e3;
		world_run(&w, 1 * second);
		after = world_share(&w, 0);
		worst = after / before > worst ? after / before : worst;
		/* And it stays so. */
		world_count_anew(&w);
		world_run(&w, 30 * second);
		assert_true(world_part(&w, 0) < 0.05 * before);
		world_done(&w);
	}
	print_message("kept after 1 s: %.3f\n", worst);
	assert_true(worst <= 0.05);
}

static void test_hanging_region_loses_its_traffic(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;

		world_init(&w, 2, seed);
		w.rate = 100;
		world_run(&w, 30 * second);
		w.places[0].fault = FAULT_HANG;
		world_run(&w, 500 * ms);
		world_count_anew(&w);
		world_run(&w, 20 * second);
		assert_int_equal(w.picks[0], 0);
		assert_int_equal(w.facts[0].up, false); /* its probe has confirmed it */
		world_done(&w);
	}
}

/* A hang at a trickle of requests is seen by the age of the one that waits. */
static void test_hang_at_low_rate(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 2, 3);
	w.rate = 2;
	world_run(&w, 60 * second);
	w.places[0].fault = FAULT_HANG;
	world_run(&w, 5 * second);
	world_count_anew(&w);
	world_run(&w, 30 * second);
	assert_int_equal(w.picks[0], 0);
	world_done(&w);
}

static void test_fast_503_loses_its_traffic_within_20_requests(void **state)
{
	static const double rates[] = { 5, 30, 100, 300 };

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct world w;
		uint64_t sent;

		world_init(&w, 3, seed);
		w.rate = rates[seed % 4];
		world_run(&w, 30 * second);
		w.places[0].fault = FAULT_503;
		world_count_anew(&w);
		world_run(&w, 60 * second);
		sent = w.picks[0];
		/* What was on its way when it began may be enough. */
		assert_true(w.places[0].refused >= 1 && sent <= 20);
		assert_int_equal(w.facts[0].up, false);
		world_done(&w);
	}
}

/* The same where the health check does not see it: each return costs a few requests, ever more rarely. */
static void test_shallow_health_check(void **state)
{
	struct world w;
	uint64_t first_minute;

	(void)state;
	world_init(&w, 2, 5);
	w.rate = 100;
	w.places[0].probes_blind = true;
	world_run(&w, 30 * second);
	w.places[0].fault = FAULT_503;
	world_count_anew(&w);
	world_run(&w, 60 * second);
	first_minute = w.picks[0];
	world_count_anew(&w);
	world_run(&w, 240 * second);
	print_message("shallow check: %llu, then %llu in 4 minutes\n", (unsigned long long)first_minute,
		      (unsigned long long)w.picks[0]);
	assert_in_range(first_minute, 1, 40);
	assert_true(w.picks[0] <= 40);
	world_done(&w);
}

static void check_recovery(enum fault fault, double slow_us, double rate)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;
		double before;
		uint64_t passes, waited_us = 0;

		world_init(&w, 2, seed);
		w.places[0].noise = w.places[1].noise = 0.05;
		w.rate = rate;
		world_run(&w, 60 * second);
		before = world_share(&w, 0);
		w.places[0].fault = fault;
		w.places[0].base_us += slow_us;
		world_run(&w, 60 * second);
		assert_true(world_share(&w, 0) < 0.05 * before);
		w.places[0].fault = FAULT_NONE;
		w.places[0].base_us -= slow_us;
		/* A probe that is on its way set out before the recovery. */
		passes = w.stats[0]->probes_passed + w.probing[0];
		while (w.stats[0]->probes_passed < passes + 2 && waited_us < 60 * second) {
			world_run(&w, 100 * ms);
			waited_us += 100 * ms;
		}
		world_run(&w, 5 * second);
		if (world_share(&w, 0) < 0.8 * before)
			print_message("fault %d at %.0f/s, seed %llu: %.3f of %.3f\n", (int)fault, rate,
				      (unsigned long long)seed, world_share(&w, 0), before);
		assert_true(world_share(&w, 0) >= 0.8 * before);
		world_done(&w);
	}
}

static void test_recovery(void **state)
{
	(void)state;
	check_recovery(FAULT_NONE, 200e3, 100);
	check_recovery(FAULT_503, 0, 100);
	check_recovery(FAULT_HANG, 0, 100);
	check_recovery(FAULT_REFUSED, 0, 100);
	check_recovery(FAULT_NONE, 200e3, 10);
	check_recovery(FAULT_NONE, 200e3, 300);
	check_recovery(FAULT_503, 0, 10);
}

/* The return is a ramp, not a jump. */
static void test_return_ramps(void **state)
{
	struct world w;
	double first = 0;

	(void)state;
	world_init(&w, 2, 11);
	w.rate = 100;
	world_run(&w, 30 * second);
	w.places[0].fault = FAULT_REFUSED;
	world_run(&w, 20 * second);
	assert_int_equal(w.facts[0].up, false);
	w.places[0].fault = FAULT_NONE;
	while (!w.facts[0].up) {
		world_run(&w, 100 * ms);
		first = world_share(&w, 0);
	}
	assert_true(first > 0 && first < 0.2);
	world_run(&w, 1 * second);
	assert_true(world_share(&w, 0) > first && world_share(&w, 0) < 0.45);
	world_run(&w, 1500 * ms);
	assert_true(world_share(&w, 0) > 0.4);
	world_done(&w);
}

/* How often the share crosses from above 40 % to below 10 % or back. */
static uint32_t flaps(struct world *w, uint64_t us, bool *high)
{
	uint32_t n = 0;

	for (uint64_t t = 0; t < us; t += 100 * ms) {
		double share;

		world_run(w, 100 * ms);
		share = world_share(w, 0);
		if ((*high && share < 0.10) || (!*high && share > 0.40)) {
			*high = !*high;
			n++;
		}
	}
	return n;
}

static void check_square_wave(uint64_t period_us, double rate)
{
	struct world w;
	bool high = true;

	world_init(&w, 2, 17);
	w.places[0].noise = w.places[1].noise = 0.1;
	w.rate = rate;
	world_run(&w, 30 * second);
	for (int i = 0; i < 20; i++) {
		w.places[0].base_us = i % 2 == 0 ? 250e3 : 50e3;
		assert_true(flaps(&w, period_us / 2, &high) <= 1);
	}
	world_done(&w);
}

static void test_square_waves(void **state)
{
	(void)state;
	check_square_wave(10 * second, 100);
	check_square_wave(60 * second, 100);
	check_square_wave(10 * second, 10);
	check_square_wave(60 * second, 300);
}

/* Our own uplink: nothing is ejected, and all is well at once when it is back. */
static void test_own_uplink(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 3, 23);
	w.rate = 100;
	world_run(&w, 30 * second);
	for (int i = 0; i < 3; i++)
		w.places[i].fault = FAULT_REFUSED;
	world_run(&w, 1 * second);
	for (int i = 0; i < 3; i++)
		assert_true(w.facts[i].up);
	world_done(&w);
}

/* One that errs now and then loses share, and is not thrown out. */
static void test_some_errors(void **state)
{
	struct world w;
	struct iso_rng rng;

	(void)state;
	world_init(&w, 2, 29);
	w.rate = 100;
	iso_rng_seed(&rng, 1);
	world_run(&w, 30 * second);
	for (int i = 0; i < 60000; i++) {
		w.places[0].fault = iso_rng_below(&rng, 10) == 0 ? FAULT_503 : FAULT_NONE;
		world_run(&w, 1 * ms);
	}
	assert_true(world_share(&w, 0) < 0.2);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latencies_10_40_120),
		cmocka_unit_test(test_equal_regions_are_calm),
		cmocka_unit_test(test_slower_region_loses_its_traffic),
		cmocka_unit_test(test_hanging_region_loses_its_traffic),
		cmocka_unit_test(test_hang_at_low_rate),
		cmocka_unit_test(test_fast_503_loses_its_traffic_within_20_requests),
		cmocka_unit_test(test_shallow_health_check),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_return_ramps),
		cmocka_unit_test(test_square_waves),
		cmocka_unit_test(test_own_uplink),
		cmocka_unit_test(test_some_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
