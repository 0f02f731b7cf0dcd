/*
 * What a journal gives back: after an orderly end, after a kill at any byte, after damage, and written anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "journal_priv.h"

enum { NOW = 1000, TTL = 50, KEYS = 20 };

static const uint64_t seed[2] = { 1, 2 };
static char path[] = "/tmp/isochrone-journal-XXXXXX";
static int directory_syncs;

/* In place of the C library's: counts the directories, once the journal has its name there. */
int fsync(int fd)
{
	char new[64];
	struct stat st;

	(void)snprintf(new, sizeof(new), "%s.new", path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && access(path, F_OK) == 0 && access(new, F_OK) != 0)
		directory_syncs++;
	return 0;
}

static struct iso_ledger_id id_of(uint32_t n)
{
	struct iso_ledger_id id = { { 0 } };

	memcpy(id.bytes, &n, sizeof(n));
	return id;
}

static void open_small(struct iso_journal *j, struct iso_ledger_table *t, uint64_t memory, uint64_t now)
{
	const char *why = "";

	iso_ledger_table_init(t, memory, seed);
	if (iso_journal_open(j, path, t, now, now + TTL, &why) != ISO_OK)
		fail_msg("%s", why);
}

static void open_it(struct iso_journal *j, struct iso_ledger_table *t)
{
	open_small(j, t, 64 << 20, NOW);
}

static void close_it(struct iso_journal *j, struct iso_ledger_table *t)
{
	iso_journal_close(j);
	iso_ledger_table_done(t);
}

static void note(struct iso_journal *j, const struct iso_ledger_table *t, uint32_t key)
{
	struct iso_ledger_id id = id_of(key);
	const struct iso_ledger_entry *e = iso_hmap_get(&t->map,
							iso_slice((const char *)id.bytes, sizeof(id.bytes)));

	assert_non_null(e);
	assert_int_equal(iso_journal_note(j, e), ISO_OK);
	assert_int_equal(iso_journal_flush(j, false), ISO_OK);
}

/* Each key begins and is answered, one after the other. Returns the file's size. */
static long fill(void)
{
	const struct iso_ledger_entry *e;
	struct iso_ledger_table t;
	struct iso_journal j;
	struct stat st;

	open_it(&j, &t);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct iso_ledger_id id = id_of(i), print = id_of(i + 1000);
		char answer[32];

		(void)snprintf(answer, sizeof(answer), "answer %u", i);
		assert_int_equal(iso_ledger_table_begin(&t, &id, &print, NOW, NOW + TTL, &e), ISO_LEDGER_NEW);
		note(&j, &t, i);
		iso_ledger_table_finish(&t, &id, ISO_LEDGER_DONE, NOW + TTL, iso_slice_str(answer));
		note(&j, &t, i);
	}
	close_it(&j, &t);
	assert_int_equal(stat(path, &st), 0);
	return (long)st.st_size;
}

/* How key i stands now: REPLAY with its own answer, LOST, or NEW. */
static enum iso_ledger_verdict look(struct iso_ledger_table *t, uint32_t i)
{
	struct iso_ledger_id id = id_of(i), print = id_of(i + 1000);
	const struct iso_ledger_entry *e = NULL;
	enum iso_ledger_verdict v = iso_ledger_table_begin(t, &id, &print, NOW, NOW + TTL, &e);
	char answer[32];

	if (v == ISO_LEDGER_REPLAY) {
		(void)snprintf(answer, sizeof(answer), "answer %u", i);
		assert_int_equal(e->len, strlen(answer));
		assert_memory_equal(e->answer, answer, e->len);
	}
	return v;
}

static void copy(const char *from, const char *to, long size)
{
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	char *bytes = malloc((size_t)size + 1);

	assert_true(in != NULL && out != NULL && bytes != NULL);
	assert_int_equal(fread(bytes, 1, (size_t)size, in), size);
	assert_int_equal(fwrite(bytes, 1, (size_t)size, out), size);
	(void)fclose(in);
	(void)fclose(out);
	free(bytes);
}

