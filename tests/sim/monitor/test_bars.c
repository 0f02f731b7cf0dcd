/*
 * Bars of the choice, a thousand seeds each: what was slow is not starved, equals are calm, and what is
 * pending does not send people far away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

enum { SEEDS = 1000 };

static double worst_of(double worst, double value)
{
	return value > worst ? value : worst;
}

/* Ten answers of 2 s, then well again: at least half of its fair share within 10 s (Traefik #12306). */
static void test_what_was_slow_is_not_starved(void **state)
{
	double least = 1;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		double best = 0;
		struct world w;

		world_init(&w, 2, seed);
		w.places[0].noise = w.places[1].noise = 0.1;
		w.rate = 100;
		world_run(&w, 10 * second);
		w.places[0].base_us = 2000e3;
		world_count_anew(&w);
		/* Fewer where it is left before. */
		for (int i = 0; i < 2000 && w.picks[0] < 10; i++)
			world_run(&w, 1 * ms);
		w.places[0].base_us = 50e3;
		for (int i = 0; i < 100; i++) {
			world_run(&w, 100 * ms);
			best = worst_of(best, world_share(&w, 0));
		}
		if (best < 0.25)
			print_message("seed %llu: %.3f\n", (unsigned long long)seed, best);
		least = best < least ? best : least;
		world_done(&w);
	}
	print_message("back at %.3f at least\n", least);
	assert_true(least >= 0.25);
}

/* Two equal regions under 20 % noise, at 10, 30 and 300 requests a second: at most 20 points within a minute.
 */
static void test_equals_are_calm(void **state)
{
	static const double rates[] = { 10, 30, 300 };
	double worst = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		double least = 1, most = 0;
		struct world w;

		world_init(&w, 2, seed);
		w.places[0].noise = w.places[1].noise = 0.2;
		w.rate = rates[seed % 3];
		world_run(&w, 30 * second);
		for (int i = 0; i < 240; i++) {
			double share;

			world_run(&w, 250 * ms);
			share = world_share(&w, 0);
			least = share < least ? share : least;
			most = share > most ? share : most;
		}
		if (most - least > 0.20)
			print_message("seed %llu at %.0f/s: %.3f\n", (unsigned long long)seed, w.rate,
				      most - least);
		worst = worst_of(worst, most - least);
		world_done(&w);
	}
	print_message("swing %.3f at most\n", worst);
	assert_true(worst <= 0.20);
}

/* 20 and 90 ms, a hundred requests in flight: the near one keeps 99 %, and beyond max_in_flight just the rest
 * goes. */
static void test_pending_does_not_send_people_far(void **state)
{
	double least = 1;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		world_init(&w, 2, seed);
		w.places[0].base_us = 20e3;
		w.places[1].base_us = 90e3;
		w.places[0].noise = w.places[1].noise = 0.1;
		w.rate = 200;
		world_run(&w, 3 * second);
		w.rate = 5000;
		world_run(&w, 100 * ms);
		world_count_anew(&w);
		world_run(&w, 500 * ms);
		assert_true(w.in_flight[0] > 60);
		least = world_part(&w, 0) < least ? world_part(&w, 0) : least;
		w.places[0].max_in_flight = 50;
		world_run(&w, 200 * ms);
		world_count_anew(&w);
		for (int i = 0; i < 300; i++) {
			world_run(&w, 1 * ms);
			assert_true(w.in_flight[0] <= 50);
		}
		/* 50 at a time of 20 ms each: half of what comes. */
		assert_true(world_part(&w, 0) > 0.40 && world_part(&w, 0) < 0.60);
		world_done(&w);
	}
	print_message("near one: %.4f at least\n", least);
	assert_true(least >= 0.99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_slow_is_not_starved),
		cmocka_unit_test(test_equals_are_calm),
		cmocka_unit_test(test_pending_does_not_send_people_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
