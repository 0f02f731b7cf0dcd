/*
 * Reading and parsing: files that cannot be read, syntax errors, duplicate keys, memory that runs out.
 */
#include "config_help.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

static const char good[] = "{ " LISTEN ", \"services\": { \"s\": { " PAIR " } } }";

static int load_file(const char *path, struct iso_diag *diag, struct iso_snapshot **snapshot)
{
	assert_int_equal(iso_diag_init(diag, path, 10), ISO_OK);
	return iso_config_load(path, diag, snapshot);
}

static void test_files(void **state)
{
	char path[] = "/tmp/iso-load-XXXXXX";
	int fd = mkstemp(path);
	struct iso_snapshot *snapshot = NULL;
	struct iso_diag diag;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, good, sizeof(good) - 1), sizeof(good) - 1);
	assert_int_equal(load_file(path, &diag, &snapshot), ISO_OK);
	assert_slice(snapshot->path, path);
	iso_snapshot_unref(snapshot);
	iso_diag_done(&diag);
	snapshot = NULL;
	assert_int_equal(ftruncate(fd, ISO_CONFIG_FILE_MAX + 1), 0); /* a sparse file */
	assert_int_equal(load_file(path, &diag, &snapshot), ISO_EBAD);
	assert_non_null(strstr(diag.entries[0].message, "larger than 16 MiB"));
	iso_diag_done(&diag);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(load_file(path, &diag, &snapshot), ISO_EBAD);
	assert_int_equal(diag.errors, 1);
	iso_diag_done(&diag);
	close(fd);
	unlink(path);
	assert_int_equal(load_file(path, &diag, &snapshot), ISO_ESYS);
	assert_int_equal(diag.errors, 1);
	assert_non_null(strstr(diag.entries[0].message, "No such file"));
	iso_diag_done(&diag);
	assert_int_equal(load_file("/tmp", &diag, &snapshot), ISO_ESYS); /* a directory */
	assert_int_equal(diag.errors, 1);
	iso_diag_done(&diag);
	assert_null(snapshot);
}

static void test_hash_is_of_the_text(void **state)
{
	struct loaded a = load_good(good), b = load_good(good), c = load_good(WITH("\"workers\": 1"));

	(void)state;
	assert_true(a.snapshot->hash == b.snapshot->hash);
	assert_true(a.snapshot->hash != c.snapshot->hash);
	done(&a);
	done(&b);
	done(&c);
}

static void test_syntax_errors_stand_alone(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
	} cases[] = {
		{ "", 1 },
		{ "{", 1 },
		{ "{ \"wrokers\": 1,\n \"workers\": }", 2 },
		{ "{ \"wrokers\": 1\n \"workers\": 2 }", 2 },
		{ "{ \"wrokers\": 1 }\nx", 2 },
		{ "{ \"workers\": 01 }", 1 },
		{ "{ 'workers': 1 }", 1 },
		{ "{ \"a\": \"\\u0000\" }", 1 },
		{ "{ \"a\": \"\xff\" }", 1 },
		{ "{ \"a\": \"x\n\" }", 1 },
		{ "{ \"a\": 99999999999999999999 }", 1 },
		{ "{ \"a\": 1e999 }", 1 },
		{ "// no comments\n{}", 1 },
		{ "\xef\xbb\xbf{}", 1 },
		{ "7", 1 },
		{ "{ \"a\": 1, \"a\": 2, }", 1 }, /* a duplicate before it is not told */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct loaded l = load(cases[i].text);

		assert_int_equal(l.err, ISO_EBAD);
		assert_int_equal(l.diag.count, 1);
		assert_int_equal(l.diag.entries[0].line, cases[i].line);
		assert_true(l.diag.entries[0].column > 0);
		assert_non_null(strstr(l.diag.entries[0].message, "not JSON"));
		assert_true(strlen(l.diag.entries[0].mend) > 10);
		done(&l);
	}
}

static void test_deep_nesting_is_refused(void **state)
{
	char *text = malloc(200001);
	struct loaded l;

	(void)state;
	assert_non_null(text);
	memset(text, '[', 200000);
	text[200000] = '\0';
	l = load(text);
	assert_int_equal(l.err, ISO_EBAD);
	assert_int_equal(l.diag.count, 1);
	done(&l);
	free(text);
}

