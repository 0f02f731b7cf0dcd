/*
 * The page pool: contents, classes, memory given back and kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "iso/base/page_pool.h"

enum { RECORD = 17 * 1024, MANY = 100 };

/* How many of the whole pages from ptr on are in memory. */
static size_t resident(void *ptr, size_t bytes)
{
	unsigned char in[64];
	size_t pages = bytes / ISO_PAGE_BYTES, n = 0;

	assert_true(pages <= sizeof(in));
	assert_int_equal(mincore(ptr, pages * ISO_PAGE_BYTES, in), 0);
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	return n;
}

static void *take_first(void *arg)
{
	(void)arg;
	iso_page_free(iso_page_alloc(RECORD));
	return NULL;
}

/* Must be the first test: a thread makes the regions while this one frees what malloc gave (ThreadSanitizer).
 */
static void test_regions_are_made_beside_a_free(void **state)
{
	void *small[MANY];
	pthread_t thread;

	(void)state;
	for (int i = 0; i < MANY; i++)
		assert_non_null(small[i] = iso_page_alloc(64));
	assert_int_equal(pthread_create(&thread, NULL, take_first, NULL), 0);
	for (int i = 0; i < MANY; i++)
		iso_page_free(small[i]);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_buffers_do_not_overlap(void **state)
{
	uint8_t *at[MANY];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			at[i] = iso_page_alloc(RECORD + (size_t)i);
			assert_non_null(at[i]);
			memset(at[i], i, RECORD + (size_t)i);
		}
		for (int i = 0; i < MANY; i++) {
			for (size_t k = 0; k < RECORD + (size_t)i; k += 97)
				assert_int_equal(at[i][k], (uint8_t)i);
			iso_page_free(at[i]);
		}
	}
}

static void test_discard_keeps_the_address_and_frees_the_memory(void **state)
{
	uint8_t *at = iso_page_alloc(RECORD);

	(void)state;
	assert_int_equal((uintptr_t)at % ISO_PAGE_BYTES, 0);
	memset(at, 1, RECORD);
	assert_int_equal(resident(at, RECORD), RECORD / ISO_PAGE_BYTES);
	iso_page_discard(at);
	assert_int_equal(resident(at, RECORD), 0);
	assert_int_equal(at[0], 0);
	iso_page_free(at);
}

static void test_a_page_is_zeroed_each_time(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		uint8_t *page = iso_page_alloc(ISO_PAGE_BYTES);

		for (size_t k = 0; k < ISO_PAGE_BYTES; k++)
			assert_int_equal(page[k], 0);
		memset(page, 7, ISO_PAGE_BYTES);
		iso_page_free(page);
	}
}

static void test_only_zeros_are_discarded(void **state)
{
	uint8_t *page = iso_page_alloc(ISO_PAGE_BYTES);

	(void)state;
	page[ISO_PAGE_BYTES - 1] = 9;
	iso_page_discard_zero(page);
	assert_int_equal(page[ISO_PAGE_BYTES - 1], 9);
	page[ISO_PAGE_BYTES - 1] = 0;
	assert_int_equal(resident(page, ISO_PAGE_BYTES), 1);
	iso_page_discard_zero(page);
	assert_int_equal(resident(page, ISO_PAGE_BYTES), 0);
	iso_page_free(page);
}

static void test_a_burst_is_given_back(void **state)
{
	uint8_t *at[MANY];
	size_t kept = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		at[i] = iso_page_alloc(RECORD);
		memset(at[i], 1, RECORD);
	}
	for (int i = 0; i < MANY; i++)
		iso_page_free(at[i]);
	for (int i = 0; i < MANY; i++)
		kept += resident(at[i], RECORD) > 0;
	assert_in_range(kept, 1, 32);
}

static void test_realloc_keeps_the_content(void **state)
{
	static const size_t sizes[] = { 100, RECORD, RECORD + 3000, 40 * 1024, 90 * 1024, 200 };
	uint8_t *at = NULL;
	size_t had = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		at = iso_page_realloc(at, sizes[i]);
		assert_non_null(at);
		for (size_t k = 0; k < had && k < sizes[i]; k++)
			assert_int_equal(at[k], 5);
		memset(at, 5, sizes[i]);
		had = sizes[i];
	}
	assert_null(iso_page_realloc(at, 0));
	at = iso_page_alloc(RECORD);
	memset(at, 6, RECORD);
	at = iso_page_realloc(at, 64 * 1024); /* out of its slot */
	assert_int_equal(at[0], 6);
	assert_int_equal(at[RECORD - 1], 6);
	iso_page_free(at);
	iso_page_free(NULL);
}

static void *free_it(void *ptr)
{
	iso_page_free(ptr);
	return NULL;
}

static void test_another_thread_may_free(void **state)
{
	(void)state;
	for (int i = 0; i < MANY; i++) {
		uint8_t *at = iso_page_alloc(RECORD);
		pthread_t thread;

		memset(at, i, RECORD);
		assert_int_equal(pthread_create(&thread, NULL, free_it, at), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions_are_made_beside_a_free),
		cmocka_unit_test(test_buffers_do_not_overlap),
		cmocka_unit_test(test_discard_keeps_the_address_and_frees_the_memory),
		cmocka_unit_test(test_a_page_is_zeroed_each_time),
		cmocka_unit_test(test_only_zeros_are_discarded),
		cmocka_unit_test(test_a_burst_is_given_back),
		cmocka_unit_test(test_realloc_keeps_the_content),
		cmocka_unit_test(test_another_thread_may_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
