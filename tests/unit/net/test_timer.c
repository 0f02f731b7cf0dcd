/*
 * The wheel against a plain list, in virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/net/timer.h"

enum { TIMERS = 200 };

struct entry {
	struct iso_timer timer;
	uint64_t due_us; /* the model's; 0: not set */
	uint64_t fired_us;
	int fires;
};

static struct iso_wheel wheel;
static uint64_t now_us;
static struct entry entries[TIMERS];

static void on_fire(struct iso_timer *timer)
{
	struct entry *e = ISO_CONTAINER(timer, struct entry, timer);

	assert_true(e->due_us != 0);      /* never after a clear */
	assert_true(now_us >= e->due_us); /* never early */
	e->due_us = 0;
	e->fired_us = now_us;
	e->fires++;
}

static void begin(void)
{
	now_us = 123456789;
	iso_wheel_init(&wheel, now_us);
	for (int i = 0; i < TIMERS; i++) {
		entries[i] = (struct entry){ .due_us = 0 };
		iso_timer_init(&entries[i].timer, on_fire);
	}
}

static void run_to(uint64_t us)
{
	now_us = us;
	iso_wheel_run(&wheel, now_us);
	for (int i = 0; i < TIMERS; i++)
		if (entries[i].due_us != 0)
			assert_true(entries[i].due_us > now_us / 1000 * 1000 - 1000); /* at most a tick late
										       */
}

static void test_random_against_the_model(void **state)
{
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 11);
	begin();
	for (int step = 0; step < 200000; step++) {
		struct entry *e = &entries[iso_rng_below(&rng, TIMERS)];

		switch (iso_rng_below(&rng, 8)) {
		case 0:
		case 1:
		case 2:
			e->due_us = now_us +
				    iso_rng_below(&rng, iso_rng_below(&rng, 5) == 0 ? 20000000 : 50000);
			iso_timer_set(&wheel, &e->timer, e->due_us);
			break;
		case 3:
			e->due_us = 0;
			iso_timer_clear(&wheel, &e->timer);
			break;
		case 4:
			run_to(now_us + iso_rng_below(&rng, 100) * 1000000ull / 10); /* a stall */
			break;
		default:
			run_to(now_us + iso_rng_below(&rng, 3000));
		}
	}
	run_to(now_us + 30000000);
	for (int i = 0; i < TIMERS; i++) {
		assert_true(entries[i].due_us == 0);
		assert_false(iso_timer_is_set(&entries[i].timer));
	}
	assert_true(iso_wheel_next_us(&wheel, now_us) == UINT64_MAX);
}

static void test_next_is_never_late(void **state)
{
	(void)state;
	begin();
	for (uint64_t in = 1; in < 30000000; in = in * 3 + 7) {
		uint64_t next;

		entries[0].due_us = now_us + in;
		iso_timer_set(&wheel, &entries[0].timer, entries[0].due_us);
		for (int i = 0; entries[0].due_us != 0; i++) {
			assert_true(i < 20); /* the way to a far deadline has few stops */
			next = iso_wheel_next_us(&wheel, now_us);
			assert_true(now_us + next <= entries[0].due_us + 1000);
			run_to(now_us + next);
		}
	}
}

static void test_moving_a_deadline_back_costs_no_fire(void **state)
{
	(void)state;
	begin();
	for (int i = 0; i < 100; i++) {
		entries[0].due_us = now_us + 10000;
		iso_timer_set(&wheel, &entries[0].timer, entries[0].due_us);
		run_to(now_us + 5000);
	}
	assert_int_equal(entries[0].fires, 0);
	run_to(now_us + 11000);
	assert_int_equal(entries[0].fires, 1);
}

static void on_fire_again(struct iso_timer *timer)
{
	struct entry *e = ISO_CONTAINER(timer, struct entry, timer);

	e->fires++;
	iso_timer_set(&wheel, timer, now_us); /* due at once: must not loop within one run */
	iso_timer_clear(&wheel, &entries[1].timer);
}

