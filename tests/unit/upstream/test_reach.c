/*
 * Which address is tried: by use, rest, family and estimate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/net/resolver.h"
#include "reach_priv.h"

enum { SECOND = 1000 * 1000 };

static struct iso_board_region region;
static struct iso_reach reach;
static uint32_t load[ISO_ENDPOINTS_MAX];

static int setup(void **state)
{
	static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", "2001:db8::1" };

	(void)state;
	memset(&region, 0, sizeof(region));
	memset(&reach, 0, sizeof(reach));
	memset(load, 0, sizeof(load));
	region.endpoint_count = 3;
	for (int i = 0; i < 3; i++) {
		region.endpoints[i].usable = true;
		assert_int_equal(iso_sockaddr_parse(addresses[i], 443, &region.endpoints[i].addr), ISO_OK);
	}
	return 0;
}

static int choose(uint16_t avoid, uint16_t busy, uint64_t now_us)
{
	const struct iso_reach_wish wish = { avoid, busy, load };

	return iso_reach_choose(&reach, &region, &wish, now_us);
}

static void failed(uint32_t endpoint, uint64_t now_us)
{
	iso_reach_failed(&reach, &region, &region.endpoints[endpoint].addr, now_us);
}

static void test_order(void **state)
{
	(void)state;
	assert_int_equal(choose(0, 0, 1), 0);
	region.endpoints[0].slower = true;
	assert_int_equal(choose(0, 0, 1), 1);
	assert_int_equal(choose(2, 0, 1), 2);
	assert_int_equal(choose(0, 2, 1), 2); /* the other family */
	assert_int_equal(choose(0, 6, 1), 1); /* better one more to a quick one than the slow one */
	load[1] = 2;
	assert_int_equal(choose(0, 0, 1), 2); /* what is in flight decides between equals */
	load[2] = 3;
	assert_int_equal(choose(0, 0, 1), 1);
	region.endpoints[1].usable = region.endpoints[2].usable = false;
	assert_int_equal(choose(1, 1, 1), 0);
	region.endpoint_count = 0;
	assert_int_equal(choose(0, 0, 1), -1);
}

static void test_rest_grows_and_ends(void **state)
{
	uint64_t now_us = SECOND;

	(void)state;
	for (int i = 0; i < 10; i++) {
		uint64_t rest_us = (uint64_t)SECOND << (i < 6 ? i : 6);

		failed(0, now_us);
		assert_int_equal(choose(0, 0, now_us + rest_us - 1), 1);
		assert_int_equal(choose(0, 0, now_us + rest_us), 0);
		now_us += rest_us;
	}
	iso_reach_worked(&reach, &region, &region.endpoints[0].addr);
	failed(0, now_us);
	assert_int_equal(choose(0, 0, now_us + SECOND), 0);
}

static void test_whether_there_is_another(void **state)
{
	(void)state;
	assert_true(iso_reach_other(&reach, &region, 0, 1, SECOND));
	assert_false(iso_reach_other(&reach, &region, 2, 5, SECOND));
	for (uint32_t i = 0; i < 3; i++)
		failed(i, SECOND);
	assert_false(iso_reach_other(&reach, &region, 0, 0, SECOND + 1));
	assert_true(iso_reach_other(&reach, &region, 0, 0, 2 * SECOND));
}

/* A new address has no past, and the old ones keep theirs whatever their indexes are. */
static void test_failures_go_with_the_address(void **state)
{
	const struct iso_sockaddr first = region.endpoints[0].addr, second = region.endpoints[1].addr;

	(void)state;
	failed(0, SECOND);
	failed(1, SECOND);
	assert_int_equal(choose(0, 0, SECOND), 2);
	region.endpoints_epoch++;
	assert_int_equal(iso_sockaddr_parse("192.0.2.9", 443, &region.endpoints[0].addr), ISO_OK);
	region.endpoints[2].addr = first;
	assert_int_equal(choose(0, 0, SECOND), 0);
	assert_false(iso_reach_rested(&reach, &region, 1, SECOND));
	assert_false(iso_reach_rested(&reach, &region, 2, SECOND));
	assert_true(iso_reach_rested(&reach, &region, 2, 2 * SECOND));
	region.endpoint_count = 1; /* one that is gone is forgotten, and harmless */
	assert_int_equal(choose(0, 0, SECOND), 0);
	iso_reach_failed(&reach, &region, &second, SECOND);
	assert_true(iso_reach_rested(&reach, &region, 0, SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_rest_grows_and_ends, setup),
		cmocka_unit_test_setup(test_whether_there_is_another, setup),
		cmocka_unit_test_setup(test_failures_go_with_the_address, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
