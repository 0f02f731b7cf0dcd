/*
 * The clocks: the right one each, in microseconds.
 */
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/clock.h"

static uint64_t system_us(clockid_t id)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(id, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static void test_mono_lies_between_two_readings(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t before = system_us(CLOCK_MONOTONIC), now = iso_clock_mono_us();

		assert_true(now >= before && now <= system_us(CLOCK_MONOTONIC));
		assert_true(now >= last);
		last = now;
	}
}

static void test_wall_is_the_calendar(void **state)
{
	uint64_t seconds = (uint64_t)time(NULL), now = iso_clock_wall_us();

	(void)state;
	/* time(2) reads a coarser clock; another may set the clock in between, but hardly by a minute. */
	assert_in_range(now / 1000000, seconds - 60, seconds + 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mono_lies_between_two_readings),
		cmocka_unit_test(test_wall_is_the_calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
