/*
 * Counters: what is counted where, the histogram's bounds, sums over threads, fresh starts, and one writer
 * with a reader beside it (for ThreadSanitizer).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iso/telemetry/metrics.h"

static struct iso_metrics one, two;
static const struct iso_metrics *const both[] = { &one, &two };

static int setup(void **state)
{
	(void)state;
	assert_int_equal(iso_metrics_init(&one), ISO_OK);
	assert_int_equal(iso_metrics_init(&two), ISO_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iso_metrics_done(&one);
	iso_metrics_done(&two);
	return 0;
}

static struct iso_metrics_sums sums_of(uint32_t row)
{
	struct iso_metrics_sums sums;

	iso_metrics_sum_row(both, 2, row, &sums);
	return sums;
}

static void test_done_takes_null_and_zeroed(void **state)
{
	static struct iso_metrics zeroed;

	(void)state;
	iso_metrics_done(NULL);
	iso_metrics_done(&zeroed);
}

static void test_table(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ISO_METRIC_COUNT; i++) {
		const struct iso_metric_info *info = iso_metric_info((enum iso_metric)i);
		size_t len = strlen(info->name);
		int total = len > 6 && strcmp(info->name + len - 6, "_total") == 0;

		assert_int_equal(strncmp(info->name, "isochrone_", 10), 0);
		/* Counters end in _total and nothing else does (Prometheus, naming practice). */
		assert_int_equal(total, info->type == ISO_METRIC_COUNTER);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(info->name, iso_metric_info((enum iso_metric)j)->name);
	}
	assert_string_equal(iso_metric_info(ISO_METRIC_REQUESTS)->labels, "service,region,code");
	assert_int_equal(ISO_METRICS_BUCKETS, 15);
}

static void test_requests_by_exact_status(void **state)
{
	struct iso_metrics_sums sums;

	(void)state;
	assert_int_equal(iso_metrics_bind(&one, 3), ISO_OK);
	assert_int_equal(iso_metrics_bind(&two, 3), ISO_OK);
	iso_metrics_request(&one, 3, 200);
	iso_metrics_request(&two, 3, 200);
	iso_metrics_request(&two, 3, 100);
	iso_metrics_request(&two, 3, 599);
	sums = sums_of(3);
	assert_int_equal(sums.codes[100], 2);
	assert_int_equal(sums.codes[0], 1);
	assert_int_equal(sums.codes[499], 1);
	assert_int_equal(sums.codes[101], 0);
}

static void test_impossible_statuses_are_other(void **state)
{
	static const unsigned odd[] = { 0, 1, 99, 600, 999, 65535, 4294967295U };
	struct iso_metrics_sums sums;

	(void)state;
	assert_int_equal(iso_metrics_bind(&one, 0), ISO_OK);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		iso_metrics_request(&one, 0, odd[i]);
	sums = sums_of(0);
	assert_int_equal(sums.codes[ISO_METRICS_CODES - 1], 7);
	for (size_t i = 0; i < ISO_METRICS_CODES - 1; i++)
		assert_int_equal(sums.codes[i], 0);
}

static void test_unbound_row_counts_under_no_service(void **state)
{
	(void)state;
	iso_metrics_request(&one, 7, 404);
	assert_int_equal(sums_of(7).codes[304], 0);
	assert_int_equal(sums_of(ISO_METRICS_ROWS - 1).codes[304], 1);
	/* Bound later: from then on in its own row. */
	assert_int_equal(iso_metrics_bind(&one, 7), ISO_OK);
	iso_metrics_request(&one, 7, 404);
	assert_int_equal(sums_of(7).codes[304], 1);
	assert_int_equal(sums_of(ISO_METRICS_ROWS - 1).codes[304], 1);
}

