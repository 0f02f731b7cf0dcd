/*
 * Which file a place of the whole comes from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "source_priv.h"

static void test_places(void **state)
{
	struct iso_source first = { .name = "main" }, a = { .name = "a" }, b = { .name = "b" };
	const struct iso_origin limits = { NULL, &a, "/limits", 0, 0 };
	const struct iso_origin member = { &limits, &b, "/limits/streams", 0, 0 };
	const struct iso_origin items = { &member, &a, "/routes", 2, 3 };
	const struct iso_origin more = { &items, &b, "/routes", 5, 10 };
	struct iso_sources sources = { .origins = &more };
	static const struct {
		const char *whole, *file, *own;
	} cases[] = {
		{ "", "main", "" },
		{ "/services/s", "main", "/services/s" },
		{ "/limits", "a", "/limits" },
		{ "/limits/connections", "a", "/limits/connections" },
		{ "/limits/streams", "b", "/limits/streams" },
		{ "/limitss", "main", "/limitss" },
		{ "/routes", "main", "/routes" },
		{ "/routes/1/name", "main", "/routes/1/name" },
		{ "/routes/2", "a", "/routes/0" },
		{ "/routes/4/match/path", "a", "/routes/2/match/path" },
		{ "/routes/5/name", "b", "/routes/0/name" },
		{ "/routes/14", "b", "/routes/9" },
		{ "/routes/15", "main", "/routes/15" },
		{ "/routes/x", "main", "/routes/x" },
	};

	(void)state;
	assert_true(iso_sources_add(&sources, &first));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char own[ISO_POINTER_MAX];

		assert_string_equal(iso_sources_of(&sources, cases[i].whole, own)->name, cases[i].file);
		assert_string_equal(own, cases[i].own);
	}
}

static void test_bounds(void **state)
{
	struct iso_source *many = calloc(ISO_SOURCES_MAX + 1, sizeof(*many));
	struct iso_source large = { .text = { "", ISO_SOURCE_BYTES_MAX } }, one = { .text = { "x", 1 } };
	struct iso_sources sources = { .first = NULL };

	(void)state;
	assert_non_null(many);
	for (size_t i = 0; i < ISO_SOURCES_MAX; i++) {
		many[i].device = 1;
		many[i].inode = i; /* 0: no file */
		assert_true(iso_sources_add(&sources, &many[i]));
	}
	assert_false(iso_sources_add(&sources, &many[ISO_SOURCES_MAX]));
	assert_ptr_equal(iso_sources_find(&sources, 1, 7), &many[7]);
	assert_null(iso_sources_find(&sources, 2, 7));
	assert_null(iso_sources_find(&sources, 1, 0));
	iso_sources_done(&sources);
	assert_true(iso_sources_add(&sources, &large));
	assert_false(iso_sources_add(&sources, &one));
	iso_sources_done(&sources);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
