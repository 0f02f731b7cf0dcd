/*
 * The ring of samples between two threads, and what happens when it is full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <cmocka.h>

#include "iso/upstream/evidence.h"

enum { SAMPLES = 200000 };

static struct iso_evidence evidence;

static void *writer_main(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; i <= SAMPLES; i++) {
		struct iso_sample sample = { .start_us = i, .end_us = i * 2 };

		iso_evidence_push(&evidence, &sample);
	}
	return NULL;
}

static void test_in_order_and_whole(void **state)
{
	struct iso_sample sample;
	uint64_t last = 0, count = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(iso_evidence_init(&evidence), ISO_OK);
	assert_int_equal(pthread_create(&thread, NULL, writer_main, NULL), 0);
	while (count + atomic_load(&evidence.ring.dropped) < SAMPLES) {
		if (!iso_evidence_pop(&evidence, &sample))
			continue;
		assert_true(sample.start_us > last);
		assert_true(sample.end_us == sample.start_us * 2);
		last = sample.start_us;
		count++;
	}
	pthread_join(thread, NULL);
	iso_evidence_done(&evidence);
}

static void test_a_full_ring_drops_and_counts(void **state)
{
	struct iso_sample sample = { .start_us = 1 };
	int count = 0;

	(void)state;
	assert_int_equal(iso_evidence_init(&evidence), ISO_OK);
	for (int i = 0; i < ISO_RING_SAMPLES + 10; i++)
		iso_evidence_push(&evidence, &sample);
	assert_int_equal(atomic_load(&evidence.ring.dropped), 10);
	while (iso_evidence_pop(&evidence, &sample))
		count++;
	assert_int_equal(count, ISO_RING_SAMPLES);
	iso_evidence_done(&evidence);
}

static void test_last_failure(void **state)
{
	(void)state;
	assert_int_equal(iso_evidence_init(&evidence), ISO_OK);
	iso_evidence_note(&evidence, 3, true, false, 10);
	iso_evidence_note(&evidence, 3, true, false, 20);
	iso_evidence_note(&evidence, 3, false, false, 30); /* neither: the failure still was the last word */
	assert_int_equal(atomic_load(&evidence.cells[3].failed_us), 20);
	assert_int_equal(atomic_load(&evidence.cells[2].failed_us), 0);
	iso_evidence_note(&evidence, 3, false, true, 40);
	assert_int_equal(atomic_load(&evidence.cells[3].failed_us), 0);
	iso_evidence_done(&evidence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order_and_whole),
		cmocka_unit_test(test_a_full_ring_drops_and_counts),
		cmocka_unit_test(test_last_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
