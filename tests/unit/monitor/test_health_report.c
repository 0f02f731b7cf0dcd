/*
 * Health answers in the forms that services write, and in forms that nobody should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "health_report_priv.h"

static struct iso_health_report report;

static void parse(const char *body)
{
	/* 2027-01-15T08:00:00Z; a check may be a minute old. */
	iso_health_parse(iso_slice_str(body),
			 (struct iso_health_clock){ UINT64_C(1800000000000000), 60000000 }, &report);
}

static enum iso_dependency_state state_of(const char *name)
{
	return iso_health_state_of(&report, iso_slice_str(name));
}

/* draft-inadarei-api-health-check-06 section 5. */
static void test_the_draft(void **state)
{
	(void)state;
	parse("{\"status\":\"warn\",\"version\":\"1\",\"checks\":{"
	      "\"cassandra:responseTime\":[{\"componentId\":\"dfd6cf2b\",\"observedValue\":250,"
	      "\"observedUnit\":\"ms\",\"status\":\"pass\",\"affectedEndpoints\":[\"/never\"]},"
	      "{\"componentId\":\"node-2\",\"status\":\"fail\",\"affectedEndpoints\":[\"/users/{userId}\","
	      "\"https://api.example.com/orders/*?x=1\",\"nonsense\",7]}],"
	      "\"cpu:utilization\":[{\"status\":\"warn\",\"observedValue\":85,\"observedUnit\":"
	      "\"percent\"}]}}");
	assert_null(report.error);
	assert_int_equal(report.state, ISO_DEPENDENCY_WARN);
	assert_int_equal(report.n, 3);
	assert_int_equal(state_of("cassandra"), ISO_DEPENDENCY_FAIL);
	assert_int_equal(state_of("dfd6cf2b"), ISO_DEPENDENCY_PASS);
	assert_int_equal(state_of("node-2"), ISO_DEPENDENCY_FAIL);
	assert_int_equal(state_of("cpu"), ISO_DEPENDENCY_WARN);
	assert_int_equal(state_of("unheard of"), ISO_DEPENDENCY_PASS);
	assert_int_equal(report.v[0].observed_us, 250000);
	assert_int_equal(report.v[2].observed_us, 0);
	assert_int_equal(report.affected_count, 2);
	assert_string_equal(report.affected[0].path, "/users/{userId}");
	assert_string_equal(report.affected[1].path, "/orders/*");
	assert_int_equal(report.affected[1].state, ISO_DEPENDENCY_FAIL);
}

static void test_plain_maps(void **state)
{
	(void)state;
	parse("{\"database\":\"ok\",\"payments\":\"FAIL\",\"queue\":true,\"mail\":false,\"version\":\"1.2\","
	      "\"search\":{\"status\":\"degraded\"}}");
	assert_null(report.error);
	assert_int_equal(report.n, 5);
	assert_int_equal(state_of("database"), ISO_DEPENDENCY_PASS);
	assert_int_equal(state_of("payments"), ISO_DEPENDENCY_FAIL);
	assert_int_equal(state_of("queue"), ISO_DEPENDENCY_PASS);
	assert_int_equal(state_of("mail"), ISO_DEPENDENCY_FAIL);
	assert_int_equal(state_of("search"), ISO_DEPENDENCY_WARN);
	assert_int_equal(report.state, ISO_DEPENDENCY_WARN); /* the status code says what the whole is */
}

static void test_nested_components(void **state)
{
	(void)state;
	parse("{\"status\":\"DOWN\",\"components\":{\"db\":{\"status\":\"UP\"},"
	      "\"redis\":{\"status\":\"DOWN\"}}}");
	assert_int_equal(report.state, ISO_DEPENDENCY_FAIL);
	assert_int_equal(report.n, 2);
	assert_int_equal(state_of("redis"), ISO_DEPENDENCY_FAIL);
}

static void test_what_says_nothing(void **state)
{
	static const char *const bodies[] = { "",  "ok",      "[]", "\"ok\"",
					      "{", "{\"a\":", "{}", "{\"message\":\"Forbidden\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		parse(bodies[i]);
		if (report.error == NULL || report.n != 0 || report.state != ISO_DEPENDENCY_PASS)
			fail_msg("%s", bodies[i]);
	}
}

/* A failure is never hidden behind the number of those that are well. */
static void test_too_many(void **state)
{
	char body[8192];
	size_t len = (size_t)snprintf(body, sizeof(body), "{");

	(void)state;
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(body + len, sizeof(body) - len, "\"d%d\":\"%s\",", i,
					i == 90 ? "fail" : "ok");
	snprintf(body + len, sizeof(body) - len, "\"status\":\"pass\"}");
	parse(body);
	assert_int_equal(report.n, ISO_DEPENDENCIES_SHOWN);
	assert_int_equal(state_of("d90"), ISO_DEPENDENCY_FAIL);
}

static void test_content_types(void **state)
{
	(void)state;
	assert_true(iso_health_is_json(ISO_SLICE("application/json")));
	assert_true(iso_health_is_json(ISO_SLICE("Application/Health+JSON ; charset=utf-8")));
	assert_true(iso_health_is_json(ISO_SLICE("application/problem+json")));
	assert_false(iso_health_is_json(ISO_SLICE("text/html")));
	assert_false(iso_health_is_json(ISO_SLICE("+json")));
	assert_false(iso_health_is_json(ISO_SLICE("")));
}

/* A check that says that it was made long ago says nothing, good or bad; and why is said. */
static void test_old_checks_do_not_count(void **state)
{
	static const struct {
		const char *time;
		bool counts;
	} rows[] = {
		{ "2027-01-15T08:00:00Z", true },       { "2027-01-15T07:59:01Z", true },
		{ "2027-01-15T07:58:59Z", false },      { "2027-01-15T09:58:59.123+02:00", false },
		{ "2027-01-15T09:59:30+02:00", true },  { "2027-01-15T02:59:30-05:00", true },
		{ "2027-01-15T02:00:00-05:00", false }, { "2026-12-31t23:59:59z", false },
		{ "2031-01-01T00:00:00Z", true },       { "yesterday", true },
		{ "2027-01-15T07:00:00", true },        { "2027-13-15T07:00:00Z", true },
		{ "2027-01-15T07:00:00+0200", true },   { "1969-01-01T00:00:00Z", true },
		{ "2027-01-15T07:00:00.Z", false },     { "", true },
	};
	char body[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(body, sizeof(body),
			 "{\"status\":\"pass\",\"checks\":{\"db\":[{\"status\":\"fail\",\"time\":\"%s\"}]}}",
			 rows[i].time);
		parse(body);
		assert_int_equal(state_of("db"), rows[i].counts ? ISO_DEPENDENCY_FAIL : ISO_DEPENDENCY_PASS);
		assert_int_equal(report.error == NULL, rows[i].counts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_checks_do_not_count),
		cmocka_unit_test(test_the_draft),
		cmocka_unit_test(test_plain_maps),
		cmocka_unit_test(test_nested_components),
		cmocka_unit_test(test_what_says_nothing),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_content_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
