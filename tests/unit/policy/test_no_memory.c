/*
 * A router without memory: an error, and no router.
 */
#include "sweep.h"

#include "iso/policy/route.h"

enum { RULES = 60 };

static void build_a_router(void)
{
	static const struct iso_slice methods[] = { { "GET", 3 }, { "POST", 4 } };
	static char paths[RULES][32];
	struct iso_route_rule rules[RULES];
	struct iso_route_clashes clashes = { .n = 0 };
	const struct iso_router *router = NULL;
	struct iso_arena arena;
	int err;

	for (uint32_t i = 0; i < RULES; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/orders/%u/{id}/lines", i);
		rules[i] = (struct iso_route_rule){
			.host = i % 2 == 0 ? ISO_SLICE("a.example") : ISO_SLICE("*.b.example"),
			.path = iso_slice_str(paths[i]),
			.methods = methods,
			.method_count = i % 3,
		};
	}
	iso_arena_init(&arena, NULL, 1 << 22);
	sweep_arm();
	err = iso_router_build(&arena, rules, RULES, &clashes, &router);
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(router == NULL, err != ISO_OK);
	if (router != NULL) {
		const struct iso_route_request request = { .authority = ISO_SLICE("a.example"),
							   .path = ISO_SLICE("/orders/4/x/lines"),
							   .method = ISO_SLICE("GET") };

		sweep_arm(); /* a lookup allocates nothing */
		assert_int_equal(iso_router_find(router, &request), 4);
		sweep_disarm();
		assert_true(sweep_plan.fail_at > 1);
	}
	iso_arena_done(&arena);
}

static void test_router(void **state)
{
	(void)state;
	sweep(build_a_router, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_router) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
