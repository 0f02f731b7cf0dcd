/*
 * The schema table's own consistency: what a row may not say, and that defaults fit their rows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "iso/config/schema.h"
#include "units_priv.h"

static void test_rows_are_well_formed(void **state)
{
	size_t roots = 0;

	(void)state;
	for (size_t i = 0; i < iso_schema_count(); i++) {
		const struct iso_schema_key *key = iso_schema_row(i);
		size_t parents = 0;

		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(iso_schema_row(k)->path, key->path);
			parents += iso_schema_is_child(iso_schema_row(k), key);
		}
		roots += parents == 0;
		assert_true(parents <= 1);
		assert_true(strlen(key->doc) > 5 && key->doc[strlen(key->doc) - 1] == '.');
		assert_true(key->min <= key->max);
		assert_true((key->type == ISO_SCHEMA_ENUM) <= (key->values != NULL));
		assert_true((key->type == ISO_SCHEMA_MAP || key->type == ISO_SCHEMA_ARRAY) ==
			    (iso_schema_child(key, ISO_SLICE("")) != NULL));
		assert_false(key->need != ISO_SCHEMA_OPTIONAL && key->fallback != NULL);
		assert_ptr_equal(iso_schema_find(key->path), key);
	}
	assert_int_equal(roots, 1);
	assert_null(iso_schema_find("nothing"));
}

static void test_defaults_fit_their_rows(void **state)
{
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < iso_schema_count(); i++) {
		const struct iso_schema_key *key = iso_schema_row(i);
		json_t *value;
		uint64_t n = 0;

		if (key->fallback == NULL)
			continue;
		value = json_loads(key->fallback, JSON_DECODE_ANY, NULL);
		assert_non_null(value);
		if (key->type == ISO_SCHEMA_DURATION)
			assert_int_equal(iso_unit_duration(iso_slice_str(json_string_value(value)), &n),
					 ISO_OK);
		else if (key->type == ISO_SCHEMA_SIZE)
			assert_int_equal(iso_unit_size(iso_slice_str(json_string_value(value)), &n), ISO_OK);
		else if (key->type == ISO_SCHEMA_INTEGER)
			n = (uint64_t)json_integer_value(value);
		else if (key->type == ISO_SCHEMA_ENUM)
			assert_true(iso_schema_one_of(key->values, iso_slice_str(json_string_value(value))));
		if (n > 0)
			assert_true((double)n >= key->min && (double)n <= key->max);
		json_decref(value);
		seen++;
	}
	assert_true(seen > 20);
}

static void test_children(void **state)
{
	const struct iso_schema_key *root = iso_schema_find("");
	const struct iso_schema_key *key = iso_schema_child(root, ISO_SLICE("services"));

	(void)state;
	assert_string_equal(key->path, "services");
	key = iso_schema_child(key, ISO_SLICE("anything"));
	assert_string_equal(key->path, "services.*");
	assert_null(iso_schema_child(key, ISO_SLICE("interval")));
	assert_null(iso_schema_child(key, ISO_SLICE("health.interval")));
	assert_null(iso_schema_child(key, ISO_SLICE("")));
	assert_null(iso_schema_child(root, ISO_SLICE("service")));
	assert_null(iso_schema_child(root, ISO_SLICE("listeners[]")));
	key = iso_schema_child(iso_schema_find("listeners"), ISO_SLICE(""));
	assert_string_equal(key->path, "listeners[]");
	assert_string_equal(iso_schema_name(key), "[]");
	assert_string_equal(iso_schema_name(iso_schema_find("workers")), "workers");
	assert_string_equal(iso_schema_name(iso_schema_find("limits.streams")), "streams");
}

static void test_suggestions(void **state)
{
	static const char *const cases[][3] = {
		{ "", "wrokers", "workers" },
		{ "", "Services", "services" },
		{ "", "service", "services" },
		{ "", "listener", "listeners" },
		{ "", "xyzzy", NULL },
		{ "", "", NULL },
		{ "services.*.health", "intervall", "interval" },
		{ "services.*.health", "time_out", "timeout" },
		{ "services.*.health", "status", "statuses" },
		{ "services.*", "regoins", "regions" },
		{ "routes[]", "metods", NULL },
		{ "routes[].match", "metods", "methods" },
		{ "services.*.regions.*", "hots", "host" },
	};
	char longer[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *meant = iso_schema_suggest(iso_schema_find(cases[i][0]),
						       iso_slice_str(cases[i][1]));

		if (cases[i][2] == NULL)
			assert_null(meant);
		else
			assert_string_equal(meant, cases[i][2]);
	}
	memset(longer, 'w', sizeof(longer));
	assert_null(iso_schema_suggest(iso_schema_find(""), iso_slice(longer, sizeof(longer))));
}

static void test_one_of(void **state)
{
	(void)state;
	assert_true(iso_schema_one_of("a|bc|d", ISO_SLICE("bc")));
	assert_false(iso_schema_one_of("a|bc|d", ISO_SLICE("b")));
	assert_false(iso_schema_one_of("a|bc|d", ISO_SLICE("a|bc")));
	assert_false(iso_schema_one_of("a|bc|d", ISO_SLICE("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_well_formed),
		cmocka_unit_test(test_defaults_fit_their_rows),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_suggestions),
		cmocka_unit_test(test_one_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
