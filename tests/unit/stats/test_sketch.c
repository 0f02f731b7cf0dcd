/*
 * Sketches: exact where keys do not collide, never too low, rates to the request, threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "iso/stats/sketch.h"

enum { KEYS = 5000, THREADS = 4, ROUNDS = 20000 };

static struct iso_sketch *sketch;

static int setup(void **state)
{
	static const uint64_t seed[2] = { 11, 12 };

	(void)state;
	sketch = calloc(1, sizeof(*sketch));
	assert_non_null(sketch);
	iso_sketch_init(sketch, seed);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(sketch);
	return 0;
}

static struct iso_slice key(const uint32_t *n)
{
	return iso_slice((const char *)n, sizeof(*n));
}

static void test_counts(void **state)
{
	int wrong = 0;

	(void)state;
	for (uint32_t i = 0; i < KEYS; i++)
		for (uint32_t k = 0; k <= i % 5; k++)
			iso_sketch_up(sketch, key(&i));
	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t value = iso_sketch_up(sketch, key(&i));

		assert_true(value >= i % 5 + 2);
		wrong += value != i % 5 + 2;
		iso_sketch_down(sketch, key(&i));
	}
	/* (1 - (1 - 1/16384)^5000)^4: 0.5 % of the keys share all four cells. */
	assert_in_range(wrong, 0, KEYS / 50);
	for (uint32_t i = 0; i < KEYS; i++)
		for (uint32_t k = 0; k <= i % 5; k++)
			iso_sketch_down(sketch, key(&i));
	for (int row = 0; row < ISO_SKETCH_ROWS; row++)
		for (int i = 0; i < ISO_SKETCH_WIDTH; i++)
			assert_int_equal(atomic_load(&sketch->cells[row][i]), 0);
}

static void test_rates(void **state)
{
	static const struct iso_sketch_rate rate = { 100000, 10 };
	struct iso_sketch_verdict v;
	uint32_t one = 1, two = 2;
	uint64_t now = 1000000;

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		assert_true(iso_sketch_take(sketch, key(&one), now, &rate, &v));
		assert_int_equal(v.left, 9 - i);
	}
	assert_false(iso_sketch_take(sketch, key(&one), now, &rate, &v));
	assert_int_equal(v.wait_us, 100000);
	assert_true(iso_sketch_take(sketch, key(&two), now, &rate, &v));
	assert_false(iso_sketch_take(sketch, key(&one), now + 99999, &rate, &v));
	assert_int_equal(v.wait_us, 1);
	assert_true(iso_sketch_take(sketch, key(&one), now + 100000, &rate, &v));
	assert_int_equal(v.left, 0);
	/* After a second of rest all ten are there again. */
	assert_true(iso_sketch_take(sketch, key(&one), now + 2000000, &rate, &v));
	assert_int_equal(v.left, 9);
}

static void *hammer(void *arg)
{
	static const struct iso_sketch_rate rate = { 1000, 10 };
	uint32_t *granted = arg, one = 1;
	struct iso_sketch_verdict v;

	for (int i = 0; i < ROUNDS; i++) {
		iso_sketch_up(sketch, iso_slice("count", 5));
		iso_sketch_down(sketch, iso_slice("count", 5));
		*granted += iso_sketch_take(sketch, key(&one), 1 + (uint64_t)i, &rate, &v);
	}
	return NULL;
}

static void test_threads(void **state)
{
	uint32_t granted[THREADS] = { 0 }, sum = 0;
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &granted[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += granted[i];
	}
	assert_int_equal(iso_sketch_up(sketch, iso_slice("count", 5)) >= 1, 1);
	/* 10 at once and one for each of 20 intervals; two threads may both take the last one at the same
	 * moment. */
	assert_in_range(sum, 29, 30 * THREADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