static void test_service_rows(void **state)
{
	(void)state;
	assert_int_equal(iso_metrics_service_row(0), 64);
	assert_int_equal(iso_metrics_service_row(63), 127);
	assert_int_equal(iso_metrics_service_row(64), 128);
	assert_int_equal(iso_metrics_service_row(UINT32_MAX), 128);
	assert_int_equal(ISO_METRICS_ROWS, 129);
	assert_int_equal(iso_metrics_bind(&one, iso_metrics_service_row(5)), ISO_OK);
	iso_metrics_retry(&one, 5, 15);
	iso_metrics_retry(&one, 5, 0);
	iso_metrics_retry(&one, 5, 0);
	assert_int_equal(sums_of(69).retries[15], 1);
	assert_int_equal(sums_of(69).retries[0], 2);
	assert_int_equal(sums_of(69).retries[1], 0);
	iso_metrics_not_retried(&one, 5, 9);
	assert_int_equal(sums_of(69).stays[9], 1);
	assert_int_equal(sums_of(69).retries[9], 0);
}

static void test_bucket_bounds_are_inclusive(void **state)
{
	static const uint64_t bounds[] = { 1000,   2500,   5000,    10000,   25000,   50000,    100000,
					   250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000 };

	(void)state;
	assert_int_equal(iso_metrics_bucket(0), 0);
	for (size_t i = 0; i < 14; i++) {
		assert_int_equal(iso_metrics_bucket(bounds[i] - 1), i);
		assert_int_equal(iso_metrics_bucket(bounds[i]), i);
		assert_int_equal(iso_metrics_bucket(bounds[i] + 1), i + 1);
	}
	assert_int_equal(iso_metrics_bucket(UINT64_MAX), 14);
}

static void test_attempts(void **state)
{
	struct iso_metrics_sums sums;

	(void)state;
	assert_int_equal(iso_metrics_bind(&one, 63), ISO_OK);
	assert_int_equal(iso_metrics_bind(&two, 63), ISO_OK);
	iso_metrics_attempt(&one, 63, 0, 700);
	iso_metrics_attempt(&one, 63, 15, 1300);
	iso_metrics_attempt(&two, 63, 0, 40000000);
	sums = sums_of(63);
	assert_int_equal(sums.outcomes[0], 2);
	assert_int_equal(sums.outcomes[15], 1);
	iso_metrics_executed(&one, 63, 1);
	iso_metrics_executed(&two, 63, 1);
	assert_int_equal(sums_of(63).executed[1], 2);
	assert_int_equal(sums_of(63).executed[0], 0);
	assert_int_equal(sums.buckets[0], 1);
	assert_int_equal(sums.buckets[1], 1);
	assert_int_equal(sums.buckets[14], 1);
	assert_int_equal(sums.duration_us, 40002000);
}

static void test_gauge_goes_up_here_and_down_there(void **state)
{
	(void)state;
	iso_metrics_add(&one, ISO_METRIC_IN_FLIGHT, 5);
	iso_metrics_add(&two, ISO_METRIC_IN_FLIGHT, -2);
	assert_int_equal(iso_metrics_sum(both, 2, ISO_METRIC_IN_FLIGHT), 3);
	iso_metrics_add(&two, ISO_METRIC_IN_FLIGHT, -4);
	assert_int_equal(iso_metrics_sum(both, 2, ISO_METRIC_IN_FLIGHT), -1);
	assert_int_equal(iso_metrics_sum(both, 0, ISO_METRIC_IN_FLIGHT), 0);
	iso_metrics_count(&one, ISO_METRIC_HANDSHAKE_FAILURES);
	assert_int_equal(iso_metrics_sum(both, 2, ISO_METRIC_HANDSHAKE_FAILURES), 1);
}

static void test_probes_and_reloads(void **state)
{
	(void)state;
	assert_int_equal(iso_metrics_bind(&two, 1), ISO_OK);
	iso_metrics_probe(&two, 1, ISO_PROBE_RESULT_FAIL);
	assert_int_equal(sums_of(1).probes[ISO_PROBE_RESULT_FAIL], 1);
	assert_int_equal(sums_of(1).probes[ISO_PROBE_RESULT_PASS], 0);
	iso_metrics_reload(&two, ISO_RELOAD_RESULT_REJECTED);
	assert_int_equal(iso_metrics_sum_reloads(both, 2, ISO_RELOAD_RESULT_REJECTED), 1);
	assert_int_equal(iso_metrics_sum_reloads(both, 2, ISO_RELOAD_RESULT_OK), 0);
}

