/*
 * A loop that is behind is told from one that had one long turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/stats/lag.h"

enum { MS = 1000 };

/* Turns of so many microseconds, with a wait before each. */
static uint64_t turns(struct iso_lag *lag, uint64_t now_us, int n, uint64_t took_us, uint64_t waited_us)
{
	for (int i = 0; i < n; i++) {
		now_us += waited_us;
		iso_lag_begin(lag, now_us);
		iso_lag_end(lag, now_us, now_us + took_us);
		now_us += took_us;
	}
	return now_us;
}

static void test_one_long_turn_is_nothing(void **state)
{
	struct iso_lag lag = { .at = 0 };
	uint64_t now_us = turns(&lag, 1, 10, 2 * MS, 0);

	(void)state;
	assert_int_equal(iso_lag_us(&lag), 2 * MS);
	now_us = turns(&lag, now_us, 1, 5000 * MS, 0);
	assert_int_equal(iso_lag_us(&lag), 2 * MS);
	turns(&lag, now_us, 1, 5000 * MS, 0);
	assert_int_equal(iso_lag_us(&lag), 2 * MS);
}

static void test_a_queue_that_never_ends(void **state)
{
	struct iso_lag lag = { .at = 0 };
	uint64_t now_us = turns(&lag, 1, 3, 300 * MS, ISO_LAG_WAITED_US);

	(void)state;
	assert_int_equal(iso_lag_us(&lag), 300 * MS);
	turns(&lag, now_us, 1, 3 * MS, 0);
	assert_int_equal(iso_lag_us(&lag), 3 * MS);
}

static void test_it_waited(void **state)
{
	struct iso_lag lag = { .at = 0 };
	uint64_t now_us = turns(&lag, 1, 3, 300 * MS, 0);

	(void)state;
	assert_int_equal(iso_lag_us(&lag), 300 * MS);
	iso_lag_begin(&lag, now_us + ISO_LAG_WAITED_US + 1);
	assert_int_equal(iso_lag_us(&lag), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_long_turn_is_nothing),
		cmocka_unit_test(test_a_queue_that_never_ends),
		cmocka_unit_test(test_it_waited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
