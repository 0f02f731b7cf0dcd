/*
 * What is remembered of keys, and what is forgotten when memory ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "table_priv.h"

enum { FINISHED = 120 };

static const uint64_t seed[2] = { 1, 2 };

static struct iso_ledger_id id_of(uint32_t n)
{
	struct iso_ledger_id id = { { 0 } };

	memcpy(id.bytes, &n, sizeof(n));
	return id;
}

static enum iso_ledger_verdict begin(struct iso_ledger_table *t, uint32_t key, uint32_t print, uint64_t now,
				     const struct iso_ledger_entry **ret_entry)
{
	struct iso_ledger_id id = id_of(key), fp = id_of(print);

	return iso_ledger_table_begin(t, &id, &fp, now, now + 100, ret_entry);
}

static void finish(struct iso_ledger_table *t, uint32_t key, enum iso_ledger_state state, const char *answer)
{
	struct iso_ledger_id id = id_of(key);

	iso_ledger_table_finish(t, &id, state, FINISHED, iso_slice_str(answer));
}

static void test_a_keys_life(void **state)
{
	const struct iso_ledger_entry *e = NULL;
	struct iso_ledger_table t;
	struct iso_ledger_id id = id_of(1);

	(void)state;
	iso_ledger_table_init(&t, 1 << 20, seed);
	assert_int_equal(begin(&t, 1, 7, 10, &e), ISO_LEDGER_NEW);
	assert_int_equal(begin(&t, 1, 7, 11, &e), ISO_LEDGER_BUSY);
	assert_int_equal(begin(&t, 1, 8, 11, &e), ISO_LEDGER_MISMATCH);
	assert_int_equal(begin(&t, 1, 7, 5000, &e), ISO_LEDGER_BUSY); /* what runs does not expire */
	finish(&t, 1, ISO_LEDGER_DONE, "answer");
	assert_int_equal(begin(&t, 1, 7, 12, &e), ISO_LEDGER_REPLAY);
	assert_int_equal(e->len, 6);
	assert_memory_equal(e->answer, "answer", 6);
	assert_int_equal(begin(&t, 1, 8, 12, &e), ISO_LEDGER_MISMATCH);
	assert_int_equal(begin(&t, 1, 8, 120, &e), ISO_LEDGER_NEW); /* its time has come: another request may
								       have it */
	iso_ledger_table_release(&t, &id);
	assert_int_equal(begin(&t, 1, 9, 121, &e), ISO_LEDGER_NEW);
	finish(&t, 1, ISO_LEDGER_UNKNOWN, "");
	assert_int_equal(begin(&t, 1, 9, 112, &e), ISO_LEDGER_LOST);
	assert_int_equal(begin(&t, 2, 9, 112, &e), ISO_LEDGER_NEW);
	finish(&t, 2, ISO_LEDGER_SPENT, "");
	assert_int_equal(begin(&t, 2, 9, 112, &e), ISO_LEDGER_GONE);
	iso_ledger_table_done(&t);
}

static void test_least_recently_used_goes_first(void **state)
{
	const struct iso_ledger_entry *e = NULL;
	struct iso_ledger_table t;

	(void)state;
	iso_ledger_table_init(&t, 10 * (sizeof(struct iso_ledger_entry) + 128), seed);
	assert_int_equal(begin(&t, 0, 0, 1, &e), ISO_LEDGER_NEW); /* it runs: it stays whatever comes */
	for (uint32_t i = 1; i < 10; i++) {
		assert_int_equal(begin(&t, i, i, 1, &e), ISO_LEDGER_NEW);
		finish(&t, i, ISO_LEDGER_SPENT, "");
	}
	assert_int_equal(begin(&t, 1, 1, 1, &e), ISO_LEDGER_GONE); /* used just now */
	assert_int_equal(begin(&t, 100, 0, 1, &e), ISO_LEDGER_NEW);
	assert_int_equal(t.evicted, 1);
	assert_int_equal(begin(&t, 0, 0, 1, &e), ISO_LEDGER_BUSY);
	assert_int_equal(begin(&t, 1, 1, 1, &e), ISO_LEDGER_GONE);
	assert_int_equal(begin(&t, 3, 3, 1, &e), ISO_LEDGER_GONE);
	assert_int_equal(begin(&t, 2, 2, 1, &e), ISO_LEDGER_NEW);
	iso_ledger_table_done(&t);
}

/* It ran for longer than it is remembered: that counts from its end. */
static void test_it_is_remembered_from_its_end(void **state)
{
	const struct iso_ledger_entry *e = NULL;
	struct iso_ledger_table t;
	struct iso_ledger_id id = id_of(1);

	(void)state;
	iso_ledger_table_init(&t, 1 << 20, seed);
	assert_int_equal(begin(&t, 1, 7, 10, &e), ISO_LEDGER_NEW);
	iso_ledger_table_finish(&t, &id, ISO_LEDGER_DONE, 600, ISO_SLICE("answer"));
	assert_int_equal(begin(&t, 1, 7, 599, &e), ISO_LEDGER_REPLAY);
	assert_int_equal(begin(&t, 1, 7, 600, &e), ISO_LEDGER_NEW);
	iso_ledger_table_done(&t);
}

/* What ends has just been used, with its answer or without. */
static void test_what_ends_late_goes_late(void **state)
{
	const struct iso_ledger_entry *e = NULL;
	struct iso_ledger_table t;

	(void)state;
	iso_ledger_table_init(&t, 3 * (sizeof(struct iso_ledger_entry) + 128), seed);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(begin(&t, i, i, 1, &e), ISO_LEDGER_NEW);
	finish(&t, 1, ISO_LEDGER_SPENT, "");
	finish(&t, 0, ISO_LEDGER_UNKNOWN, "");
	assert_int_equal(begin(&t, 3, 3, 1, &e), ISO_LEDGER_NEW);
	assert_int_equal(begin(&t, 0, 0, 1, &e), ISO_LEDGER_LOST);
	iso_ledger_table_done(&t);
}

static void test_full_of_what_runs(void **state)
{
	const struct iso_ledger_entry *e = NULL;
	struct iso_ledger_table t;

	(void)state;
	iso_ledger_table_init(&t, 3 * (sizeof(struct iso_ledger_entry) + 128), seed);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(begin(&t, i, i, 1, &e), ISO_LEDGER_NEW);
	assert_int_equal(begin(&t, 3, 3, 1, &e), ISO_LEDGER_FULL);
	finish(&t, 1, ISO_LEDGER_DONE, "no room for that, but it is known that it was answered");
	assert_int_equal(begin(&t, 1, 1, 1, &e), ISO_LEDGER_GONE);
	assert_int_equal(begin(&t, 3, 3, 1, &e), ISO_LEDGER_NEW);
	assert_true(t.bytes <= t.bytes_max);
	iso_ledger_table_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_keys_life),
		cmocka_unit_test(test_least_recently_used_goes_first),
		cmocka_unit_test(test_it_is_remembered_from_its_end),
		cmocka_unit_test(test_what_ends_late_goes_late),
		cmocka_unit_test(test_full_of_what_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
