/*
 * Diagnostics: by place, bounded, with their mend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/base/diag.h"

static char *printed(struct iso_diag *diag)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	iso_diag_print(diag, out);
	fclose(out);
	return text;
}

static void test_sorted_by_place_with_mend(void **state)
{
	struct iso_diag diag;
	char *text;

	(void)state;
	assert_int_equal(iso_diag_init(&diag, "f.json", 10), ISO_OK);
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 9, 2, "/b", NULL }, "second %d|do %s", 2,
		     "that");
	iso_diag_add(&diag, ISO_DIAG_NOTE, (struct iso_diag_place){ 3, 5, "", NULL }, "first");
	text = printed(&diag);
	assert_string_equal(text, "f.json:3:5: note: first\nf.json:9:2: error at /b: second 2; do that\n");
	assert_int_equal(diag.errors, 1);
	free(text);
	iso_diag_done(&diag);
}

static void test_columns_order_one_line(void **state)
{
	const unsigned int columns[] = { 7, 2, 9, 1 };
	struct iso_diag diag;
	char *text;

	(void)state;
	assert_int_equal(iso_diag_init(&diag, "f", 9), ISO_OK);
	for (int i = 0; i < 4; i++)
		iso_diag_add(&diag, ISO_DIAG_NOTE, (struct iso_diag_place){ 4, columns[i], "", NULL }, "x");
	text = printed(&diag);
	assert_string_equal(text, "f:4:1: note: x\nf:4:2: note: x\nf:4:7: note: x\nf:4:9: note: x\n");
	free(text);
	iso_diag_done(&diag);
}

static void test_more_than_fits_is_counted(void **state)
{
	struct iso_diag diag;
	char *text;

	(void)state;
	assert_int_equal(iso_diag_init(&diag, "f", 1), ISO_OK);
	for (int i = 0; i < 3; i++)
		iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 1, 1, "", NULL }, "x");
	assert_int_equal(diag.errors, 3);
	text = printed(&diag);
	assert_non_null(strstr(text, "f: 2 more\n"));
	free(text);
	iso_diag_done(&diag);
	iso_diag_done(NULL);
}

/* The file's own words may hold a bar: only the format's cuts. */
static void test_a_bar_in_an_argument_cuts_nothing(void **state)
{
	struct iso_diag diag;
	char *text;

	(void)state;
	assert_int_equal(iso_diag_init(&diag, "f", 9), ISO_OK);
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 1, 1, "/h", NULL },
		     "\"%s\" is no host|write %s", "a|b", "c|d");
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 2, 1, "", NULL }, "%s",
		     "no mend | here");
	text = printed(&diag);
	assert_string_equal(text, "f:1:1: error at /h: \"a|b\" is no host; write c|d\n"
				  "f:2:1: error: no mend | here\n");
	free(text);
	iso_diag_done(&diag);
}

static void test_long_messages_are_cut(void **state)
{
	struct iso_diag diag;
	char *text, words[3000];

	(void)state;
	memset(words, 'w', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	assert_int_equal(iso_diag_init(&diag, "f", 9), ISO_OK);
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 1, 1, "", NULL }, "%s|mend", words);
	text = printed(&diag);
	assert_in_range(strlen(text), 900, 1100);
	assert_null(strstr(text, "mend"));
	free(text);
	iso_diag_done(&diag);
}

static void test_several_files(void **state)
{
	struct iso_diag diag;
	char *text;

	(void)state;
	assert_int_equal(iso_diag_init(&diag, "main", 9), ISO_OK);
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 1, 1, "", "b" }, "x");
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 2, 1, "", "a" }, "x");
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 9, 1, "", NULL }, "x");
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 1, 1, "", "a" }, "x");
	text = printed(&diag);
	assert_string_equal(text, "main:9:1: error: x\na:1:1: error: x\na:2:1: error: x\nb:1:1: error: x\n");
	free(text);
	iso_diag_done(&diag);
}

static void test_for_machines(void **state)
{
	struct iso_diag diag;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(iso_diag_init(&diag, "f\"\xff", 2), ISO_OK);
	iso_diag_add(&diag, ISO_DIAG_NOTE, (struct iso_diag_place){ 1, 2, "/a", "g" }, "n|m");
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 3, 4, "/b\\", NULL }, "\"\n%s|", "\t");
	iso_diag_add(&diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 5, 6, "", NULL }, "no room");
	assert_int_equal(iso_diag_print_json(&diag, false, out), ISO_OK);
	fclose(out);
	assert_string_equal(text,
			    "{ \"file\": \"f\\\"\\ufffd\", \"good\": false,\n  \"errors\": [\n"
			    "  { \"file\": \"f\\\"\\ufffd\", \"line\": 3, \"column\": 4, "
			    "\"pointer\": \"/b\\\\\", \"message\": \"\\\"\\n\\t\", \"mend\": \"\" }],\n"
			    "  \"notes\": [\n  { \"file\": \"g\", \"line\": 1, \"column\": 2, "
			    "\"pointer\": \"/a\", \"message\": \"n\", \"mend\": \"m\" }], \"more\": 1 }\n");
	free(text);
	iso_diag_done(&diag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorted_by_place_with_mend),
		cmocka_unit_test(test_columns_order_one_line),
		cmocka_unit_test(test_more_than_fits_is_counted),
		cmocka_unit_test(test_a_bar_in_an_argument_cuts_nothing),
		cmocka_unit_test(test_long_messages_are_cut),
		cmocka_unit_test(test_several_files),
		cmocka_unit_test(test_for_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