static void test_duplicates_are_told_with_the_rest(void **state)
{
	struct loaded l = load("{ " LISTEN ",\n \"workers\": 1, \"workers\": 2,\n \"services\": { \"s\": { "
			       "" PAIR ",\n"
			       " \"timeout\": \"1s\", \"timeout\": \"x\" } },\n \"wrokers\": 2 }");

	(void)state;
	assert_int_equal(l.err, ISO_EBAD);
	assert_int_equal(l.diag.errors, 4);
	assert_int_equal(entry_at(&l, "/workers")->line, 2);
	assert_int_equal(entry_at(&l, "/workers")->column, 16);
	assert_int_equal(entry_at(&l, "/services/s/timeout")->line, 4);
	assert_int_equal(entry_at(&l, "/services/s/timeout")->column, 19);
	assert_int_equal(entry_at(&l, "/wrokers")->line, 5);
	done(&l);
	expect_one(WITH("\"workers\": 1, \"workers\": 2"), "/workers", "already", "remove one");
}

static void test_diagnostics_are_bounded(void **state)
{
	char *text = malloc(65536);
	struct loaded l;
	size_t n = (size_t)snprintf(text, 65536, "{ " LISTEN ", \"services\": { \"s\": { " PAIR " } }");

	(void)state;
	for (int i = 0; i < 500; i++)
		n += (size_t)snprintf(text + n, 65536 - n, ", \"unknown%d\": 1", i);
	(void)snprintf(text + n, 65536 - n, " }");
	l = load(text);
	assert_int_equal(l.err, ISO_EBAD);
	assert_int_equal(l.diag.errors, 500);
	assert_int_equal(l.diag.count, 100);
	done(&l);
	free(text);
}

static void test_long_names_do_not_overflow_a_pointer(void **state)
{
	char *text = malloc(65536), name[5000];
	struct loaded l;

	(void)state;
	assert_non_null(text);
	memset(name, '~', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, 65536,
		       "{ " LISTEN ", \"services\": { \"s\": { " PAIR
		       " }, \"%s\": { \"%s\": 1, \"x\": 1 } }, \"%s\": 2 }",
		       name, name, name);
	l = load(text);
	assert_int_equal(l.err, ISO_EBAD);
	for (size_t i = 0; i < l.diag.count; i++)
		assert_true(l.diag.entries[i].line == 1 && l.diag.entries[i].column >= 1);
	done(&l);
	free(text);
}

static void test_out_of_memory(void **state)
{
	static const char text[] = "{ " LISTEN ", \"services\": { \"s\": { " PAIR
				   ", \"timeout\": \"${HOME}s\", \"timeout\": \"1s\" } }, "
				   "\"routes\": [{ \"service\": \"s\", \"name\": \"n\" }], "
				   "\"wrokers\": 0 }";
	const char *const texts[] = { good, text };

	(void)state;
	json_set_alloc_funcs(failing_malloc, free);
	for (size_t t = 0; t < 2; t++) {
		size_t n = 0;
		int err = ISO_ENOMEM;

		for (bool whole = false; !whole; n++) {
			struct iso_diag diag;
			struct iso_snapshot *snapshot = NULL;

			assert_true(n < 2000);
			assert_int_equal(iso_diag_init(&diag, "x", 10), ISO_OK);
			allocations_left = n;
			err = iso_config_load_text("x", iso_slice_str(texts[t]), &diag, &snapshot);
			whole = allocations_left > 0;
			assert_true(err == ISO_OK ? snapshot != NULL : snapshot == NULL);
			assert_true(err != ISO_EBAD || diag.errors > 0);
			assert_false(t == 1 && err == ISO_OK);
			if (t == 0 && err == ISO_EBAD) /* jansson's lexer takes it for a token that is not
							  valid */
				assert_non_null(strstr(diag.entries[0].message, "not JSON"));
			iso_snapshot_unref(snapshot);
			iso_diag_done(&diag);
		}
		assert_int_equal(err, t == 0 ? ISO_OK : ISO_EBAD);
	}
	json_set_alloc_funcs(malloc, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_hash_is_of_the_text),
		cmocka_unit_test(test_syntax_errors_stand_alone),
		cmocka_unit_test(test_deep_nesting_is_refused),
		cmocka_unit_test(test_duplicates_are_told_with_the_rest),
		cmocka_unit_test(test_diagnostics_are_bounded),
		cmocka_unit_test(test_long_names_do_not_overflow_a_pointer),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
