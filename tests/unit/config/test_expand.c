/*
 * Expansion of environment variables and files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "expand_priv.h"

/* Files "a" and "dollar"; others cannot be read, which the reader has reported. */
static int read_file(void *ctx, struct iso_slice path, char **ret_text)
{
	(void)ctx;
	if (iso_slice_eq(path, ISO_SLICE("a")))
		*ret_text = strdup("s3${cr}et");
	else if (iso_slice_eq(path, ISO_SLICE("dollar")))
		*ret_text = strdup("cash$");
	else
		return ISO_ESYS;
	return *ret_text != NULL ? ISO_OK : ISO_ENOMEM;
}

static const struct iso_expand_files files = { read_file, NULL };

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
		{ "$5 ${ISO_T_A}$", "$5 alpha$" }, { "${file:a}", "s3${cr}et" },
		{ "$${file:a}", "${file:a}" },     { "<${file:a}|${ISO_T_A}>", "<s3${cr}et|alpha>" },
		{ "${file:dollar}{", "cash${" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_slice name;
		char *text = NULL;

		assert_int_equal(iso_expand(cases[i][0], false, &files, &text, &name), ISO_OK);
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

		assert_int_equal(iso_expand(cases[i], false, &files, &text, &name), ISO_OK);
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
		{ "${file:}", ISO_EBAD, "${file:}" },
		{ "${file:a", ISO_EBAD, "${file:a" },
		{ "${File:a}", ISO_EBAD, "${File:a}" },
		{ "${file:none}", ISO_ESYS, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_slice name = { NULL, 0 };
		char *text = NULL;

		assert_int_equal(iso_expand(cases[i].text, false, &files, &text, &name), cases[i].err);
		assert_null(text);
		assert_true(iso_slice_eq(name, iso_slice_str(cases[i].name)));
	}
}

/* A template's variables and literals stay for the template; what is filled in is not one of them. */
static void test_template(void **state)
{
	static const char *const cases[][2] = {
		{ "${region}", "${region}" },
		{ "$${region}", "$${region}" },
		{ "${file:a}-${region}", "s3$${cr}et-${region}" },
		{ "${ISO_T_REF}", "$${ISO_T_A}" },
		{ "${ISO_T_A}${file}", "alpha${file}" },
		{ "${file:dollar}", "cash$" },
		{ "${file:dollar}.", "cash$." },
	};
	struct iso_slice name = { NULL, 0 };
	char *text = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(iso_expand(cases[i][0], true, &files, &text, &name), ISO_OK);
		assert_string_equal(text, cases[i][1]);
		free(text);
	}
	text = NULL;
	assert_int_equal(iso_expand("${file:dollar}${region}", true, &files, &text, &name), ISO_EUNSUPPORTED);
	assert_true(iso_slice_eq(name, ISO_SLICE("${region}")));
	assert_int_equal(iso_expand("${file:none}", true, &files, &text, &name), ISO_ESYS);
	assert_null(text);
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
	assert_int_equal(iso_expand(text, false, &files, &out, &name), ISO_ENOTFOUND);
	text[2 + 255] = 'A';
	text[2 + 256] = '}';
	text[2 + 257] = '\0';
	assert_int_equal(iso_expand(text, false, &files, &out, &name), ISO_EBAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),      cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_bad),       cmocka_unit_test(test_template),
		cmocka_unit_test(test_long_name),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
