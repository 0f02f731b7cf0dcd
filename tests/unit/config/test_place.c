/*
 * Places: lines and columns counted by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "place_priv.h"

static const char text[] = "{\n"                                                          /* 1 */
			   "  \"a\": 1,\n"                                                /* 2 */
			   "\t\"b\": [ true, {\"c\" : null}, [] ],\n"                     /* 3 */
			   "  \"d/e\": { \"~\": \"x\" },\n"                               /* 4 */
			   "  \"\\u00e9\\\"\": \"\xc3\xa9\", \"\xc3\xa9\": [\n"           /* 5 */
			   "\"]}\\\"\", 7],\n"                                            /* 6 */
			   "  \"\": {\"\": -1.5e3}, \"\\ud83d\\ude00\": 0, \"a\": 2 }\n"; /* 7 */

static void at(const char *pointer, enum iso_place_of of, uint32_t line, uint32_t column)
{
	struct iso_place place = { 0, 0 };

	assert_true(iso_place_find(iso_slice_str(text), pointer, of, &place));
	assert_int_equal(place.line, line);
	assert_int_equal(place.column, column);
}

static void test_values_and_keys(void **state)
{
	(void)state;
	at("", ISO_PLACE_VALUE, 1, 1);
	at("", ISO_PLACE_KEY, 1, 1);
	at("/b", ISO_PLACE_KEY, 3, 2);
	at("/b", ISO_PLACE_VALUE, 3, 7);
	at("/b/0", ISO_PLACE_VALUE, 3, 9);
	at("/b/0", ISO_PLACE_KEY, 3, 9); /* an item has no key: its value */
	at("/b/1", ISO_PLACE_VALUE, 3, 15);
	at("/b/1/c", ISO_PLACE_KEY, 3, 16);
	at("/b/1/c", ISO_PLACE_VALUE, 3, 22);
	at("/b/2", ISO_PLACE_VALUE, 3, 29);
}

static void test_escapes(void **state)
{
	(void)state;
	at("/d~1e", ISO_PLACE_VALUE, 4, 10);
	at("/d~1e/~0", ISO_PLACE_VALUE, 4, 17);
	at("/\xc3\xa9\"", ISO_PLACE_VALUE, 5, 15);
	at("/\xc3\xa9", ISO_PLACE_KEY, 5, 20); /* a character of two bytes is one column */
	at("/\xc3\xa9/1", ISO_PLACE_VALUE, 6, 9);
	at("/", ISO_PLACE_VALUE, 7, 7);
	at("//", ISO_PLACE_VALUE, 7, 12);
	at("/\xf0\x9f\x98\x80", ISO_PLACE_VALUE, 7, 37);
	at("/a", ISO_PLACE_VALUE, 7, 45); /* of two, the one that counts */
}

static void test_missing_gives_nearest_ancestor(void **state)
{
	static const struct {
		const char *pointer;
		uint32_t line, column;
	} cases[] = {
		{ "/none", 1, 1 },    { "/b/9", 3, 7 },      { "/b/x", 3, 7 },
		{ "/b/2/0", 3, 29 },  { "/b/1/c/d", 3, 22 }, { "/b/1/e", 3, 15 },
		{ "/d~1e/c", 4, 10 }, { "/b/-1", 3, 7 },     { "/b/18446744073709551616", 3, 7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_place place = { 0, 0 };

		assert_false(iso_place_find(iso_slice_str(text), cases[i].pointer, ISO_PLACE_KEY, &place));
		assert_int_equal(place.line, cases[i].line);
		assert_int_equal(place.column, cases[i].column);
	}
}

static void test_any_cut_of_the_text_is_survived(void **state)
{
	static const char *const pointers[] = { "/a", "/b/1/c", "/d~1e/~0", "/\xc3\xa9/1", "//", "/x" };

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = malloc(n + 1); /* exact size: a read beyond is seen by the sanitizer */

		assert_non_null(copy);
		memcpy(copy, text, n);
		for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
			struct iso_place place = { 0, 0 };

			(void)iso_place_find(iso_slice(copy, n), pointers[i], ISO_PLACE_VALUE, &place);
			assert_true(place.line >= 1 && place.line <= 8);
		}
		free(copy);
	}
}

struct seen {
	char pointers[8][64];
	struct iso_place places[8];
	size_t n;
};

static void on_found(void *ctx, const struct iso_pointer *p, struct iso_place place)
{
	struct seen *seen = ctx;

	assert_true(seen->n < 8 && p->len < 64);
	memcpy(seen->pointers[seen->n], p->text, p->len + 1);
	seen->places[seen->n++] = place;
}

static void test_duplicates(void **state)
{
	static const char doc[] = "{ \"a\": {\"x\":1, \"y\":{}, \"x\":2},\n"
				  "  \"b\": [[], {\"k~\":0,\n"
				  "\"k\\u007e\":0}, \"a\"], \"a\": 3, \"a\": [], \"\": 0 }";
	struct seen seen = { .n = 0 };

	(void)state;
	iso_place_duplicates(iso_slice_str(doc), on_found, &seen);
	assert_int_equal(seen.n, 4);
	assert_string_equal(seen.pointers[0], "/a/x");
	assert_int_equal(seen.places[0].line, 1);
	assert_int_equal(seen.places[0].column, 24);
	assert_string_equal(seen.pointers[1], "/b/1/k~0");
	assert_int_equal(seen.places[1].line, 3);
	assert_int_equal(seen.places[1].column, 1);
	assert_string_equal(seen.pointers[2], "/a");
	assert_int_equal(seen.places[2].column, 21);
	assert_string_equal(seen.pointers[3], "/a");
	assert_int_equal(seen.places[3].column, 29);
}

static void test_duplicates_deep_and_none(void **state)
{
	char deep[4001];
	struct seen seen = { .n = 0 };

	(void)state;
	iso_place_duplicates(iso_slice_str(text), on_found, &seen);
	assert_int_equal(seen.n, 1); /* the second "a" */
	seen.n = 0;
	memset(deep, '[', 2000);
	memset(deep + 2000, ']', 2000);
	deep[4000] = '\0';
	iso_place_duplicates(iso_slice_str(deep), on_found, &seen);
	iso_place_duplicates(iso_slice_str("[]"), on_found, &seen);
	iso_place_duplicates(iso_slice_str("{}"), on_found, &seen);
	assert_int_equal(seen.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_and_keys),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_missing_gives_nearest_ancestor),
		cmocka_unit_test(test_any_cut_of_the_text_is_survived),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_duplicates_deep_and_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
