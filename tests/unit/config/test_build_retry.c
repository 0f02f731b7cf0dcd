/*
 * Whose Idempotency-Keys are whose, and where and how long they count.
 */
#include "config_help.h"

static const struct iso_cfg_keys *keys(const struct loaded *l)
{
	return &l->snapshot->services[0].keys;
}

static void test_defaults(void **state)
{
	struct loaded l = load_good(SERVICE("\"idempotency\": { \"store\": true }"));

	(void)state;
	assert_true(keys(&l)->store);
	assert_false(keys(&l)->regional || keys(&l)->wait || keys(&l)->client_told);
	assert_int_equal(keys(&l)->client_count, 2);
	assert_slice(keys(&l)->clients[0].name, "authorization");
	assert_slice(keys(&l)->clients[1].name, "x-api-key");
	assert_false(keys(&l)->clients[0].cookie || keys(&l)->clients[1].cookie);
	done(&l);
}

static void test_clients(void **state)
{
	struct loaded l =
		load_good(SERVICE("\"idempotency\": { \"scope\": \"region\", \"duplicates\": \"wait\", "
				  "\"client\": [\"X-User\", \"cookie:Session\"] }"));

	(void)state;
	assert_true(keys(&l)->regional && keys(&l)->wait && keys(&l)->client_told);
	assert_int_equal(keys(&l)->client_count, 2);
	assert_slice(keys(&l)->clients[0].name, "x-user");
	assert_false(keys(&l)->clients[0].cookie);
	assert_slice(keys(&l)->clients[1].name, "Session"); /* cookies' names have a case */
	assert_true(keys(&l)->clients[1].cookie);
	done(&l);
}

static void test_nobody_is_told_apart(void **state)
{
	struct loaded l = load_good(SERVICE("\"idempotency\": { \"client\": [] }"));

	(void)state;
	assert_true(keys(&l)->client_told);
	assert_int_equal(keys(&l)->client_count, 0);
	done(&l);
}

static void test_names_that_are_none(void **state)
{
	static const char *const bad[] = { "x user", "cookie:", "a:b", "", "cookie:a=b" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[512];
		struct loaded l;

		(void)snprintf(text, sizeof(text), SERVICE("\"idempotency\": { \"client\": [\"%s\"] }"),
			       bad[i]);
		l = load(text);
		assert_int_not_equal(l.err, ISO_OK);
		if (entry_at(&l, "/services/s/idempotency/client/0") == NULL) {
			show(&l);
			fail_msg("%s", bad[i]);
		}
		done(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_nobody_is_told_apart),
		cmocka_unit_test(test_names_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
