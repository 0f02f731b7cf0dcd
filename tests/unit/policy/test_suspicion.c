/*
 * Silence and patience.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/suspicion.h"

static void test_patience(void **state)
{
	(void)state;
	assert_int_equal(iso_patience_us(0), 1000000);
	assert_int_equal(iso_patience_us(1), 80000);
	assert_int_equal(iso_patience_us(20000), 80000);
	assert_int_equal(iso_patience_us(50000), 200000);
	assert_int_equal(iso_patience_us(UINT32_MAX), 4ull * UINT32_MAX);
}

static void test_silence(void **state)
{
	(void)state;
	assert_int_equal(iso_silence_us(1000, 400, 0, 1), 600);
	assert_int_equal(iso_silence_us(1000, 400, 900, 1), 100); /* something came */
	assert_int_equal(iso_silence_us(1000, 400, 100, 1), 600); /* before it was sent */
	assert_int_equal(iso_silence_us(1000, 400, 0, 0), 0);     /* nothing waits */
	assert_int_equal(iso_silence_us(1000, 2000, 0, 1), 0);    /* another thread's clock is ahead */
}

/* A failure holds for a second, silence from half of the patience on. */
static void test_wary_edges(void **state)
{
	(void)state;
	assert_false(iso_wary(5000000, 0, 0, 20000));
	assert_true(iso_wary(5000000, 4000001, 0, 20000));
	assert_false(iso_wary(5000000, 4000000, 0, 20000));
	assert_false(iso_wary(5000000, 0, 40000, 20000));
	assert_true(iso_wary(5000000, 0, 40001, 20000));
	assert_false(iso_wary(5000000, 0, 100000, 50000));
	assert_true(iso_wary(5000000, 0, 100001, 50000));
	assert_false(iso_wary(5000000, 0, 500000, 0)); /* the usual time is unknown */
	assert_true(iso_wary(100, 50, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_wary_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