/* Killed at any byte: what was whole is there, in order, at most one key is unknown, the rest never came. */
static void test_cut_at_every_byte(void **state)
{
	struct iso_ledger_table t;
	struct iso_journal j;
	char whole[64];
	long size;

	(void)state;
	(void)unlink(path);
	size = fill();
	(void)snprintf(whole, sizeof(whole), "%s.whole", path);
	copy(path, whole, size);
	for (long cut = size; cut >= 8; cut -= cut > size - 300 ? 1 : 37) {
		uint32_t i = 0, lost = 0;

		copy(whole, path, cut);
		open_it(&j, &t);
		while (i < KEYS && look(&t, i) == ISO_LEDGER_REPLAY)
			i++;
		if (i < KEYS && look(&t, i) != ISO_LEDGER_BUSY) /* the look before has begun it, if it was new
								 */
			lost++;
		for (uint32_t k = i + 1; k < KEYS; k++)
			assert_int_equal(look(&t, k), ISO_LEDGER_NEW);
		assert_true(lost <= 1);
		assert_true(cut < size || i == KEYS);
		close_it(&j, &t);
	}
	(void)unlink(whole);
}

/* How the key stands at that time; what is new begins. */
static enum iso_ledger_verdict ask(struct iso_ledger_table *t, uint32_t i, uint64_t now)
{
	struct iso_ledger_id id = id_of(i), print = id_of(i + 1000);
	const struct iso_ledger_entry *e = NULL;

	return iso_ledger_table_begin(t, &id, &print, now, now + TTL, &e);
}

/* One key runs when the process is killed; all others have come since and are answered. */
static void run_and_fill(void)
{
	struct iso_ledger_table t;
	struct iso_journal j;

	(void)unlink(path);
	open_it(&j, &t);
	assert_int_equal(ask(&t, KEYS, NOW), ISO_LEDGER_NEW);
	note(&j, &t, KEYS);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct iso_ledger_id id = id_of(i);

		assert_int_equal(ask(&t, i, NOW), ISO_LEDGER_NEW);
		note(&j, &t, i);
		iso_ledger_table_finish(&t, &id, ISO_LEDGER_SPENT, NOW + TTL, ISO_SLICE(""));
		note(&j, &t, i);
	}
	close_it(&j, &t);
}

/* What others have pushed out of the memory since is not what ran: that was safe from them. */
static void test_what_ran_is_known_in_a_memory_that_is_too_small(void **state)
{
	struct iso_ledger_table t;
	struct iso_journal j;

	(void)state;
	run_and_fill();
	for (int restarts = 0; restarts < 2; restarts++) {
		open_small(&j, &t, 4 * (sizeof(struct iso_ledger_entry) + 128), NOW);
		assert_true(t.evicted > 0);
		assert_int_equal(ask(&t, KEYS, NOW), ISO_LEDGER_LOST);
		close_it(&j, &t);
	}
}

/* What runs does not expire; what was interrupted does, so long after the restart that found it. */
static void test_what_ran_is_known_beyond_its_time(void **state)
{
	enum { LATER = NOW + 10 * TTL };
	struct iso_ledger_table t;
	struct iso_journal j;

	(void)state;
	run_and_fill();
	open_small(&j, &t, 64 << 20, LATER);
	assert_int_equal(ask(&t, KEYS, LATER + TTL - 1), ISO_LEDGER_LOST);
	assert_int_equal(ask(&t, 0, LATER), ISO_LEDGER_NEW);
	close_it(&j, &t);
	open_small(&j, &t, 64 << 20, LATER + TTL - 1); /* a second restart does not count anew */
	assert_int_equal(ask(&t, KEYS, LATER + TTL - 1), ISO_LEDGER_LOST);
	assert_int_equal(ask(&t, KEYS, LATER + TTL), ISO_LEDGER_NEW);
	close_it(&j, &t);
}

