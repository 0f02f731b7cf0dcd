/*
 * Keys without memory: no verdict is given that could let a request run twice, and no answer is lost that was
 * promised.
 */
#include "sweep.h"

#include <sys/stat.h>
#include <unistd.h>

#include "journal_priv.h"

enum { KEYS = 40 };

static const uint64_t seed[2] = { 1, 2 };
static char path[] = "/tmp/isochrone-no-memory-XXXXXX";

static struct iso_ledger_id id_of(uint32_t n)
{
	struct iso_ledger_id id = { { 0 } };

	memcpy(id.bytes, &n, sizeof(n));
	return id;
}

static const struct iso_ledger_entry *entry_of(const struct iso_ledger_table *t, uint32_t key)
{
	struct iso_ledger_id id = id_of(key);

	return iso_hmap_get(&t->map, iso_slice((const char *)id.bytes, sizeof(id.bytes)));
}

static void begin_and_finish(void)
{
	enum iso_ledger_verdict verdicts[KEYS];
	struct iso_ledger_table t;
	const struct iso_ledger_entry *e;

	iso_ledger_table_init(&t, 1 << 20, seed);
	sweep_arm();
	for (uint32_t i = 0; i < KEYS; i++) {
		struct iso_ledger_id id = id_of(i);

		verdicts[i] = iso_ledger_table_begin(&t, &id, &id, 10, 1000, &e);
		if (verdicts[i] == ISO_LEDGER_NEW)
			iso_ledger_table_finish(&t, &id, ISO_LEDGER_DONE, 1000, ISO_SLICE("answer"));
	}
	sweep_disarm();
	for (uint32_t i = 0; i < KEYS; i++) {
		struct iso_ledger_id id = id_of(i);
		enum iso_ledger_verdict again = iso_ledger_table_begin(&t, &id, &id, 11, 1000, &e);

		/* What was let run is remembered, with or without its answer; what was not may come again. */
		if (verdicts[i] != ISO_LEDGER_NEW) {
			assert_true(sweep_failed());
			assert_int_equal(again, ISO_LEDGER_NEW);
		} else if (again == ISO_LEDGER_REPLAY) {
			assert_int_equal(e->len, 6);
			assert_memory_equal(e->answer, "answer", 6);
		} else {
			assert_true(sweep_failed());
			assert_int_not_equal(again, ISO_LEDGER_NEW);
		}
	}
	iso_ledger_table_done(&t);
}

static void put_what_was_kept(void)
{
	struct iso_ledger_table t;
	int err = ISO_OK;
	uint32_t n = 0;

	iso_ledger_table_init(&t, 1 << 20, seed);
	sweep_arm();
	for (; n < KEYS && err == ISO_OK; n++) {
		struct iso_ledger_id id = id_of(n % 30); /* some are replaced */

		err = iso_ledger_table_put(&t, &id, &id, ISO_LEDGER_DONE, 1000, ISO_SLICE("kept"));
	}
	sweep_disarm();
	sweep_tells(err);
	iso_ledger_table_done(&t);
}

/* Notes all entries and reads them back: every note that was taken is there. */
static void write_a_journal(void)
{
	struct iso_ledger_table t, again;
	const struct iso_ledger_entry *e;
	struct iso_journal j, reader;
	const char *why = NULL;
	int noted[KEYS], err;

	assert_int_equal(truncate(path, 0), 0);
	iso_ledger_table_init(&t, 1 << 20, seed);
	iso_ledger_table_init(&again, 1 << 20, seed);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct iso_ledger_id id = id_of(i);

		assert_int_equal(iso_ledger_table_begin(&t, &id, &id, 10, 1000, &e), ISO_LEDGER_NEW);
		iso_ledger_table_finish(&t, &id, ISO_LEDGER_DONE, 1000, ISO_SLICE("answer"));
	}
	sweep_arm();
	err = iso_journal_open(&j, path, &t, 10, 1000, &why);
	for (uint32_t i = 0; err == ISO_OK && i < KEYS; i++)
		noted[i] = iso_journal_note(&j, entry_of(&t, i));
	if (err == ISO_OK) {
		assert_int_equal(iso_journal_flush(&j, false), ISO_OK);
		iso_journal_tidy(&j, &t, 11); /* a failure leaves the old file */
		iso_journal_close(&j);
	}
	sweep_disarm();
	assert_true(err == ISO_OK || (err == ISO_ENOMEM && sweep_failed()));
	assert_int_equal(iso_journal_open(&reader, path, &again, 12, 1000, &why), ISO_OK);
	for (uint32_t i = 0; err == ISO_OK && i < KEYS; i++) {
		assert_true(noted[i] == ISO_OK || (noted[i] == ISO_ENOMEM && sweep_failed()));
		if (noted[i] == ISO_OK)
			assert_non_null(entry_of(&again, i));
	}
	iso_journal_close(&reader);
	iso_ledger_table_done(&t);
	iso_ledger_table_done(&again);
}

/*
 * Reading a journal back: an error, or all of its keys, some perhaps without their answers. An error leaves
 * the file as it is.
 */
static void read_a_journal(void)
{
	struct stat before, after;
	struct iso_ledger_table t;
	struct iso_journal j;
	const char *why = NULL;
	int err;

	assert_int_equal(stat(path, &before), 0);

	iso_ledger_table_init(&t, 1 << 20, seed);
	sweep_arm();
	err = iso_journal_open(&j, path, &t, 12, 1000, &why);
	sweep_disarm();
	assert_true(err == ISO_OK || (err == ISO_ENOMEM && sweep_failed()));
	assert_true(err == ISO_OK || why != NULL);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	if (err == ISO_OK) {
		for (uint32_t i = 0; i < KEYS; i++)
			assert_non_null(entry_of(&t, i));
		iso_journal_close(&j);
	}
	iso_ledger_table_done(&t);
}

static void test_table(void **state)
{
	(void)state;
	sweep(begin_and_finish, KEYS);
	sweep(put_what_was_kept, KEYS);
}

static void test_journal(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	sweep(write_a_journal, 1);
	sweep(read_a_journal, KEYS); /* what the last case wrote: without a failure */
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_table), cmocka_unit_test(test_journal) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
