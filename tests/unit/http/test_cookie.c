/*
 * Cookies of a request: one field or several, the name compared whole, what is not a pair passed over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/http/cookie.h"

/* All values of `name` in the given Cookie fields, joined by '|'. */
static void check(const char *name, const char *const fields[], const char *expected)
{
	struct iso_field v[8];
	struct iso_fields list = { v, 0, 8 };
	struct iso_cookie_walk walk = { 0 };
	struct iso_slice value;
	char all[256] = "";
	size_t n = 0;

	for (; fields[list.n] != NULL; list.n++)
		v[list.n] = (struct iso_field){ .name = ISO_SLICE("cookie"),
						.value = iso_slice_str(fields[list.n]),
						.id = ISO_FIELD_COOKIE };
	v[list.n++] = (struct iso_field){ .name = ISO_SLICE("x"), .value = ISO_SLICE("a=not a cookie") };
	while (iso_cookie_next(&walk, &list, iso_slice_str(name), &value)) {
		assert_true(n + value.len + 2 < sizeof(all));
		memcpy(all + n, value.ptr, value.len);
		n += value.len;
		all[n++] = '|';
	}
	all[n] = '\0';
	assert_string_equal(all, expected);
	assert_false(iso_cookie_next(&walk, &list, iso_slice_str(name), &value));
}

#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_found(void **state)
{
	(void)state;
	check("a", FIELDS("a=1"), "1|");
	check("a", FIELDS("b=2; a=1; c=3"), "1|");
	check("a", FIELDS("b=2;a=1"), "1|");
	check("a", FIELDS("a=1=2"), "1=2|");
	check("a", FIELDS("a="), "|");
	check("a", FIELDS("a=\"1\""), "\"1\"|"); /* quotes are part of the value */
	check("a", FIELDS("b=2", "a=1"), "1|");
	check("a", FIELDS("a=1; b=2; a=3", "c=4", "a=5; d=6"), "1|3|5|");
}

static void test_not_found(void **state)
{
	(void)state;
	check("a", FIELDS(""), "");
	check("a", FIELDS("a"), "");
	check("a", FIELDS("ab=1"), "");
	check("ab", FIELDS("a=1"), "");
	check("a", FIELDS("A=1"), "");
	check("a", FIELDS("b=a=1"), "");
	check("a", FIELDS(";;; ;", "=1", "b=a"), "");
	check("a", FIELDS("a =1"), ""); /* RFC 6265 section 5.4 sends no blank there */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
