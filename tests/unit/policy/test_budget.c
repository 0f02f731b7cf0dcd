/*
 * The retry budget: 0.2 a request and 3 a second, capped at one second of income, shared by all workers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <cmocka.h>

#include "iso/policy/budget.h"

enum { WORKERS = 4 };

static const uint64_t second = 1000000;

struct purses {
	struct iso_bucket bucket;
	struct iso_budget of[WORKERS];
};

static void make(struct purses *p, uint64_t per_request_milli, uint64_t now_us)
{
	iso_bucket_init(&p->bucket, ISO_BUDGET_BASE_MILLI, per_request_milli, now_us);
	for (int i = 0; i < WORKERS; i++)
		iso_budget_init(&p->of[i], &p->bucket);
}

static void test_starts_with_three(void **state)
{
	struct purses p;

	(void)state;
	make(&p, 200, second);
	for (int i = 0; i < 3; i++)
		assert_true(iso_budget_spend(&p.of[i], true, second)); /* whichever worker asks */
	assert_false(iso_budget_spend(&p.of[0], true, second));
	assert_int_equal(p.of[0].spent, 1);
	assert_int_equal(p.of[0].refused, 1);
	/* A third of a second later there is one more. */
	assert_false(iso_budget_spend(&p.of[3], true, second + 333000));
	assert_true(iso_budget_spend(&p.of[3], true, second + 334000));
}

static void test_unsent_tries_are_free(void **state)
{
	struct purses p;

	(void)state;
	make(&p, 0, second);
	for (int i = 0; i < 100; i++)
		assert_true(iso_budget_spend(&p.of[0], false, second));
	assert_int_equal(p.of[0].spent, 0);
	assert_true(iso_budget_spend(&p.of[0], true, second));
}

/*
 * An outage for 10 s: every request would try again twice. 0.2 of the requests, 3 a second and one bucket,
 * over all workers, however the requests fall on them; at most a tenth less.
 */
static void test_outage(void **state)
{
	static const uint64_t every_us[] = { 10000, 1000, 100 };

	(void)state;
	for (size_t k = 0; k < sizeof(every_us) / sizeof(every_us[0]); k++) {
		uint64_t tries = 0, n = 0, fair, rate = second / every_us[k];
		struct purses p;

		make(&p, 200, 0);
		for (uint64_t t = 0; t < 10 * second; t += every_us[k], n++) {
			struct iso_budget *purse = &p.of[n * n % WORKERS];

			iso_budget_request(purse, t);
			tries += iso_budget_spend(purse, true, t);
			tries += iso_budget_spend(purse, true, t);
		}
		fair = n / 5 + 30;
		assert_in_range(tries, fair - fair / 10, fair + 3 + rate / 5);
	}
}

static void test_idle_time_saves_one_second(void **state)
{
	struct purses p;
	uint32_t tries = 0;

	(void)state;
	make(&p, 200, 0);
	while (iso_budget_spend(&p.of[tries % WORKERS], true, 3600 * second))
		tries++;
	assert_int_equal(tries, 3);
}

/* What a worker has not reported yet is less than a batch. */
static void test_batches(void **state)
{
	struct purses p;

	(void)state;
	make(&p, 1000, second);
	for (int i = 0; i < 3; i++)
		assert_true(iso_budget_spend(&p.of[0], true, second));
	for (int i = 0; i < ISO_BUDGET_BATCH - 1; i++)
		iso_budget_request(&p.of[1], second);
	assert_false(iso_budget_spend(&p.of[0], true, second));
	iso_budget_request(&p.of[1], second);
	assert_true(iso_budget_spend(&p.of[0], true, second));
}

static void test_what_was_not_used_is_given_back(void **state)
{
	struct purses p;

	(void)state;
	make(&p, 0, second);
	for (int i = 0; i < 100; i++) {
		assert_true(iso_budget_spend(&p.of[0], true, second));
		iso_budget_return(&p.of[0], true);
		iso_budget_return(&p.of[0], false); /* it had cost nothing */
	}
	assert_int_equal(p.of[0].spent, 0);
	assert_int_equal(iso_bucket_level_milli(&p.bucket), 3000);
}

struct load {
	struct iso_budget purse;
	uint64_t spent;
};

static void *run_load(void *arg)
{
	struct load *load = arg;

	for (uint64_t t = 0; t < second / 2; t += 10) {
		iso_budget_request(&load->purse, t);
		load->spent += iso_budget_spend(&load->purse, true, t);
	}
	return NULL;
}

/* Threads that run at once get what there is, and not a token more. */
static void test_threads(void **state)
{
	struct iso_bucket bucket;
	struct load loads[WORKERS] = { 0 };
	pthread_t threads[WORKERS];
	uint64_t spent = 0, requests = WORKERS * (second / 2 / 10);

	(void)state;
	iso_bucket_init(&bucket, ISO_BUDGET_BASE_MILLI, 200, 0);
	for (int i = 0; i < WORKERS; i++) {
		iso_budget_init(&loads[i].purse, &bucket);
		assert_int_equal(pthread_create(&threads[i], NULL, run_load, &loads[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		spent += loads[i].spent;
	}
	assert_in_range(spent, requests / 5 * 9 / 10, requests / 5 + 3 + 2);
	assert_in_range(iso_bucket_level_milli(&bucket), 0, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_with_three),
		cmocka_unit_test(test_unsent_tries_are_free),
		cmocka_unit_test(test_outage),
		cmocka_unit_test(test_idle_time_saves_one_second),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_what_was_not_used_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
