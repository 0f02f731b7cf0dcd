/*
 * Texts with variables: what is a variable, what is text, what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/http/template.h"

static struct iso_arena arena;

static int setup(void **state)
{
	(void)state;
	iso_arena_init(&arena, NULL, 100000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iso_arena_done(&arena);
	return 0;
}

/* id is 42, long is 300 bytes, the others nothing. */
static struct iso_slice value(const void *ctx, struct iso_slice name)
{
	static char text[300];

	assert_ptr_equal(ctx, &arena);
	if (iso_slice_eq(name, ISO_SLICE("id")))
		return ISO_SLICE("42");
	if (!iso_slice_eq(name, ISO_SLICE("long")))
		return iso_slice(NULL, 0);
	memset(text, 'l', sizeof(text));
	return iso_slice(text, sizeof(text));
}

static void renders(const char *text, const char *expected)
{
	struct iso_template template;
	struct iso_slice got;

	assert_int_equal(iso_template_parse(&arena, iso_slice_str(text), &template), ISO_OK);
	got = iso_template_render(&template, &arena, value, &arena);
	assert_non_null(got.ptr);
	if (!iso_slice_eq(got, iso_slice_str(expected)))
		fail_msg("%s: %.*s", text, (int)got.len, got.ptr);
}

static void test_variables(void **state)
{
	(void)state;
	renders("${id}", "42");
	renders("/v2/${id}", "/v2/42");
	renders("${id}/x", "42/x");
	renders("${id}${id}", "4242");
	renders("/a/${id}/b/${id}/c", "/a/42/b/42/c");
	renders("${none}", "");
	renders("a${none}b", "ab");
	renders("${a_1}-${z9_}", "-");
}

static void test_text(void **state)
{
	(void)state;
	renders("", "");
	renders("/plain", "/plain");
	renders("$", "$");
	renders("$$", "$$");
	renders("$id", "$id");
	renders("{id}", "{id}");
	renders("a$", "a$");
	renders("}${id}{", "}42{");
	renders("$ {id}", "$ {id}");
}

static void test_two_dollars_are_one(void **state)
{
	(void)state;
	renders("$${", "${");
	renders("$${id}", "${id}");
	renders("a$${id}b", "a${id}b");
	renders("$${id}${id}", "${id}42");
	renders("${id}$${", "42${");
	renders("$$${id}", "$${id}"); /* the last two stand before the brace */
	renders("$${$${$${", "${${${");
	renders("$${not closed", "${not closed");
}

static void test_what_is_no_variable(void **state)
{
	static const char *const texts[] = { "${",       "${}",    "${id",    "a${i",     "${ID}",
					     "${Id}",    "${iD}",  "${1}",    "${1a}",    "${_a}",
					     "${a-b}",   "${a.b}", "${ id}",  "${id }",   "${a b}",
					     "${i${d}}", "${$id}", "${id}${", "${id}${}", "${\xc3}",
					     "x${{id}}" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct iso_template template = { NULL, 77 };

		assert_int_equal(iso_template_parse(&arena, iso_slice_str(texts[i]), &template), ISO_EBAD);
		assert_null(template.parts); /* untouched */
		assert_int_equal(template.n, 77);
	}
}

/* A slice ends where it ends, whatever stands behind it. */
static void test_nothing_behind_the_text_is_read(void **state)
{
	struct iso_template template = { NULL, 77 };
	const char *text = "a${id}";

	(void)state;
	assert_int_equal(iso_template_parse(&arena, iso_slice(text, 5), &template), ISO_EBAD);
	assert_int_equal(iso_template_parse(&arena, iso_slice(text, 3), &template), ISO_EBAD);
	assert_int_equal(iso_template_parse(&arena, iso_slice(text, 2), &template), ISO_OK);
	assert_int_equal(template.n, 1);
	assert_true(iso_slice_eq(template.parts[0].text, ISO_SLICE("a$")));
}

static void test_text_without_variables_is_not_copied(void **state)
{
	const char *text = "/plain";
	struct iso_template template;
	size_t before;

	(void)state;
	assert_int_equal(iso_template_parse(&arena, iso_slice_str(text), &template), ISO_OK);
	before = arena.total - arena.left;
	assert_ptr_equal(iso_template_render(&template, &arena, value, &arena).ptr, text);
	assert_int_equal(arena.total - arena.left, before);
}

static void test_no_memory(void **state)
{
	struct iso_template template = { NULL, 77 };
	struct iso_arena small;

	(void)state;
	iso_arena_init(&small, NULL, 0);
	assert_int_equal(iso_template_parse(&small, ISO_SLICE("${id}"), &template), ISO_ENOMEM);
	assert_int_equal(template.n, 77);
	assert_int_equal(iso_template_parse(&arena, ISO_SLICE("${long}${long}"), &template), ISO_OK);
	assert_null(iso_template_render(&template, &small, value, &arena).ptr);
	iso_arena_done(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_variables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_dollars_are_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_variable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_behind_the_text_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_without_variables_is_not_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
