/*
 * Classification against the rows of the gateway response table in the API Gateway developer guide.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/aws/classify.h"

static void check(uint16_t status, const char *type, const char *marker, enum iso_executed executed,
		  enum iso_fault fault)
{
	struct iso_classify_input input = { status, iso_slice_str(type), iso_slice_str(marker) };
	struct iso_classification c = iso_classify(&input);

	if (c.executed != executed || c.fault != fault)
		fail_msg("%u %s %s: executed %d, fault %d", status, type, marker, (int)c.executed,
			 (int)c.fault);
}

static void test_markers_are_certain(void **state)
{
	(void)state;
	check(429, "", "THROTTLED", ISO_EXECUTED_NO, ISO_FAULT_THROTTLE);
	check(429, "", "QUOTA_EXCEEDED", ISO_EXECUTED_NO, ISO_FAULT_CLIENT);
	check(504, "", "INTEGRATION_TIMEOUT", ISO_EXECUTED_MAYBE, ISO_FAULT_REGION);
	check(504, "", "INTEGRATION_FAILURE", ISO_EXECUTED_MAYBE, ISO_FAULT_REGION);
	check(500, "", "AUTHORIZER_FAILURE", ISO_EXECUTED_NO, ISO_FAULT_REGION);
	check(403, "", "WAF_FILTERED", ISO_EXECUTED_NO, ISO_FAULT_CLIENT);
	check(403, "", "MISSING_AUTHENTICATION_TOKEN", ISO_EXECUTED_NO, ISO_FAULT_CLIENT);
	check(401, "", "UNAUTHORIZED", ISO_EXECUTED_NO, ISO_FAULT_CLIENT);
	check(418, "", "THROTTLED", ISO_EXECUTED_NO, ISO_FAULT_THROTTLE); /* the owner may change every status
									   */
}

static void test_without_a_marker_nothing_is_certainly_not_executed(void **state)
{
	static const char *const types[] = { "", "TooManyRequestsException", "InternalServerErrorException",
					     "Forged" };

	(void)state;
	for (uint16_t status = 200; status < 600; status++) {
		for (size_t i = 0; i < 4; i++) {
			struct iso_classify_input input = { status, iso_slice_str(types[i]), ISO_SLICE("") };

			assert_int_not_equal(iso_classify(&input).executed, ISO_EXECUTED_NO);
		}
	}
}

static void test_heuristics(void **state)
{
	(void)state;
	check(200, "", "", ISO_EXECUTED_YES, ISO_FAULT_NONE);
	check(404, "", "", ISO_EXECUTED_YES, ISO_FAULT_APPLICATION);
	check(403, "ForbiddenException", "", ISO_EXECUTED_MAYBE, ISO_FAULT_CLIENT);
	check(403, "ForbiddenException:http://x", "", ISO_EXECUTED_MAYBE, ISO_FAULT_CLIENT);
	check(429, "", "", ISO_EXECUTED_MAYBE, ISO_FAULT_THROTTLE);
	check(502, "", "", ISO_EXECUTED_MAYBE, ISO_FAULT_REGION);
	check(503, "", "", ISO_EXECUTED_MAYBE, ISO_FAULT_REGION);
	check(504, "", "", ISO_EXECUTED_MAYBE, ISO_FAULT_REGION);
	check(501, "", "", ISO_EXECUTED_YES, ISO_FAULT_APPLICATION);
}

static void test_a_wrong_name_is_said_in_words(void **state)
{
	struct iso_classify_input input = { 403, ISO_SLICE("ForbiddenException"), ISO_SLICE("") };

	(void)state;
	assert_non_null(strstr(iso_classify(&input).words, "Host"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_markers_are_certain),
		cmocka_unit_test(test_without_a_marker_nothing_is_certainly_not_executed),
		cmocka_unit_test(test_heuristics),
		cmocka_unit_test(test_a_wrong_name_is_said_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
