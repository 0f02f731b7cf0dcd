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
	struct iso_classify_input input = { status, iso_slice_str(type), iso_slice_str(marker), true };
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
			struct iso_classify_input input = { status, iso_slice_str(types[i]), ISO_SLICE(""),
							    true };
			/* What no API has taken may say so itself; a type that API Gateway knows is its own.
			 */
			bool says_so = (i == 0 || i == 3) && (status == 421 || status == 425);

			assert_int_not_equal(iso_classify(&input).executed, ISO_EXECUTED_NO);
			input.handled = false;
			assert_int_equal(iso_classify(&input).executed == ISO_EXECUTED_NO, says_so);
		}
	}
}

static void test_ids_of_the_gateway(void **state)
{
	(void)state;
	assert_true(iso_classify_is_gateway_id(ISO_SLICE("x-amzn-requestid")));
	assert_true(iso_classify_is_gateway_id(ISO_SLICE("x-amz-apigw-id")));
	assert_true(iso_classify_is_gateway_id(ISO_SLICE("apigw-requestid")));
	assert_false(iso_classify_is_gateway_id(ISO_SLICE("x-request-id")));
}

/* A function can set any field; it does not know the secret. */
static void test_a_marker_needs_the_secret(void **state)
{
	struct iso_slice secret = ISO_SLICE("k3y-of-gateway:");

	(void)state;
	assert_true(iso_slice_eq(iso_classify_marker(ISO_SLICE("k3y-of-gateway:THROTTLED"), secret),
				 ISO_SLICE("THROTTLED")));
	assert_int_equal(iso_classify_marker(ISO_SLICE("THROTTLED"), secret).len, 0);
	assert_int_equal(iso_classify_marker(ISO_SLICE("k3y-of-gatewayTHROTTLED"), secret).len, 0);
	assert_int_equal(iso_classify_marker(ISO_SLICE("k3y-of-gateway:"), secret).len, 0);
	assert_int_equal(iso_classify_marker(ISO_SLICE(""), secret).len, 0);
	assert_int_equal(iso_classify_marker(ISO_SLICE("THROTTLED"), ISO_SLICE("")).len, 0);
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
	struct iso_classify_input input = { 403, ISO_SLICE("ForbiddenException"), ISO_SLICE(""), true };

	(void)state;
	assert_non_null(strstr(iso_classify(&input).words, "Host"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_markers_are_certain),
		cmocka_unit_test(test_without_a_marker_nothing_is_certainly_not_executed),
		cmocka_unit_test(test_ids_of_the_gateway),
		cmocka_unit_test(test_a_marker_needs_the_secret),
		cmocka_unit_test(test_heuristics),
		cmocka_unit_test(test_a_wrong_name_is_said_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
