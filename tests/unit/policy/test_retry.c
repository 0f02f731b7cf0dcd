/*
 * The plan of attempts: masks, limits, back-off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/retry.h"

static struct iso_retry_step next(struct iso_retry_plan *plan, enum iso_retry retry, uint32_t region,
				  uint16_t allowed)
{
	struct iso_verdict verdict = { retry, ISO_RETRY_REASON_RESET,
				       retry == ISO_RETRY_NO ? ISO_STAY_UNSAFE : ISO_STAY_NONE };
	struct iso_retry_step step;

	iso_retry_next(plan, &verdict, region, allowed, &step);
	return step;
}

/* It may have run in region 2: that the next try there was refused does not let it go elsewhere. */
static void test_bound_to_where_it_may_have_run(void **state)
{
	struct iso_retry_plan plan;

	(void)state;
	iso_retry_init(&plan, 3);
	iso_retry_begin(&plan, 2);
	assert_int_equal(next(&plan, ISO_RETRY_SAME_REGION, 2, 7).allowed, 4);
	iso_retry_begin(&plan, 2);
	assert_int_equal(next(&plan, ISO_RETRY_ANYWHERE, 2, 7).allowed, 4);
	assert_false(next(&plan, ISO_RETRY_ANYWHERE, 2, 3).go);
}

static void test_another_region_first(void **state)
{
	struct iso_retry_plan plan;
	struct iso_retry_step step;

	(void)state;
	iso_retry_init(&plan, 3);
	iso_retry_begin(&plan, 1);
	step = next(&plan, ISO_RETRY_ANYWHERE, 1, 7);
	assert_true(step.go);
	assert_int_equal(step.stay, ISO_STAY_NONE);
	assert_int_equal(step.allowed, 7);
	assert_int_equal(step.tried, 2);
	iso_retry_begin(&plan, 0);
	step = next(&plan, ISO_RETRY_ANYWHERE, 0, 7);
	assert_int_equal(step.tried, 3);
	iso_retry_begin(&plan, 2);
	assert_false(iso_retry_left(&plan));
	step = next(&plan, ISO_RETRY_ANYWHERE, 2, 7);
	assert_false(step.go);
	assert_int_equal(step.stay, ISO_STAY_ATTEMPTS);
}

static void test_same_region_only(void **state)
{
	struct iso_retry_plan plan;
	struct iso_retry_step step;

	(void)state;
	iso_retry_init(&plan, 3);
	iso_retry_begin(&plan, 2);
	step = next(&plan, ISO_RETRY_SAME_REGION, 2, 7);
	assert_true(step.go);
	assert_int_equal(step.allowed, 4);
	step = next(&plan, ISO_RETRY_SAME_REGION, 2, 3); /* the route has lost it */
	assert_false(step.go);
}

static void test_no_is_no(void **state)
{
	struct iso_retry_plan plan;
	struct iso_retry_step step;

	(void)state;
	iso_retry_init(&plan, 3);
	iso_retry_begin(&plan, 0);
	step = next(&plan, ISO_RETRY_NO, 0, 7);
	assert_false(step.go);
	assert_int_equal(step.stay, ISO_STAY_UNSAFE);
}

static void test_limits_are_clamped(void **state)
{
	struct iso_retry_plan plan;

	(void)state;
	iso_retry_init(&plan, 0);
	assert_int_equal(plan.limit, 1);
	iso_retry_init(&plan, 1000);
	assert_int_equal(plan.limit, ISO_ATTEMPTS_MAX);
}

static void test_endpoints_to_avoid(void **state)
{
	struct iso_retry_plan plan;

	(void)state;
	iso_retry_init(&plan, 3);
	iso_retry_begin(&plan, 1);
	assert_int_equal(iso_retry_avoid(&plan, 1), 0); /* not known yet */
	iso_retry_endpoint(&plan, 0, 3);
	iso_retry_begin(&plan, 0);
	iso_retry_endpoint(&plan, 1, 0);
	iso_retry_begin(&plan, 1);
	iso_retry_endpoint(&plan, 2, 7);
	assert_int_equal(iso_retry_avoid(&plan, 1), 0x88);
	assert_int_equal(iso_retry_avoid(&plan, 0), 1);
	assert_int_equal(iso_retry_avoid(&plan, 5), 0);
}

static void test_backoff_only_where_used_again(void **state)
{
	struct iso_retry_plan plan;

	(void)state;
	iso_retry_init(&plan, 3);
	iso_retry_begin(&plan, 0);
	assert_int_equal(iso_retry_backoff_us(&plan, 1, 0, UINT32_MAX), 0);
	assert_int_equal(iso_retry_backoff_us(&plan, 0, 0, 0), 0);
	assert_int_equal(iso_retry_backoff_us(&plan, 0, 0, 0x80000000), 25000);
	assert_int_equal(iso_retry_backoff_us(&plan, 0, 0, UINT32_MAX), 49999);
	assert_int_equal(iso_retry_backoff_us(&plan, 0, 2000000, 0x80000000), 2000000);
	iso_retry_begin(&plan, 0);
	assert_int_equal(iso_retry_backoff_us(&plan, 0, 0, 0x80000000), 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_region_first),
		cmocka_unit_test(test_bound_to_where_it_may_have_run),
		cmocka_unit_test(test_same_region_only),
		cmocka_unit_test(test_no_is_no),
		cmocka_unit_test(test_limits_are_clamped),
		cmocka_unit_test(test_endpoints_to_avoid),
		cmocka_unit_test(test_backoff_only_where_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
