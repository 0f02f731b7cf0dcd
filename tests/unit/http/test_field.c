/*
 * Field lists and the table of known names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "iso/base/err.h"
#include "iso/http/field.h"

static void test_every_known_name_is_found(void **state)
{
	(void)state;
	for (int id = 1; id < ISO_FIELD_COUNT; id++) {
		struct iso_slice name = iso_field_name((enum iso_field_id)id);
		char near[64];

		assert_int_equal(iso_field_id(name), id);
		/* A name that differs in its last letter is another one. */
		snprintf(near, sizeof(near), "%.*s", ISO_SLICE_FMT(name));
		near[name.len - 1] = '~';
		assert_int_equal(iso_field_id(iso_slice(near, name.len)), ISO_FIELD_OTHER);
	}
	assert_int_equal(iso_field_id(ISO_SLICE("")), ISO_FIELD_OTHER);
}

static void test_lists(void **state)
{
	struct iso_fields fields = { 0 };
	struct iso_arena arena;

	(void)state;
	iso_arena_init(&arena, NULL, 1 << 20);
	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "X-%d", i % 10);
		assert_int_equal(iso_fields_add_copy(&fields, &arena, iso_slice_str(name), ISO_SLICE("v")),
				 ISO_OK);
	}
	assert_int_equal(fields.n, 100);
	assert_int_equal(iso_fields_remove_name(&fields, ISO_SLICE("x-3")), 10);
	assert_null(iso_fields_find(&fields, ISO_SLICE("x-3")));
	assert_true(iso_slice_eq(fields.v[3].name, ISO_SLICE("x-4"))); /* the order is kept */
	assert_int_equal(iso_fields_remove(&fields, ISO_FIELD_HOST), 0);
	iso_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_known_name_is_found),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
