/*
 * JSON pointers: RFC 6901 section 3 escapes, and the bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pointer_priv.h"

static void test_escapes_and_cut(void **state)
{
	struct iso_pointer p = { .len = 0 };
	size_t mark, inner;

	(void)state;
	mark = iso_pointer_key(&p, ISO_SLICE("a/b"));
	assert_int_equal(mark, 0);
	inner = iso_pointer_key(&p, ISO_SLICE("m~n"));
	iso_pointer_index(&p, 10);
	iso_pointer_key(&p, ISO_SLICE(""));
	assert_string_equal(p.text, "/a~1b/m~0n/10/");
	iso_pointer_cut(&p, inner);
	assert_string_equal(p.text, "/a~1b");
	iso_pointer_cut(&p, mark);
	assert_string_equal(p.text, "");
}

static void test_too_long_stops_at_an_ancestor(void **state)
{
	struct iso_pointer p = { .len = 0 };
	char name[ISO_POINTER_MAX];
	size_t mark;

	(void)state;
	memset(name, '~', sizeof(name));
	iso_pointer_key(&p, ISO_SLICE("a"));
	mark = iso_pointer_key(&p, iso_slice(name, sizeof(name)));
	assert_string_equal(p.text, "/a");
	iso_pointer_key(&p, ISO_SLICE("b")); /* would name a member of the wrong object */
	assert_string_equal(p.text, "/a");
	iso_pointer_cut(&p, mark);
	iso_pointer_key(&p, ISO_SLICE("b"));
	assert_string_equal(p.text, "/a/b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escapes_and_cut),
		cmocka_unit_test(test_too_long_stops_at_an_ancestor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
