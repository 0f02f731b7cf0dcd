/*
 * Probes against a server in this thread: what is asked, and what each answer means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rig.h"

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig_init(rig, true);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_done(*state);
	free(*state);
	return 0;
}

static bool both_passed(struct rig *rig)
{
	return rig_region(rig, 0).probe.passes > 0 && rig_region(rig, 1).probe.passes > 0;
}

static bool first_failed(struct rig *rig)
{
	return rig_region(rig, 0).probe.failures > 0;
}

static bool first_is_down(struct rig *rig)
{
	enum iso_region_state state = rig_region(rig, 0).state;

	return state == ISO_REGION_UNHEALTHY || state == ISO_REGION_EJECTED;
}

static bool first_is_up(struct rig *rig)
{
	return rig_region(rig, 0).up;
}

static bool many_probes(struct rig *rig)
{
	return rig_region(rig, 0).probe.passes >= 5;
}

static void test_asks_as_traffic_would(void **state)
{
	struct rig *rig = *state;
	struct iso_region_report report;
	const char *request = rig->servers[0].request;

	assert_true(rig_until(rig, both_passed));
	assert_int_equal(strncmp(request, "GET /prod/health HTTP/1.1\r\n", 27), 0);
	assert_non_null(strstr(request, "host: api.example\r\n"));
	assert_non_null(strstr(request, "user-agent: isochrone/" ISO_VERSION " (health)\r\n"));
	report = rig_region(rig, 0);
	assert_true(report.probe.passed);
	assert_int_equal(report.probe.status, 200);
	assert_true(report.probe.ttfb_us > 0 && report.probe.ttfb_us < 1000000);
	assert_null(report.probe.words);
	assert_int_equal(report.state, ISO_REGION_HEALTHY);
	assert_true(report.estimate_us > 0);
}

static void test_probes_go_on(void **state)
{
	assert_true(rig_until(*state, many_probes));
}

static void test_unexpected_status_takes_it_down_and_back(void **state)
{
	struct rig *rig = *state;
	struct iso_region_report report;

	rig->servers[0].answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
	assert_true(rig_until(rig, first_is_down));
	report = rig_region(rig, 0);
	assert_int_equal(report.probe.status, 503);
	assert_false(report.probe.passed);
	assert_non_null(report.words);
	assert_true(report.share == 0);
	assert_true(rig_region(rig, 1).share > 0.999);
	rig->servers[0].answer = RIG_OK;
	assert_true(rig_until(rig, first_is_up));
}

/* What is wrong with a region that answers 403 to everything is said in words. */
static void test_wrong_host_is_explained(void **state)
{
	struct rig *rig = *state;

	rig->servers[0].answer = "HTTP/1.1 403 Forbidden\r\nx-amzn-errortype: ForbiddenException\r\n"
				 "content-length: 0\r\n\r\n";
	assert_true(rig_until(rig, first_failed));
	assert_non_null(rig_region(rig, 0).probe.words);
	assert_non_null(strstr(rig_region(rig, 0).probe.words, "Host"));
}

static void test_refused(void **state)
{
	struct rig *rig = *state;

	rig_kill(&rig->servers[0]);
	assert_true(rig_until(rig, first_is_down));
	assert_int_equal(rig_region(rig, 0).probe.status, 0);
	assert_true(rig_region(rig, 1).up);
}

static void test_timeout(void **state)
{
	struct rig *rig = *state;

	rig->service.health.timeout_us = 20000;
	rig->servers[0].answer = NULL;
	assert_true(rig_until(rig, first_failed));
	assert_string_equal(rig_region(rig, 0).probe.words, "its probe timed out");
}

static void test_malformed_answer(void **state)
{
	struct rig *rig = *state;

	rig->servers[0].answer = "garbage\r\n\r\n";
	assert_true(rig_until(rig, first_failed));
}

static void test_body_that_never_ends(void **state)
{
	struct rig *rig = *state;

	rig->service.health.timeout_us = 30000;
	rig->servers[0].answer = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\nbegin";
	assert_true(rig_until(rig, first_failed));
	assert_string_equal(rig_region(rig, 0).probe.words, "its probe's answer did not end in time");
}

static void test_long_body_is_cut_and_counts(void **state)
{
	static char answer[200 * 1024];
	struct rig *rig = *state;
	int n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\ncontent-length: 150000\r\n\r\n");

	memset(answer + n, 'x', 150000);
	answer[n + 150000] = '\0';
	rig->servers[0].answer = answer;
	assert_true(rig_until(rig, both_passed));
	assert_int_equal(rig_region(rig, 0).probe.failures, 0);
}

static void test_a_name_that_does_not_resolve(void **state)
{
	struct rig *rig = *state;

	rig->service.regions[0].host = ISO_SLICE("no-such-name.invalid");
	rig->service.regions[0].identity = ISO_SLICE("another");
	assert_int_equal(iso_publisher_bind(rig->pub, rig->snapshot), ISO_OK);
	iso_prober_bind(rig->prober, rig->snapshot);
	assert_true(rig_until(rig, first_failed));
	assert_non_null(rig_region(rig, 0).dns_words);
	assert_true(rig_region(rig, 1).up);
}

static void test_a_region_that_leaves(void **state)
{
	struct rig *rig = *state;
	uint32_t asked;

	rig->servers[1].answer = NULL; /* its probe is under way */
	assert_true(rig_until(rig, many_probes));
	rig->service.region_count = 1;
	assert_int_equal(iso_publisher_bind(rig->pub, rig->snapshot), ISO_OK);
	iso_prober_bind(rig->prober, rig->snapshot);
	asked = rig->servers[1].requests;
	rig_region(rig, 0);
	assert_true(rig_until(rig, many_probes));
	assert_int_equal(rig->servers[1].requests, asked);
	rig->service.region_count = 2;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_asks_as_traffic_would),
		TEST(test_probes_go_on),
		TEST(test_unexpected_status_takes_it_down_and_back),
		TEST(test_wrong_host_is_explained),
		TEST(test_refused),
		TEST(test_timeout),
		TEST(test_malformed_answer),
		TEST(test_body_that_never_ends),
		TEST(test_long_body_is_cut_and_counts),
		TEST(test_a_name_that_does_not_resolve),
		TEST(test_a_region_that_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
