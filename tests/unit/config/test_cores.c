/*
 * Usable cores.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "iso/config/cores.h"

static void test_limit(void **state)
{
	static const struct {
		const char *text;
		uint32_t cores, expected;
	} cases[] = {
		{ "max 100000\n", 8, 8 },
		{ "100000 100000\n", 8, 1 },
		{ "150000 100000\n", 8, 2 },
		{ "200000 100000", 8, 2 },
		{ "50000 100000\n", 8, 1 },
		{ "1000000 100000\n", 8, 8 },
		{ "0 100000\n", 8, 1 },
		{ "100000 0\n", 8, 8 },
		{ "", 8, 8 },
		{ "\n", 8, 8 },
		{ "100000", 8, 8 },
		{ "-1 100000", 8, 8 },
		{ "1e5 100000", 8, 8 },
		{ "200000 100000 x", 8, 2 },
		{ "garbage", 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(iso_cores_limit(cases[i].cores, iso_slice_str(cases[i].text)),
				 cases[i].expected);
}

static void test_usable_follows_affinity(void **state)
{
	uint32_t all = iso_cores_usable();
	cpu_set_t before, one;
	size_t cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_in_range(all, 1, (uint32_t)CPU_COUNT(&before));
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(iso_cores_usable(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_usable_follows_affinity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
