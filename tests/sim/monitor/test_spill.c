/*
 * Limits of the survivors: what exceeds them goes to the next region, and the one that comes back takes
 * neither all at once nor less than the others cannot take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

enum { SEEDS = 200, MIDDLE_MAX = 4, FAR_MAX = 6 };

/* 10, 40 and 120 ms at 300 requests a second, of which the middle one takes 100; the near one is lost. */
static void lose_the_near_one(struct world *w, uint64_t seed, uint32_t far_max)
{
	world_init(w, 3, seed);
	w->places[0].base_us = 10e3;
	w->places[1].base_us = 40e3;
	w->places[2].base_us = 120e3;
	for (int i = 0; i < 3; i++)
		w->places[i].noise = 0.1;
	w->places[1].max_in_flight = MIDDLE_MAX;
	w->places[2].max_in_flight = far_max;
	w->rate = 300;
	world_run(w, 20 * second);
	assert_true(world_share(w, 0) > 0.95);
	w->places[0].fault = FAULT_REFUSED;
	world_run(w, 5 * second);
	assert_int_equal(w->facts[0].up, false);
}

static void come_back(struct world *w)
{
	w->places[0].fault = FAULT_NONE;
	for (int i = 0; i < 60000 && !w->facts[0].up; i++)
		world_run(w, 1 * ms);
	assert_true(w->facts[0].up);
	world_count_anew(w);
}

static void test_just_the_excess_goes_on(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		lose_the_near_one(&w, seed, 0);
		world_count_anew(&w);
		for (int i = 0; i < 3000; i++) {
			world_run(&w, 1 * ms);
			assert_true(w.in_flight[1] <= MIDDLE_MAX);
		}
		/* A third is what it can take; as long as a place is free it is taken. */
		assert_true(world_part(&w, 1) > 0.25 && world_part(&w, 1) < 0.36);
		assert_int_equal(w.picks[0], 0);
		world_done(&w);
	}
}

/* The ramp begins at a tenth and is at a quarter after 300 ms: the excess of the middle one does not jump it.
 */
static void test_the_excess_does_not_jump_the_ramp(void **state)
{
	double sum = 0, most = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		lose_the_near_one(&w, seed, 0);
		come_back(&w);
		world_run(&w, 300 * ms);
		sum += world_part(&w, 0);
		most = world_part(&w, 0) > most ? world_part(&w, 0) : most;
		world_run(&w, 3 * second);
		assert_true(world_share(&w, 0) > 0.95);
		world_done(&w);
	}
	print_message("%.3f of the requests on average, %.3f at most\n", sum / SEEDS, most);
	assert_true(sum / SEEDS > 0.05 && sum / SEEDS < 0.25);
	assert_true(most < 0.40);
}

/* Survivors that cannot take it all are over their limits only as long as nobody else is there. */
static void test_what_comes_back_takes_what_the_others_cannot(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		lose_the_near_one(&w, seed, FAR_MAX);
		come_back(&w);
		world_run(&w, 300 * ms); /* what they had is answered */
		for (int i = 0; i < 2000; i++) {
			assert_true(w.in_flight[1] <= MIDDLE_MAX && w.in_flight[2] <= FAR_MAX);
			world_run(&w, 1 * ms);
		}
		world_done(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_just_the_excess_goes_on),
		cmocka_unit_test(test_the_excess_does_not_jump_the_ramp),
		cmocka_unit_test(test_what_comes_back_takes_what_the_others_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
