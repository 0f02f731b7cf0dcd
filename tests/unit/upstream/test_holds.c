/*
 * Holds: how long they last, whom they are mistaken for, what a full set gives up, threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>

#include "iso/upstream/holds.h"

enum { THREADS = 4, ROUNDS = 100000, SECOND = 1000 * 1000, TICK_US = 65536 };

static struct iso_holds *holds;
static struct iso_cfg_service *service; /* its regions have the slots 5, 9 and 63 */

static int setup(void **state)
{
	static const uint64_t seed[2] = { 11, 12 };

	(void)state;
	service = calloc(1, sizeof(*service));
	assert_non_null(service);
	service->region_count = 3;
	service->regions[0].slot = 5;
	service->regions[1].slot = 9;
	service->regions[2].slot = 63;
	return iso_holds_new(seed, &holds);
}

static int teardown(void **state)
{
	(void)state;
	iso_holds_free(holds);
	iso_holds_free(NULL);
	free(service);
	return 0;
}

static uint64_t client(uint32_t n)
{
	return iso_holds_client(holds, service, iso_slice((const char *)&n, sizeof(n)));
}

static uint16_t find(uint64_t who, uint64_t now_us)
{
	return iso_holds_find(holds, who, service, now_us);
}

static void test_lasts_and_moves(void **state)
{
	uint64_t now = 1000 * (uint64_t)SECOND, one = client(1);

	(void)state;
	assert_int_equal(find(one, now), 0);
	assert_false(iso_holds_set(holds, one, 9, now, 5 * SECOND));
	assert_int_equal(find(one, now), 2);
	assert_int_equal(find(one, now + 5 * SECOND), 2);
	assert_int_equal(find(one, now + 5 * SECOND + TICK_US + 1), 0);
	assert_int_equal(find(client(2), now), 0);
	/* Another write moves it, and its time begins anew. */
	assert_false(iso_holds_set(holds, one, 63, now + 4 * SECOND, 5 * SECOND));
	assert_int_equal(find(one, now + 4 * SECOND), 4);
	assert_int_equal(find(one, now + 9 * SECOND), 4);
	assert_int_equal(find(one, now + 10 * SECOND), 0);
	/* Also where the time has become shorter, and of a hold that is over. */
	assert_false(iso_holds_set(holds, one, 5, now, 60 * SECOND));
	assert_false(iso_holds_set(holds, one, 9, now, 1 * SECOND));
	assert_int_equal(find(one, now + 2 * SECOND), 0);
	/* A region that is the service's no more holds nobody. */
	assert_false(iso_holds_set(holds, one, 6, now, 5 * SECOND));
	assert_int_equal(find(one, now), 0);
}

/* The same client of two services is two; another process knows it by another number. */
static void test_who_is_who(void **state)
{
	static const uint64_t seed[2] = { 11, 13 };
	struct iso_holds *other;
	uint64_t here = client(1), there;

	(void)state;
	service->slot = 1;
	assert_true(client(1) != here);
	service->slot = 0;
	assert_true(client(1) == here);
	assert_true(client(2) != here);
	assert_int_equal(iso_holds_new(seed, &other), ISO_OK);
	there = iso_holds_client(other, service, ISO_SLICE("\1\0\0\0"));
	assert_true(there != here);
	assert_true(here == iso_holds_client(holds, service, ISO_SLICE("\1\0\0\0")));
	iso_holds_free(other);
}

/* By their layout: the low 14 bits name the set, the high 26 the client in it. */
static uint64_t made(uint64_t tag, uint64_t set)
{
	return tag << 38 | set;
}

static void test_a_full_set_gives_up_what_ends_first(void **state)
{
	uint64_t now = 1000 * (uint64_t)SECOND;

	(void)state;
	assert_false(iso_holds_set(holds, made(1, 7), 5, now, 4 * SECOND));
	assert_false(iso_holds_set(holds, made(2, 7), 9, now, 2 * SECOND));
	assert_false(iso_holds_set(holds, made(3, 7), 63, now, 3 * SECOND));
	assert_false(iso_holds_set(holds, made(4, 7), 5, now, 5 * SECOND));
	assert_true(iso_holds_set(holds, made(5, 7), 9, now, 6 * SECOND));
	assert_int_equal(find(made(2, 7), now), 0);
	assert_int_equal(find(made(1, 7), now), 1);
	assert_int_equal(find(made(3, 7), now), 4);
	assert_int_equal(find(made(4, 7), now), 1);
	assert_int_equal(find(made(5, 7), now), 2);
	assert_int_equal(find(made(5, 8), now), 0); /* another set */
	/* One that is over gives its place for nothing. */
	assert_false(iso_holds_set(holds, made(6, 7), 9, now + 4 * SECOND, 6 * SECOND));
	assert_int_equal(find(made(3, 7), now + 4 * SECOND), 0);
	assert_int_equal(find(made(1, 7), now + 4 * SECOND), 1);
	assert_int_equal(find(made(6, 7), now + 4 * SECOND), 2);
}

/* Who has the same 40 bits is the same client: what differs between them is looked at by nobody. */
static void test_a_collision_is_the_same_client(void **state)
{
	uint64_t now = 1000 * (uint64_t)SECOND;

	(void)state;
	assert_false(iso_holds_set(holds, made(1, 7) | 1u << 20, 5, now, SECOND));
	assert_false(iso_holds_set(holds, made(1, 7) | 1u << 30, 9, now, SECOND));
	assert_int_equal(find(made(1, 7) | 1u << 20, now), 2);
}

/* Poisson with 13,440 / 16,384 in a set: one in a hundred finds four there already; and all of 5,000 fit. */
static void test_how_many_fit(void **state)
{
	uint64_t now = 1000 * (uint64_t)SECOND;
	uint32_t lost = 0, found = 0;

	(void)state;
	for (uint32_t i = 0; i < 13440; i++) {
		lost += iso_holds_set(holds, client(i), 9, now, SECOND);
		if (i == 4999)
			assert_in_range(lost, 0, 10);
	}
	for (uint32_t i = 0; i < 13440; i++)
		found += find(client(i), now) == 2;
	assert_in_range(lost, 10, 60); /* 30: at the end it is one in a hundred, fewer before */
	assert_in_range(found + lost, 13440, 13441);
	for (uint32_t i = 20000; i < 40000; i++)
		assert_int_equal(find(client(i), now), 0);
}

/* Threads that write for clients of their own, all in one set of theirs and a few others'. */
static void *hammer(void *arg)
{
	uint64_t mine = made(100 + *(uint32_t *)arg, 3);
	uint64_t now = 1000 * (uint64_t)SECOND;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t slot = i % 2 == 0 ? 5 : 63;

		now += 50;
		(void)iso_holds_set(holds, mine, slot, now, SECOND);
		/* Four clients, four words: nobody is pushed out, and one's own word is as it was written. */
		if (find(mine, now) != (slot == 5 ? 1 : 4))
			return arg;
		(void)iso_holds_set(holds, client(i % 512), slot, now, SECOND);
		(void)find(client(i % 512), now);
	}
	return NULL;
}

static void test_threads(void **state)
{
	uint32_t number[THREADS];
	pthread_t threads[THREADS];
	void *wrong;

	(void)state;
	for (uint32_t i = 0; i < 512; i++) /* none of theirs is in the set that is looked at closely */
		assert_int_not_equal(client(i) % ISO_HOLDS_SETS, 3);
	for (uint32_t i = 0; i < THREADS; i++) {
		number[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &number[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lasts_and_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_who, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_set_gives_up_what_ends_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_collision_is_the_same_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_how_many_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