/* It cannot be remembered, so nothing is: the file stays. */
static void test_a_memory_too_small_for_what_ran(void **state)
{
	const char *why = "";
	struct iso_ledger_table t;
	struct iso_journal j;
	struct stat before, after;

	(void)state;
	(void)unlink(path);
	open_it(&j, &t);
	for (uint32_t i = 0; i < KEYS; i++) {
		assert_int_equal(ask(&t, i, NOW), ISO_LEDGER_NEW);
		note(&j, &t, i);
	}
	close_it(&j, &t);
	assert_int_equal(stat(path, &before), 0);
	iso_ledger_table_init(&t, 4 * (sizeof(struct iso_ledger_entry) + 128), seed);
	assert_int_equal(iso_journal_open(&j, path, &t, NOW, NOW + TTL, &why), ISO_ENOMEM);
	assert_non_null(strstr(why, "idempotency.memory"));
	iso_ledger_table_done(&t);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	open_it(&j, &t);
	for (uint32_t i = 0; i < KEYS; i++)
		assert_int_equal(ask(&t, i, NOW), ISO_LEDGER_LOST);
	close_it(&j, &t);
}

static void test_damage_ends_it(void **state)
{
	struct iso_ledger_table t;
	struct iso_journal j;
	FILE *f;
	long size;

	(void)state;
	(void)unlink(path);
	size = fill();
	f = fopen(path, "r+b");
	assert_non_null(f);
	(void)fseek(f, size / 2, SEEK_SET);
	(void)fputc('!', f);
	(void)fclose(f);
	open_it(&j, &t);
	assert_int_equal(look(&t, 0), ISO_LEDGER_REPLAY);
	assert_int_equal(look(&t, KEYS - 1), ISO_LEDGER_NEW);
	note(&j, &t, KEYS - 1); /* what comes now stands where the damage was */
	close_it(&j, &t);
	open_it(&j, &t);
	assert_int_equal(look(&t, KEYS - 1), ISO_LEDGER_LOST);
	close_it(&j, &t);
}

static void test_not_a_journal(void **state)
{
	const char *why = "";
	struct iso_ledger_table t;
	struct iso_journal j;
	FILE *f = fopen(path, "wb");

	(void)state;
	assert_non_null(f);
	(void)fputs("a file of somebody else's", f);
	(void)fclose(f);
	iso_ledger_table_init(&t, 1 << 20, seed);
	assert_int_not_equal(iso_journal_open(&j, path, &t, NOW, NOW + TTL, &why), ISO_OK);
	assert_non_null(strstr(why, "not a journal"));
	assert_int_not_equal(iso_journal_open(&j, "/nowhere/keys", &t, NOW, NOW + TTL, &why), ISO_OK);
	assert_non_null(strstr(why, "cannot be opened"));
	iso_ledger_table_done(&t);
}

/* Written over and over it is written anew, and says the same. */
static void test_tidy(void **state)
{
	struct iso_ledger_table t;
	struct iso_journal j;
	uint64_t most = 0;
	struct stat st;

	(void)state;
	(void)unlink(path);
	directory_syncs = 0;
	(void)fill();
	assert_int_equal(directory_syncs, 1);
	open_it(&j, &t);
	directory_syncs = 0;
	for (int i = 0; i < 100000; i++) {
		note(&j, &t, (uint32_t)i % KEYS);
		most = j.size > most ? j.size : most;
		if (i % 100 == 0)
			iso_journal_tidy(&j, &t, NOW);
	}
	close_it(&j, &t);
	assert_int_equal(stat(path, &st), 0);
	assert_true(most < 3 << 20 && st.st_size < 3 << 20);
	assert_true(directory_syncs > 0); /* or a power failure would bring the old file back */
	open_it(&j, &t);
	for (uint32_t i = 0; i < KEYS; i++)
		assert_int_equal(look(&t, i), ISO_LEDGER_REPLAY);
	close_it(&j, &t);
}

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_what_ran_is_known_in_a_memory_that_is_too_small),
		cmocka_unit_test(test_what_ran_is_known_beyond_its_time),
		cmocka_unit_test(test_a_memory_too_small_for_what_ran),
		cmocka_unit_test(test_damage_ends_it),
		cmocka_unit_test(test_not_a_journal),
		cmocka_unit_test(test_tidy),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
