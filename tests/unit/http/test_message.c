/*
 * Methods and status codes against the tables of RFC 9110.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/http/message.h"

/* RFC 9110 section 9.3, and PATCH of RFC 5789, which is neither. */
static void test_methods(void **state)
{
	static const struct {
		const char *name;
		enum iso_method id;
		bool safe, idempotent;
	} cases[] = {
		{ "GET", ISO_METHOD_GET, true, true },           { "HEAD", ISO_METHOD_HEAD, true, true },
		{ "OPTIONS", ISO_METHOD_OPTIONS, true, true },   { "TRACE", ISO_METHOD_TRACE, true, true },
		{ "PUT", ISO_METHOD_PUT, false, true },          { "DELETE", ISO_METHOD_DELETE, false, true },
		{ "POST", ISO_METHOD_POST, false, false },       { "PATCH", ISO_METHOD_PATCH, false, false },
		{ "CONNECT", ISO_METHOD_CONNECT, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum iso_method id = iso_method_id(iso_slice_str(cases[i].name));

		assert_int_equal(id, cases[i].id);
		assert_int_equal(iso_method_is_safe(id), cases[i].safe);
		assert_int_equal(iso_method_is_idempotent(id), cases[i].idempotent);
	}
}

/* A method that is not known may do anything, so it is never sent twice. */
static void test_what_is_no_known_method(void **state)
{
	static const char *const names[] = {
		"",      "get",  "Get",      "GE",    "GETS",  " GET",  "GET ",
		"POSTS", "HEAd", "PROPFIND", "PURGE", "QUERY", "DELET", "G\xc9T"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(iso_method_id(iso_slice_str(names[i])), ISO_METHOD_OTHER);
	assert_int_equal(iso_method_id(iso_slice("GET\0", 4)), ISO_METHOD_OTHER);
	assert_int_equal(iso_method_id(iso_slice(NULL, 0)), ISO_METHOD_OTHER);
	assert_false(iso_method_is_safe(ISO_METHOD_OTHER));
	assert_false(iso_method_is_idempotent(ISO_METHOD_OTHER));
	assert_false(iso_method_is_idempotent((enum iso_method)99));
}

static void test_reasons(void **state)
{
	static const struct {
		uint16_t status;
		const char *reason;
	} cases[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 203, "Non-Authoritative Information" },
		{ 304, "Not Modified" },
		{ 413, "Content Too Large" },
		{ 421, "Misdirected Request" },
		{ 429, "Too Many Requests" }, /* RFC 6585 */
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};
	static const uint16_t without[] = {
		0, 1, 99, 102, 199, 299, 306, 399, 418, 499, 599, 600, 999, 65535
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(iso_slice_eq(iso_status_reason(cases[i].status), iso_slice_str(cases[i].reason)));
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		assert_int_equal(iso_status_reason(without[i]).len, 0);
		assert_non_null(iso_status_reason(without[i]).ptr);
	}
}

/* RFC 9110 section 6.4.1: no content after HEAD, with 1xx, 204 and 304. */
static void test_content(void **state)
{
	static const uint16_t none[] = { 100, 101, 103, 199, 204, 304 };
	static const uint16_t some[] = { 200, 201, 205, 206, 301, 303, 305, 404, 503 };

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_false(iso_status_has_body(none[i], ISO_METHOD_GET));
		assert_false(iso_status_has_body(none[i], ISO_METHOD_HEAD));
		assert_false(iso_status_has_body(none[i], ISO_METHOD_OTHER));
	}
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		assert_true(iso_status_has_body(some[i], ISO_METHOD_GET));
		assert_true(iso_status_has_body(some[i], ISO_METHOD_OTHER));
		assert_false(iso_status_has_body(some[i], ISO_METHOD_HEAD));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_what_is_no_known_method),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
