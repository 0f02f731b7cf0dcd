/*
 * The retry budget: 0.2 a request and 3 a second, capped at one second of income.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/budget.h"

static const uint64_t second = 1000000;

static void test_starts_with_three(void **state)
{
	struct iso_budget b;

	(void)state;
	iso_budget_init(&b, 200, 1, second);
	for (int i = 0; i < 3; i++)
		assert_true(iso_budget_spend(&b, true, second));
	assert_false(iso_budget_spend(&b, true, second));
	assert_int_equal(b.spent, 3);
	assert_int_equal(b.refused, 1);
	/* A third of a second later there is one more. */
	assert_false(iso_budget_spend(&b, true, second + 333000));
	assert_true(iso_budget_spend(&b, true, second + 334000));
}

static void test_unsent_tries_are_free(void **state)
{
	struct iso_budget b;

	(void)state;
	iso_budget_init(&b, 0, 1, second);
	for (int i = 0; i < 100; i++)
		assert_true(iso_budget_spend(&b, false, second));
	assert_int_equal(b.spent, 0);
	assert_true(iso_budget_spend(&b, true, second));
}

/* An outage at 100 requests/s for 10 s: every request would try again; at most 1.2 times the load plus a
 * bucket does. */
static void test_outage(void **state)
{
	struct iso_budget b;
	uint32_t tries = 0;

	(void)state;
	iso_budget_init(&b, 200, 1, 0);
	for (uint64_t t = 0; t < 10 * second; t += 10000) {
		iso_budget_request(&b, t);
		tries += iso_budget_spend(&b, true, t);
		tries += iso_budget_spend(&b, true, t);
	}
	assert_in_range(tries, 200 + 30 - 5, 200 + 30 + 23);
}

static void test_idle_time_saves_one_second(void **state)
{
	struct iso_budget b;
	uint32_t tries = 0;

	(void)state;
	iso_budget_init(&b, 200, 1, 0);
	while (iso_budget_spend(&b, true, 3600 * second))
		tries++;
	assert_int_equal(tries, 3);
}

static void test_workers_share_the_fixed_part(void **state)
{
	struct iso_budget b;

	(void)state;
	iso_budget_init(&b, 0, 2, 0); /* 1.5 */
	assert_true(iso_budget_spend(&b, true, 0));
	assert_false(iso_budget_spend(&b, true, 0));
	iso_budget_init(&b, 0, 64, 0); /* never less than one */
	assert_true(iso_budget_spend(&b, true, 0));
	assert_false(iso_budget_spend(&b, true, 0));
	iso_budget_init(&b, 0, 0, 0);
	assert_true(iso_budget_spend(&b, true, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_with_three),
		cmocka_unit_test(test_unsent_tries_are_free),
		cmocka_unit_test(test_outage),
		cmocka_unit_test(test_idle_time_saves_one_second),
		cmocka_unit_test(test_workers_share_the_fixed_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