static void test_binding_again_keeps_counts(void **state)
{
	(void)state;
	assert_int_equal(iso_metrics_bind(&one, 9), ISO_OK);
	iso_metrics_request(&one, 9, 200);
	assert_int_equal(iso_metrics_bind(&one, 9), ISO_OK);
	assert_int_equal(sums_of(9).codes[100], 1);
}

static void test_restart_begins_at_zero(void **state)
{
	(void)state;
	iso_metrics_restart(&one, 9); /* not bound: nothing to do */
	assert_int_equal(iso_metrics_bind(&one, 9), ISO_OK);
	iso_metrics_request(&one, 9, 200);
	iso_metrics_attempt(&one, 9, 1, 5);
	iso_metrics_restart(&one, 9);
	/* Zeros for a reader even before the writer comes by again. */
	assert_int_equal(sums_of(9).codes[100], 0);
	assert_int_equal(sums_of(9).outcomes[1], 0);
	iso_metrics_request(&one, 9, 503);
	assert_int_equal(sums_of(9).codes[100], 0);
	assert_int_equal(sums_of(9).codes[403], 1);
	assert_int_equal(sums_of(9).outcomes[1], 0);
	assert_int_equal(sums_of(9).duration_us, 0);
	iso_metrics_restart(&one, 9);
	iso_metrics_restart(&one, 9);
	iso_metrics_probe(&one, 9, ISO_PROBE_RESULT_PASS);
	assert_int_equal(sums_of(9).codes[403], 0);
	assert_int_equal(sums_of(9).probes[ISO_PROBE_RESULT_PASS], 1);
}

enum { ROUNDS = 20000 };

static void *writer(void *arg)
{
	struct iso_metrics *m = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		iso_metrics_request(m, 2, 200);
		iso_metrics_attempt(m, 2, i & 15, i);
		iso_metrics_count(m, ISO_METRIC_DOWNSTREAM_ACCEPTED);
	}
	return NULL;
}

/* The control thread binds and reads while two writers count; no count goes back, none is lost. */
static void test_two_writers_and_a_reader(void **state)
{
	pthread_t threads[2];
	uint64_t last = 0, all;
	int64_t accepted = 0, was;

	(void)state;
	assert_int_equal(pthread_create(&threads[0], NULL, writer, &one), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, writer, &two), 0);
	assert_int_equal(iso_metrics_bind(&one, 2), ISO_OK);
	assert_int_equal(iso_metrics_bind(&two, 2), ISO_OK);
	for (int i = 0; i < 200; i++) {
		uint64_t now = sums_of(2).codes[100];

		was = accepted;
		accepted = iso_metrics_sum(both, 2, ISO_METRIC_DOWNSTREAM_ACCEPTED);
		assert_true(now >= last);
		assert_true(accepted >= was);
		last = now;
	}
	assert_int_equal(pthread_join(threads[0], NULL), 0);
	assert_int_equal(pthread_join(threads[1], NULL), 0);
	all = sums_of(2).codes[100] + sums_of(ISO_METRICS_ROWS - 1).codes[100];
	assert_int_equal(all, 2 * ROUNDS);
	assert_int_equal(iso_metrics_sum(both, 2, ISO_METRIC_DOWNSTREAM_ACCEPTED), 2 * ROUNDS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_done_takes_null_and_zeroed),
		cmocka_unit_test(test_table),
		TEST(test_requests_by_exact_status),
		TEST(test_impossible_statuses_are_other),
		TEST(test_unbound_row_counts_under_no_service),
		TEST(test_service_rows),
		TEST(test_bucket_bounds_are_inclusive),
		TEST(test_attempts),
		TEST(test_gauge_goes_up_here_and_down_there),
		TEST(test_probes_and_reloads),
		TEST(test_binding_again_keeps_counts),
		TEST(test_restart_begins_at_zero),
		TEST(test_two_writers_and_a_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
