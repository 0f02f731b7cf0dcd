/*
 * What is required, what is broken, and where: who may take a request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "iso/policy/balance.h"
#include "iso/policy/requirement.h"
#include "iso/policy/share.h"

enum { DB = 1, MAIL = 2, ALL = 7 };

static void test_lacking(void **state)
{
	static const struct {
		uint64_t broken[3], requires;
		uint16_t among, lacking;
	} cases[] = {
		{ { 0, 0, 0 }, DB, ALL, 0 },
		{ { DB, 0, 0 }, DB, ALL, 1 },
		{ { DB, 0, 0 }, MAIL, ALL, 0 },
		{ { DB, 0, 0 }, 0, ALL, 0 },
		{ { DB, DB, DB }, DB, ALL, 0 },               /* everywhere: moves nothing */
		{ { DB, DB, 0 }, DB, 3, 0 },                  /* the third cannot take it */
		{ { DB, DB | MAIL, DB }, DB | MAIL, ALL, 2 }, /* what is broken everywhere does not count */
		{ { DB, MAIL, DB }, DB | MAIL, ALL, 0 },      /* nobody has everything */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t got = iso_requirement_lacking(cases[i].broken, 3, cases[i].among, cases[i].requires);

		if (got != cases[i].lacking)
			fail_msg("case %zu: %x instead of %x", i, got, cases[i].lacking);
	}
}

static void test_paths(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool hit;
	} cases[] = {
		{ "/orders", "/orders", true },
		{ "/orders", "/orders/", true },
		{ "/orders", "/orders?x=/y", true },
		{ "/orders", "/orders/1", false },
		{ "/orders/{id}", "/orders/1", true },
		{ "/orders/{id}", "/orders", false },
		{ "/orders/{id}", "/orders/1/2", false },
		{ "/orders/*", "/orders/1/2", true },
		{ "/orders/*", "/orders", true },
		{ "/orders/*", "/order", false },
		{ "/", "/", true },
		{ "/", "/x", false },
		{ "/*", "/x", true },
		{ "/a/*/c", "/a/*/c", true },
		{ "/a/*/c", "/a/b/c", false },
		{ "/a/{b}/c", "/a//b/c", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_affected affected = { .refs = 1, .n = 1 };
		enum iso_dependency_state got;

		snprintf(affected.v[0].path, sizeof(affected.v[0].path), "%s", cases[i].pattern);
		affected.v[0].state = ISO_DEPENDENCY_FAIL;
		got = iso_affected_state(&affected, iso_slice_str(cases[i].path));
		if (got != (cases[i].hit ? ISO_DEPENDENCY_FAIL : ISO_DEPENDENCY_PASS))
			fail_msg("%s on %s", cases[i].pattern, cases[i].path);
	}
}

static void test_the_worst_counts(void **state)
{
	struct iso_affected affected = { .refs = 1, .n = 2 };

	(void)state;
	snprintf(affected.v[0].path, sizeof(affected.v[0].path), "%s", "/a");
	affected.v[0].state = ISO_DEPENDENCY_WARN;
	snprintf(affected.v[1].path, sizeof(affected.v[1].path), "%s", "/*");
	affected.v[1].state = ISO_DEPENDENCY_FAIL;
	assert_int_equal(iso_affected_state(&affected, ISO_SLICE("/a")), ISO_DEPENDENCY_FAIL);
}

static void shares_of(enum iso_policy policy, uint16_t lacking, uint16_t warned,
		      uint32_t shares[ISO_VIEW_MAX])
{
	struct iso_view view = { .n = 2, .allowed = 3, .up = 3, .lacking = lacking, .warned = warned };

	for (uint32_t i = 0; i < 2; i++)
		view.c[i] = (struct iso_candidate){ ISO_WEIGHT_ONE, 100, ISO_WEIGHT_ONE, i };
	iso_balance_shares(policy, &view, shares);
}

static void test_shares(void **state)
{
	static const enum iso_policy policies[] = { ISO_POLICY_LATENCY, ISO_POLICY_WEIGHTED,
						    ISO_POLICY_FAILOVER };
	uint32_t shares[ISO_VIEW_MAX];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		shares_of(policies[i], 1, 0, shares);
		assert_int_equal(shares[0], 0);
		assert_int_equal(shares[1], ISO_WEIGHT_ONE);
	}
	shares_of(ISO_POLICY_LATENCY, 0, 1, shares);
	assert_int_equal(shares[0], ISO_WEIGHT_ONE / 5);
	shares_of(ISO_POLICY_LATENCY, 0, 3, shares);
	assert_int_equal(shares[0], ISO_WEIGHT_ONE / 2);
}

/* A region that lacks something is no place for a second try where one that has it is left. */
static void test_second_tries(void **state)
{
	struct iso_view view = { .n = 2, .allowed = 3, .up = 3, .lacking = 1, .tried = 2 };
	struct iso_pick pick;

	(void)state;
	view.c[0] = view.c[1] = (struct iso_candidate){ ISO_WEIGHT_ONE, 100, ISO_WEIGHT_ONE, 0 };
	iso_balance_pick(ISO_POLICY_LATENCY, &view, 0, &pick);
	assert_int_equal(pick.level, ISO_PICK_AGAIN);
	assert_int_equal(pick.index, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lacking),          cmocka_unit_test(test_paths),
		cmocka_unit_test(test_the_worst_counts), cmocka_unit_test(test_shares),
		cmocka_unit_test(test_second_tries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