static void test_callbacks_may_set_and_clear(void **state)
{
	(void)state;
	begin();
	iso_timer_init(&entries[0].timer, on_fire_again);
	iso_timer_set(&wheel, &entries[0].timer, now_us + 1000);
	entries[1].due_us = now_us + 1000;
	iso_timer_set(&wheel, &entries[1].timer, now_us + 1000);
	now_us += 5000;
	iso_wheel_run(&wheel, now_us);
	assert_int_equal(entries[0].fires, 1);
	assert_int_equal(entries[1].fires, 0);
	now_us += 2000;
	iso_wheel_run(&wheel, now_us);
	assert_int_equal(entries[0].fires, 2);
}

static void test_after_a_stall_a_callback_fires_once(void **state)
{
	(void)state;
	/* Stalls longer than the wheel: each slot comes by once, also the one where the callback hung its
	 * timer. */
	for (uint64_t stall_ms = 4000; stall_ms < 20000; stall_ms += 97) {
		begin();
		iso_timer_init(&entries[0].timer, on_fire_again);
		iso_timer_set(&wheel, &entries[0].timer, now_us + 1000);
		now_us += stall_ms * 1000;
		iso_wheel_run(&wheel, now_us);
		assert_int_equal(entries[0].fires, 1);
		now_us += 1000;
		iso_wheel_run(&wheel, now_us);
		assert_int_equal(entries[0].fires, 2);
	}
}

static void test_never_is_a_deadline(void **state)
{
	(void)state;
	begin();
	entries[0].due_us = UINT64_MAX;
	iso_timer_set(&wheel, &entries[0].timer, UINT64_MAX);
	assert_true(iso_wheel_next_us(&wheel, now_us) > 4000000); /* looked at once a turn of the wheel */
	for (int i = 0; i < 10; i++) {
		run_to(now_us + iso_wheel_next_us(&wheel, now_us));
		assert_true(iso_wheel_next_us(&wheel, now_us) > 4000000);
	}
	assert_int_equal(entries[0].fires, 0);
}

static void on_fire_free(struct iso_timer *timer)
{
	struct entry *e = ISO_CONTAINER(timer, struct entry, timer);

	entries[0].fires++;
	free(e);
}

static void test_a_callback_may_free_its_timer(void **state)
{
	(void)state;
	begin();
	for (int i = 0; i < 10; i++) { /* all in one slot */
		struct entry *e = calloc(1, sizeof(*e));

		assert_non_null(e);
		iso_timer_init(&e->timer, on_fire_free);
		iso_timer_set(&wheel, &e->timer, now_us + 2000);
	}
	now_us += 3000;
	iso_wheel_run(&wheel, now_us);
	assert_int_equal(entries[0].fires, 10);
	assert_true(iso_wheel_next_us(&wheel, now_us) == UINT64_MAX);
}

static void test_earlier_than_it_hangs(void **state)
{
	(void)state;
	begin();
	entries[0].due_us = now_us + 3000000;
	iso_timer_set(&wheel, &entries[0].timer, entries[0].due_us);
	entries[0].due_us = now_us + 2000;
	iso_timer_set(&wheel, &entries[0].timer, entries[0].due_us);
	run_to(now_us + 3000);
	assert_int_equal(entries[0].fires, 1);
	entries[0].due_us = 1; /* long past */
	iso_timer_set(&wheel, &entries[0].timer, 0);
	assert_true(iso_timer_is_set(&entries[0].timer));
	assert_int_equal(entries[0].fires, 1); /* not inside set */
	run_to(now_us + 1000);
	assert_int_equal(entries[0].fires, 2);
	iso_timer_clear(&wheel, &entries[0].timer); /* harmless */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_against_the_model),
		cmocka_unit_test(test_next_is_never_late),
		cmocka_unit_test(test_moving_a_deadline_back_costs_no_fire),
		cmocka_unit_test(test_callbacks_may_set_and_clear),
		cmocka_unit_test(test_after_a_stall_a_callback_fires_once),
		cmocka_unit_test(test_never_is_a_deadline),
		cmocka_unit_test(test_a_callback_may_free_its_timer),
		cmocka_unit_test(test_earlier_than_it_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
