/*
 * Routes that are measured by themselves, in virtual time: each where it is quick, calm among equals, away
 * from where it fails and back again; and the property that a failure never raises a route's share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

/* Two regions, 20 ms each; two routes that take 5 and 40 ms more. */
static void two_by_two(struct world *w, uint64_t seed)
{
	world_init(w, 2, seed);
	for (int i = 0; i < 2; i++) {
		w->places[i].base_us = 20e3;
		w->places[i].noise = 0.1;
		w->places[i].work_us[1] = 5e3;
		w->places[i].work_us[2] = 40e3;
	}
	w->rate = 100;
	world_measure(w, 2);
}

/* Each region is quick for one route and a hundred times slower for the other one: ten minutes of peace. */
static void test_routes_that_cross(void **state)
{
	double worst = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;

		two_by_two(&w, seed);
		w.places[0].work_us[1] = w.places[1].work_us[2] = 2e6;
		world_run(&w, 30 * second);
		world_count_anew(&w);
		world_run(&w, 600 * second);
		worst = fmax(worst, fmax(world_part_of(&w, 1, 0), world_part_of(&w, 2, 1)));
		world_done(&w);
	}
	print_message("in the wrong region: %.4f\n", worst);
	assert_true(worst <= 0.005);
}

static void test_equal_regions_are_calm(void **state)
{
	static const double rates[] = { 20, 60, 300 };
	double worst = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		double least[2] = { 1, 1 }, most[2] = { 0, 0 };
		struct world w;

		two_by_two(&w, seed);
		w.rate = rates[seed % 3];
		w.places[0].noise = w.places[1].noise = 0.2;
		w.places[0].work_us[2] = w.places[1].work_us[2] = 200e3;
		world_run(&w, 60 * second);
		for (int i = 0; i < 600; i++) {
			world_run(&w, 100 * ms);
			for (uint32_t k = 0; k < 2; k++) {
				least[k] = fmin(least[k], world_share_of(&w, k + 1, 0));
				most[k] = fmax(most[k], world_share_of(&w, k + 1, 0));
			}
		}
		worst = fmax(worst, fmax(most[0] - least[0], most[1] - least[1]));
		world_done(&w);
	}
	print_message("swing %.3f\n", worst);
	assert_true(worst <= 0.20);
}

/* One route fails in a region, quickly, while the other one and the probes are fine there. */
static void test_a_route_that_fails(void **state)
{
	double worst = 0, back = 1, other = 1;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;

		two_by_two(&w, seed);
		world_run(&w, 60 * second);
		w.places[0].fault = FAULT_503;
		w.places[0].fault_route = 1;
		w.places[0].probes_blind = true;
		world_run(&w, second);
		world_count_anew(&w);
		world_run(&w, 120 * second);
		worst = fmax(worst, world_part_of(&w, 1, 0));
		other = fmin(other, world_part_of(&w, 2, 0));
		w.places[0].fault = FAULT_NONE;
		world_run(&w, 30 * second);
		back = fmin(back, world_share_of(&w, 1, 0));
		world_done(&w);
	}
	print_message("kept %.4f, the other route %.3f, back %.3f\n", worst, other, back);
	assert_true(worst <= 0.01);
	assert_true(other >= 0.3);
	assert_true(back >= 0.25); /* half of its fair share */
}

/* It is slow in a region for a while, which probes do not see: its own requests find out when that is over.
 */
static void test_a_recovery_that_probes_do_not_see(void **state)
{
	double kept = 0, back = 1;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;

		two_by_two(&w, seed);
		world_run(&w, 60 * second);
		w.places[0].work_us[1] = 400e3;
		world_run(&w, 5 * second);
		world_count_anew(&w);
		world_run(&w, 120 * second);
		kept = fmax(kept, world_part_of(&w, 1, 0));
		w.places[0].work_us[1] = 5e3;
		world_run(&w, 120 * second);
		back = fmin(back, world_share_of(&w, 1, 0));
		world_done(&w);
	}
	print_message("kept %.4f, back %.3f\n", kept, back);
	assert_true(kept <= 0.01);
	assert_true(back >= 0.25);
}

/* Both are slower by 200 ms, the network's: the routes leave, and are back 5 s after two good probes. */
static void test_a_region_that_is_slower_for_all(void **state)
{
	double kept = 0, back = 1;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t probes;
		struct world w;

		two_by_two(&w, seed);
		world_run(&w, 60 * second);
		w.places[0].base_us = 220e3;
		world_run(&w, second);
		for (uint32_t k = 1; k <= 2; k++)
			kept = fmax(kept, world_share_of(&w, k, 0));
		world_run(&w, 30 * second);
		w.places[0].base_us = 20e3;
		probes = w.stats[0]->probes_passed;
		while (w.stats[0]->probes_passed < probes + 2)
			world_run(&w, 100 * ms);
		world_run(&w, 5 * second);
		for (uint32_t k = 1; k <= 2; k++)
			back = fmin(back, world_share_of(&w, k, 0));
		world_done(&w);
	}
	print_message("kept %.4f, back %.3f\n", kept, back);
	assert_true(kept <= 0.025);
	assert_true(back >= 0.25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_that_cross),
		cmocka_unit_test(test_equal_regions_are_calm),
		cmocka_unit_test(test_a_route_that_fails),
		cmocka_unit_test(test_a_recovery_that_probes_do_not_see),
		cmocka_unit_test(test_a_region_that_is_slower_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
