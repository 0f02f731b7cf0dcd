/*
 * Expansion of environment variables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "expand_priv.h"

static int setup(void **state)
{
	(void)state;
	return setenv("ISO_T_A", "alpha", 1) | setenv("ISO_T_EMPTY", "", 1) |
	       setenv("ISO_T_REF", "${ISO_T_A}", 1) | unsetenv("ISO_T_NONE");
}

static void test_good(void **state)
{
	static const char *const cases[][2] = {
		{ "${ISO_T_A}", "alpha" },         { "x${ISO_T_A}y${ISO_T_A}", "xalphayalpha" },
		{ "[${ISO_T_EMPTY}]", "[]" },      { "${ISO_T_REF}", "${ISO_T_A}" }, /* once only */
		{ "$${ISO_T_A}", "${ISO_T_A}" },   { "$$${ISO_T_A}", "$${ISO_T_A}" },
		{ "$${${ISO_T_A}", "${alpha" },    { "$${", "${" },
		{ "$5 ${ISO_T_A}$", "$5 alpha$" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_slice name;
		char *text = NULL;

		assert_int_equal(iso_expand(cases[i][0], false, &text, &name), ISO_OK);
		assert_non_null(text);
		assert_string_equal(text, cases[i][1]);
		free(text);
	}
}

static void test_nothing_to_do(void **state)
{
	static const char *const cases[] = { "", "plain", "$NAME", "$", "$$", "{}", "$ {A}" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_slice name;
		char *text = (char *)1;

		assert_int_equal(iso_expand(cases[i], false, &text, &name), ISO_OK);
		assert_null(text);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *name;
	} cases[] = {
		{ "a${ISO_T_NONE}", ISO_ENOTFOUND, "ISO_T_NONE" },
		{ "${ISO_T_A}${iso_t_a}", ISO_ENOTFOUND, "iso_t_a" },
		{ "x${}", ISO_EBAD, "${}" },
		{ "${", ISO_EBAD, "${" },
		{ "${ISO_T_A", ISO_EBAD, "${ISO_T_A" },
		{ "${1A}", ISO_EBAD, "${1A}" },
		{ "${A-B}", ISO_EBAD, "${A-B}" },
		{ "${ISO_T_A }", ISO_EBAD, "${ISO_T_A }" },
		{ "${${ISO_T_A}}", ISO_EBAD, "${${ISO_T_A}}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_slice name = { NULL, 0 };
		char *text = NULL;

		assert_int_equal(iso_expand(cases[i].text, false, &text, &name), cases[i].err);
		assert_null(text);
		assert_true(iso_slice_eq(name, iso_slice_str(cases[i].name)));
	}
}

static void test_long_name(void **state)
{
	char text[400];
	struct iso_slice name;
	char *out = NULL;

	(void)state;
	memset(text, 'A', sizeof(text));
	memcpy(text, "${", 2);
	text[2 + 255] = '}';
	text[2 + 255 + 1] = '\0';
	assert_int_equal(iso_expand(text, false, &out, &name), ISO_ENOTFOUND);
	text[2 + 255] = 'A';
	text[2 + 256] = '}';
	text[2 + 257] = '\0';
	assert_int_equal(iso_expand(text, false, &out, &name), ISO_EBAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long_name),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
