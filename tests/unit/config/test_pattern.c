/*
 * File names that a pattern stands for, and the content of a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_text_priv.h"
#include "iso/base/secret.h"
#include "pattern_priv.h"

static const char *const names[] = { "b.json", "a.json", "B.json", "10.json", "9.json", ".h.json", "x.txt" };

enum { NAMES = sizeof(names) / sizeof(names[0]) };

static char folder[64], path[128];

static const char *path_of(const char *name)
{
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/iso-pattern-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	for (size_t i = 0; i < NAMES; i++) {
		FILE *file = fopen(path_of(names[i]), "w");

		if (file == NULL || fputs("12345", file) < 0 || fclose(file) != 0)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < NAMES; i++)
		(void)unlink(path_of(names[i]));
	return rmdir(folder);
}

/* The names without the folder, in one text. */
static void expect(const char *pattern, const char *expected)
{
	struct iso_pattern_list list;
	char found[256] = "";
	size_t n = 0;

	assert_int_equal(iso_pattern_find(path_of(pattern), 10, &list), ISO_OK);
	for (size_t i = 0; i < list.n; i++)
		n += (size_t)snprintf(found + n, sizeof(found) - n, "%s ",
				      list.names[i] + strlen(folder) + 1);
	assert_string_equal(found, expected);
	iso_pattern_list_done(&list);
}

static void test_find(void **state)
{
	struct iso_pattern_list list = { NULL, 7 };

	(void)state;
	expect("*.json", "10.json 9.json B.json a.json b.json ");
	expect("?.json", "9.json B.json a.json b.json ");
	expect("[ab].*", "a.json b.json ");
	expect(".*.json", ".h.json ");
	expect("*.yaml", "");
	expect("none/*", "");
	assert_int_equal(iso_pattern_find(path_of("*.json"), 4, &list), ISO_ELIMIT);
	assert_int_equal(iso_pattern_find(path_of("a.json/*"), 4, &list), ISO_ESYS);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(list.n, 7); /* untouched */
}

static void test_what_is_one(void **state)
{
	(void)state;
	assert_true(iso_pattern_is("a*") && iso_pattern_is("a?/b") && iso_pattern_is("[a]"));
	assert_false(iso_pattern_is("a.json") || iso_pattern_is(""));
	assert_true(iso_pattern_dir_is("*/a.json") && iso_pattern_dir_is("/x/[y]/*"));
	assert_false(iso_pattern_dir_is("x/*") || iso_pattern_dir_is("*"));
}

static void test_file_text(void **state)
{
	struct iso_file_text text = { .len = 7 };
	struct stat st;

	(void)state;
	assert_int_equal(iso_file_text(path_of("a.json"), 4, true, &text), ISO_ELIMIT);
	assert_int_equal(iso_file_text(path_of("none"), 5, true, &text), ISO_ESYS);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(iso_file_text("/dev/null", 5, true, &text), ISO_EUNSUPPORTED);
	assert_int_equal(iso_file_text(folder, 5, true, &text), ISO_EUNSUPPORTED);
	assert_int_equal(iso_file_text(folder, 5, false, &text), ISO_ESYS);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(text.len, 7); /* untouched */
	assert_int_equal(iso_file_text("/dev/null", 5, false, &text), ISO_OK);
	assert_int_equal(text.len, 0);
	iso_secret_free(text.bytes);
	assert_int_equal(iso_file_text(path_of("a.json"), 5, true, &text), ISO_OK);
	assert_memory_equal(text.bytes, "12345", 5);
	assert_int_equal(text.len, 5);
	assert_int_equal(stat(path, &st), 0);
	assert_true(text.inode == st.st_ino && text.device == st.st_dev && text.seen != 0);
	iso_secret_free(text.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_what_is_one),
		cmocka_unit_test(test_file_text),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
