/*
 * A decision as it is written and computed again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/policy/decision.h"

static void random_view(struct iso_rng *rng, struct iso_view *ret_view)
{
	*ret_view = (struct iso_view){ .n = 1 + (uint32_t)(iso_rng_next(rng) % ISO_VIEW_MAX) };
	for (uint32_t i = 0; i < ret_view->n; i++)
		ret_view->c[i] = (struct iso_candidate){
			.weight = (uint32_t)iso_rng_next(rng) % (ISO_WEIGHT_ONE + 1),
			.cfg_weight = (uint32_t)iso_rng_next(rng) % 10001,
			.ramp = (uint32_t)iso_rng_next(rng) % (ISO_WEIGHT_ONE + 1),
			.priority = (uint32_t)iso_rng_next(rng) % 4,
		};
	ret_view->client.keyed = iso_rng_next(rng) % 2 == 0;
	ret_view->client.placed = iso_rng_next(rng) % 2 == 0;
	ret_view->client.home = (uint16_t)(iso_rng_next(rng) & iso_rng_next(rng));
	for (uint32_t i = 0; i < ret_view->n; i++) {
		ret_view->client.cost[i] = iso_rng_next(rng);
		ret_view->client.turn[i] = (uint16_t)iso_rng_next(rng);
		ret_view->client.km[i] = (uint16_t)(iso_rng_next(rng) % 20016);
	}
	ret_view->allowed = (uint16_t)iso_rng_next(rng);
	ret_view->up = (uint16_t)iso_rng_next(rng);
	ret_view->suspect = (uint16_t)iso_rng_next(rng);
	ret_view->tried = (uint16_t)iso_rng_next(rng);
	ret_view->full = (uint16_t)iso_rng_next(rng);
	ret_view->trial = iso_rng_next(rng) % 4 == 0 ? (uint16_t)iso_rng_next(rng) : 0;
	ret_view->lacking = (uint16_t)iso_rng_next(rng);
	ret_view->explore = (uint16_t)iso_rng_next(rng);
	ret_view->wary = (uint16_t)iso_rng_next(rng);
	ret_view->warned = (uint16_t)iso_rng_next(rng);
	ret_view->held = iso_rng_next(rng) % 4 == 0 ? (uint16_t)iso_rng_next(rng) : 0;
}

/* Whatever was seen, the pick is the same again, and another one is told from it. */
static void test_holds(void **state)
{
	struct iso_decision decision;
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 1);
	for (int i = 0; i < 20000; i++) {
		decision.policy = (enum iso_policy)(iso_rng_next(&rng) % 5);
		random_view(&rng, &decision.view);
		iso_balance_pick(decision.policy, &decision.view, (uint32_t)iso_rng_next(&rng),
				 &decision.pick);
		assert_true(iso_decision_holds(&decision));
		decision.pick.index ^= 1;
		assert_true(iso_decision_holds(&decision) == (decision.pick.level == ISO_PICK_NONE));
	}
}

static void test_text(void **state)
{
	static const struct iso_slice names[] = { { "near", 4 }, { "a\"b", 3 } };
	struct iso_decision decision = { .policy = ISO_POLICY_FAILOVER };
	struct iso_text text;

	(void)state;
	decision.view = (struct iso_view){ .n = 2,
					   .allowed = 3,
					   .up = 2,
					   .suspect = 4,
					   .tried = 8,
					   .full = 16,
					   .trial = 128,
					   .explore = 256,
					   .estimate_us = { 9, 10 },
					   .lacking = 32,
					   .wary = 512,
					   .warned = 64,
					   .held = 1024 };
	decision.view.c[0] = (struct iso_candidate){ 1, 2, 3, 4 };
	decision.view.c[1] = (struct iso_candidate){ 5, 6, 7, 8 };
	decision.pick = (struct iso_pick){ .index = 1, .level = ISO_PICK_GOOD, .draw = 4294967295 };
	iso_text_init(&text, ISO_DECISION_MAX);
	iso_decision_write(&decision, names, &text);
	assert_int_equal(iso_text_ok(&text), ISO_OK);
	assert_true(iso_slice_eq(
		iso_text_slice(&text),
		ISO_SLICE("{\"policy\":\"failover\",\"candidates\":[{\"region\":\"near\",\"weight\":1,"
			  "\"cfg_weight\":2,\"ramp\":3,\"priority\":4,\"estimate_us\":9},"
			  "{\"region\":\"a\\\"b\",\"weight\":5,"
			  "\"cfg_weight\":6,\"ramp\":7,\"priority\":8,\"estimate_us\":10}],"
			  "\"allowed\":3,\"up\":2,\"suspect\":4,"
			  "\"tried\":8,\"full\":16,\"trial\":128,\"explore\":256,\"lacking\":32,\"wary\":512,"
			  "\"warned\":64,\"held\":1024,\"level\":\"good\",\"draw\":4294967295,\"pick\":1}")));
	iso_text_done(&text);
}

static void test_the_longest_fits(void **state)
{
	struct iso_decision decision = { .policy = ISO_POLICY_FAILOVER };
	struct iso_slice names[ISO_VIEW_MAX];
	struct iso_text text;
	char name[64];

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(&decision.view, 0xff, sizeof(decision.view));
	decision.view.n = ISO_VIEW_MAX;
	decision.view.client.keyed = decision.view.client.placed = true;
	for (uint32_t i = 0; i < ISO_VIEW_MAX; i++) {
		names[i] = iso_slice(name, sizeof(name));
		decision.view.c[i] = (struct iso_candidate){ ISO_WEIGHT_ONE, 10000, ISO_WEIGHT_ONE, 1000 };
	}
	decision.pick = (struct iso_pick){ .index = 15, .level = ISO_PICK_FAIL_OPEN, .draw = UINT32_MAX };
	iso_text_init(&text, ISO_DECISION_MAX);
	iso_decision_write(&decision, names, &text);
	assert_int_equal(iso_text_ok(&text), ISO_OK);
	iso_text_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holds),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_the_longest_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
