/*
 * How a region is chosen: the policy's name, what `sticky` holds on to, and what has no meaning.
 */
#include "config_help.h"

#include "iso/policy/sticky.h"

#define STICKY(keys) SERVICE("\"balance\": { \"policy\": \"sticky\", \"sticky\": { " keys " } }")
#define AT "/services/s/balance/sticky"

static void test_policies_by_name(void **state)
{
	static const struct {
		const char *text;
		enum iso_policy policy;
	} cases[] = {
		{ SERVICE("\"balance\": { \"policy\": \"latency\" }"), ISO_POLICY_LATENCY },
		{ SERVICE("\"balance\": { \"policy\": \"failover\" }"), ISO_POLICY_FAILOVER },
		{ SERVICE("\"balance\": { \"policy\": \"weighted\" }"), ISO_POLICY_WEIGHTED },
		{ SERVICE("\"balance\": { \"policy\": \"sticky\" }"), ISO_POLICY_STICKY },
		{ SERVICE("\"balance\": {}"), ISO_POLICY_LATENCY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct loaded l = load_good(cases[i].text);

		assert_int_equal(l.snapshot->services[0].policy, cases[i].policy);
		done(&l);
	}
}

static void test_sticky_defaults(void **state)
{
	struct loaded l = load_good(SERVICE("\"balance\": { \"policy\": \"sticky\" }"));
	const struct iso_cfg_service *s = &l.snapshot->services[0];

	(void)state;
	assert_int_equal(s->sticky.by, ISO_STICKY_COOKIE);
	assert_slice(s->sticky.name, "isochrone");
	assert_int_equal(s->sticky.ttl_us, 3600000000);
	assert_true(s->sticky.comes_back);
	assert_int_equal(l.diag.count, 0);
	/* By its name alone, so that it is the same in every file and proxy. */
	assert_int_equal(s->regions[0].name_hash, iso_sticky_hash(ISO_SLICE("a")));
	assert_int_equal(s->regions[1].name_hash, iso_sticky_hash(ISO_SLICE("b")));
	done(&l);
}

static void test_sticky_all_given(void **state)
{
	struct loaded l =
		load_good(STICKY("\"by\": \"cookie\", \"name\": \"Place\", \"ttl\": \"5m\", \"return\": "
				 "false"));
	const struct iso_cfg_sticky *sticky = &l.snapshot->services[0].sticky;

	(void)state;
	assert_int_equal(sticky->by, ISO_STICKY_COOKIE);
	assert_slice(sticky->name, "Place"); /* names of cookies have a case */
	assert_int_equal(sticky->ttl_us, 300000000);
	assert_false(sticky->comes_back);
	done(&l);
	l = load_good(STICKY("\"by\": \"header\", \"name\": \"X-User\", \"ttl\": \"0s\""));
	sticky = &l.snapshot->services[0].sticky;
	assert_int_equal(sticky->by, ISO_STICKY_HEADER);
	assert_slice(sticky->name, "x-user");
	assert_int_equal(sticky->ttl_us, 0);
	done(&l);
	l = load_good(STICKY("\"by\": \"client_ip\", \"return\": true"));
	assert_int_equal(l.snapshot->services[0].sticky.by, ISO_STICKY_CLIENT_IP);
	done(&l);
}

static void test_sticky_in_a_route(void **state)
{
	struct loaded l = load_good("{ " LISTEN ", \"services\": { \"s\": { " PAIR
				    ", \"balance\": { \"sticky\": { \"by\": \"client_ip\" } } } }, "
				    "\"routes\": [ { \"service\": \"s\", \"policy\": \"sticky\" } ] }");

	(void)state;
	assert_int_equal(l.snapshot->services[0].policy, ISO_POLICY_LATENCY);
	assert_int_equal(l.snapshot->routes[0].policy, ISO_POLICY_STICKY);
	assert_int_equal(l.snapshot->routes[0].service->sticky.by, ISO_STICKY_CLIENT_IP);
	done(&l);
}

static void test_sticky_mistakes(void **state)
{
	(void)state;
	expect_one(STICKY("\"by\": \"ip\""), AT "/by", "\"ip\" is no value", "\"client_ip\"");
	expect_one(STICKY("\"by\": \"header\""), AT, "no header field is named", "\"x-user-id\"");
	expect_one(STICKY("\"by\": \"header\", \"name\": \"\""), AT "/name", "the text is empty", "");
	expect_one(STICKY("\"by\": \"header\", \"name\": \"x user\""), AT "/name", "no name of a cookie",
		   "letters, digits");
	expect_one(STICKY("\"name\": \"a=b\""), AT "/name", "no name of a cookie", "letters, digits");
	expect_one(STICKY("\"name\": \"a;Domain\""), AT "/name", "no name of a cookie", "letters, digits");
	expect_one(STICKY("\"by\": \"header\", \"name\": \"x\", \"return\": false"), AT "/return",
		   "only a cookie can remember", "\"by\": \"cookie\"");
	expect_one(STICKY("\"by\": \"client_ip\", \"return\": false"), AT "/return",
		   "only a cookie can remember", "leave `return` out");
	expect_one(STICKY("\"ttl\": \"10000h\""), AT "/ttl", "out of range", "9600h");
	expect_one(STICKY("\"ttl\": 60"), AT "/ttl", "must be a duration", "\"10s\"");
	expect_one(STICKY("\"return\": \"no\""), AT "/return", "must be true or false", "without quotes");
	expect_one(STICKY("\"cookie\": \"x\""), AT "/cookie", "no key of this object", "by name ttl return");
}

/* Off unless it is asked for; who clients are is said by `sticky`, where that is used at all. */
static void test_after_write(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
		enum iso_sticky_by by;
	} cases[] = {
		{ SERVICE("\"balance\": {}"), 0, ISO_STICKY_CLIENT_IP },
		{ SERVICE("\"balance\": { \"after_write\": \"0s\" }"), 0, ISO_STICKY_CLIENT_IP },
		{ SERVICE("\"balance\": { \"after_write\": \"1500ms\" }"), 1500000, ISO_STICKY_CLIENT_IP },
		{ SERVICE("\"balance\": { \"after_write\": \"1h\", \"sticky\": {} }"), 3600000000,
		  ISO_STICKY_COOKIE },
		{ SERVICE("\"balance\": { \"after_write\": \"5s\", \"policy\": \"sticky\" }"), 5000000,
		  ISO_STICKY_COOKIE },
		{ SERVICE("\"balance\": { \"after_write\": \"5s\", \"sticky\": { \"by\": \"header\", "
			  "\"name\": \"X-User\" } }"),
		  5000000, ISO_STICKY_HEADER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct loaded l = load_good(cases[i].text);

		assert_int_equal(l.snapshot->services[0].after_write_us, cases[i].us);
		assert_int_equal(l.snapshot->services[0].after_write_by, cases[i].by);
		done(&l);
	}
}

static void test_after_write_mistakes(void **state)
{
	(void)state;
	expect_one(SERVICE("\"balance\": { \"after_write\": 5 }"), "/services/s/balance/after_write",
		   "must be a duration", "\"10s\"");
	expect_one(SERVICE("\"balance\": { \"after_write\": \"2h\" }"), "/services/s/balance/after_write",
		   "out of range", "1h");
	expect_one(SERVICE("\"balance\": { \"after_write\": \"5s\", \"sticky\": { \"by\": \"header\" } }"),
		   "/services/s/balance/sticky", "no header field is named", "\"x-user-id\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies_by_name),     cmocka_unit_test(test_sticky_defaults),
		cmocka_unit_test(test_sticky_all_given),     cmocka_unit_test(test_sticky_in_a_route),
		cmocka_unit_test(test_sticky_mistakes),      cmocka_unit_test(test_after_write),
		cmocka_unit_test(test_after_write_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
