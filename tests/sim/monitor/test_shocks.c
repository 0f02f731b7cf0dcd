/*
 * Bars of the choice, a thousand seeds each: who refuses quickly wins nothing, and who changes all the time
 * does not make the traffic go to and fro.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

enum { SEEDS = 1000 };

/*
 * A region that answers 503 or 429 in 2 ms, while the others take 50: after its first such answer it never
 * holds more than its 1 % for over a second, however long that goes on. Its health check sees the 503 or not,
 * and never the 429.
 */
static void check_quick_refusals(uint64_t seed, double *longest_us)
{
	static const double rates[] = { 20, 100, 300 };
	uint64_t above_us = 0;
	struct world w;

	world_init(&w, 2 + seed / 3 % 2, seed);
	for (uint32_t i = 0; i < w.n; i++) {
		w.places[i].noise = 0.1;
		w.stats[i]->learns = seed / 6 % 2 != 0;
	}
	w.rate = rates[seed % 3];
	w.places[0].probes_blind = seed / 12 % 2 != 0;
	world_run(&w, 10 * second);
	w.places[0].fault = seed / 24 % 2 != 0 ? FAULT_503 : FAULT_429;
	world_count_anew(&w);
	while (w.places[0].refused == 0 && w.now_us < w.begin_us + 60 * second)
		world_run(&w, 1 * ms);
	for (int i = 0; i < 2000; i++) {
		world_run(&w, 10 * ms);
		above_us = world_share(&w, 0) > 0.01 ? above_us + 10 * ms : 0;
		*longest_us = (double)above_us > *longest_us ? (double)above_us : *longest_us;
	}
	world_done(&w);
}

static void test_quick_refusals_win_nothing(void **state)
{
	double longest_us = 0;
	uint32_t over = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		double here_us = 0;

		check_quick_refusals(seed, &here_us);
		if (here_us > 1e6) {
			print_message("seed %llu: %.2f s\n", (unsigned long long)seed, here_us / 1e6);
			over++;
		}
		longest_us = here_us > longest_us ? here_us : longest_us;
	}
	print_message("above 1 %% for %.2f s at most\n", longest_us / 1e6);
	assert_int_equal(over, 0);
}

/* Shifts of a large part of the traffic: the share crosses from above 40 % to below 10 %, or back. */
struct shifts {
	bool high;
	uint32_t here;   /* in this half period */
	uint32_t before; /* and in the one before it */
	uint32_t most;
};

/*
 * One half period of a square wave: base_us until half_us are over. A shift the wrong way, before the first
 * answer of the new kind can have been seen and published, follows from the half before and is counted there:
 * no policy can know better.
 */
static void half_period(struct world *w, double base_us, uint64_t half_us, struct shifts *s)
{
	uint64_t seen_us = (uint64_t)base_us + 100 * ms;

	s->before = s->here;
	s->here = 0;
	w->places[0].base_us = base_us;
	for (uint64_t t = 0; t < half_us; t += 50 * ms) {
		bool wrong;
		double share;

		world_run(w, 50 * ms);
		share = world_share(w, 0);
		if (s->high ? share >= 0.10 : share <= 0.40)
			continue;
		s->high = !s->high;
		wrong = s->high == (base_us > 100e3);
		if (wrong && t < seen_us)
			s->before++;
		else
			s->here++;
		s->most = s->before > s->most ? s->before : s->here > s->most ? s->here : s->most;
	}
}

/* 50 and 250 ms by turns, in half periods of 0.25 to 30 s: at most one large shift in each. */
static void test_square_waves_shift_once(void **state)
{
	static const uint64_t periods_ms[] = { 500, 2000, 10000, 60000 };
	static const double rates[] = { 10, 100, 300 };
	uint32_t over = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t period_us = periods_ms[seed % 4] * ms;
		struct world w;
		struct shifts s = { .high = true };

		world_init(&w, 2, seed);
		w.places[0].noise = w.places[1].noise = 0.1;
		w.rate = rates[seed / 4 % 3];
		world_run(&w, 10 * second);
		for (int i = 0; i < (period_us < 10 * second ? 20 : period_us > 10 * second ? 4 : 8); i++)
			half_period(&w, i % 2 == 0 ? 250e3 : 50e3, period_us / 2, &s);
		if (s.most > 1) {
			print_message("seed %llu, period %llu ms at %.0f/s: %u shifts\n",
				      (unsigned long long)seed, (unsigned long long)(period_us / ms), w.rate,
				      s.most);
			over++;
		}
		world_done(&w);
	}
	assert_int_equal(over, 0);
}

/*
 * Nothing for a minute, then a first answer of 2 s (a cold start), be it a request's or, where that comes
 * first, a probe's: half of its share is back within 10 s of when it is there, and stays.
 */
static void test_a_cold_start_is_forgotten(void **state)
{
	uint32_t requests = 0;
	double least = 1;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		static const double rates[] = { 10, 100, 300 };
		double best = 0;
		struct world w;

		world_init(&w, 2, seed);
		w.places[0].noise = w.places[1].noise = 0.1;
		w.rate = rates[seed % 3];
		world_run(&w, 15 * second);
		w.rate = 0;
		world_run(&w, 60 * second);
		w.places[0].cold_us = 2000e3;
		w.rate = seed % 2 != 0 ? rates[seed % 3] : 0; /* nobody comes until a probe has */
		world_count_anew(&w);
		while (w.places[0].cold_us > 0)
			world_run(&w, 1 * ms);
		w.rate = rates[seed % 3];
		requests += w.picks[0] > 0;
		for (int i = 0; i < 120 && (i < 20 || best < 0.25); i++) { /* it takes 2 s to be there */
			world_run(&w, 100 * ms);
			best = i < 20 || world_share(&w, 0) < best ? best : world_share(&w, 0);
		}
		least = best < least ? best : least;
		if (best < 0.25)
			print_message("seed %llu: %.3f\n", (unsigned long long)seed, best);
		world_done(&w);
	}
	print_message("back at %.3f at least; %u times a request met it\n", least, requests);
	assert_in_range(requests, SEEDS / 2 - 20, SEEDS / 2);
	assert_true(least >= 0.25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quick_refusals_win_nothing),
		cmocka_unit_test(test_square_waves_shift_once),
		cmocka_unit_test(test_a_cold_start_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
