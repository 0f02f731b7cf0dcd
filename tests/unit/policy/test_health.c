/*
 * Probe thresholds and pace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/health.h"

static void test_first_success_is_up(void **state)
{
	struct iso_health h;

	(void)state;
	iso_health_init(&h);
	assert_int_equal(h.state, ISO_HEALTH_UNKNOWN);
	iso_health_pass(&h, 5);
	assert_int_equal(h.state, ISO_HEALTH_UP);
}

static void test_one_failure_is_not_down(void **state)
{
	struct iso_health h;

	(void)state;
	iso_health_init(&h);
	iso_health_pass(&h, 2);
	iso_health_fail(&h, 3);
	iso_health_fail(&h, 3);
	assert_int_equal(h.state, ISO_HEALTH_UP);
	iso_health_pass(&h, 2); /* breaks the run */
	iso_health_fail(&h, 3);
	iso_health_fail(&h, 3);
	assert_int_equal(h.state, ISO_HEALTH_UP);
	iso_health_fail(&h, 3);
	assert_int_equal(h.state, ISO_HEALTH_DOWN);
}

static void test_down_needs_the_threshold(void **state)
{
	struct iso_health h;

	(void)state;
	iso_health_init(&h);
	for (int i = 0; i < 3; i++)
		iso_health_fail(&h, 3);
	assert_int_equal(h.state, ISO_HEALTH_DOWN);
	iso_health_pass(&h, 2);
	assert_int_equal(h.state, ISO_HEALTH_DOWN);
	iso_health_fail(&h, 3);
	iso_health_pass(&h, 2);
	assert_int_equal(h.state, ISO_HEALTH_DOWN);
	iso_health_pass(&h, 2);
	assert_int_equal(h.state, ISO_HEALTH_UP);
}

static void test_pace(void **state)
{
	struct iso_health h;

	(void)state;
	iso_health_init(&h);
	assert_int_equal(iso_health_pace(&h, false, true), ISO_PROBE_NORMAL); /* no probe has passed yet */
	iso_health_pass(&h, 2);
	assert_int_equal(iso_health_pace(&h, false, false), ISO_PROBE_NORMAL);
	assert_int_equal(iso_health_pace(&h, false, true), ISO_PROBE_SLOW);
	assert_int_equal(iso_health_pace(&h, true, true), ISO_PROBE_FAST);
	iso_health_fail(&h, 3);
	assert_int_equal(iso_health_pace(&h, false, true), ISO_PROBE_FAST);
}

static void test_next_probe(void **state)
{
	const uint64_t s10 = 10000000, ms300 = 300000, ms100 = 100000;
	const uint32_t mid = 1u << 31;

	(void)state;
	assert_in_range(iso_health_next_probe_us(s10, ISO_PROBE_NORMAL, mid), s10 - 1, s10);
	assert_int_equal(iso_health_next_probe_us(s10, ISO_PROBE_NORMAL, 0), 9000000);
	assert_in_range(iso_health_next_probe_us(s10, ISO_PROBE_NORMAL, UINT32_MAX), 10999990, 11000000);
	assert_in_range(iso_health_next_probe_us(s10, ISO_PROBE_FAST, mid), 2499999, 2500000);
	assert_in_range(iso_health_next_probe_us(s10, ISO_PROBE_SLOW, mid), 29999999, 30000000);
	assert_in_range(iso_health_next_probe_us(ms300, ISO_PROBE_FAST, mid), 249999, 250000);
	assert_in_range(iso_health_next_probe_us(ms100, ISO_PROBE_FAST, mid), 99999, 100000); /* never slower
											       */
}

/* However eagerly it is asked, an hour has so many; they come evenly but for the burst. */
static void test_the_cap_of_an_hour(void **state)
{
	static const uint32_t caps[] = { 1, 30, 60, 61, 600, 36000 };
	const uint64_t hour_us = UINT64_C(3600) * 1000 * 1000;

	(void)state;
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		uint32_t burst = caps[i] >= 120 ? caps[i] / 60 : 1, taken = 0, at_once = 0;
		struct iso_probe_quota quota = { 0 };
		uint64_t now_us = 1000, wait_us;

		while (iso_probe_quota_take(&quota, caps[i], now_us) == 0)
			at_once++;
		assert_int_equal(at_once, burst);
		for (taken = at_once; now_us < 1000 + hour_us;) {
			wait_us = iso_probe_quota_take(&quota, caps[i], now_us);
			taken += wait_us == 0;
			now_us += wait_us;
		}
		if (taken < caps[i] || taken > caps[i] + burst + 1)
			fail_msg("cap %u: %u in an hour", caps[i], taken);
	}
}

static void test_no_cap(void **state)
{
	struct iso_probe_quota quota = { 0 };

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(iso_probe_quota_take(&quota, 0, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_cap_of_an_hour),
		cmocka_unit_test(test_no_cap),
		cmocka_unit_test(test_first_success_is_up),
		cmocka_unit_test(test_one_failure_is_not_down),
		cmocka_unit_test(test_down_needs_the_threshold),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_next_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
