/*
 * Shape: types, ranges, counts, unknown, missing and duplicate keys; and that all mistakes are told at once.
 */
#include "config_help.h"

static void test_types(void **state)
{
	(void)state;
	expect_one(WITH("\"workers\": \"4\""), "/workers", "a string, but must be a whole number",
		   "without quotes");
	expect_one(WITH("\"workers\": 1.5"), "/workers", "a number, but must be a whole number", "digits");
	expect_one(WITH("\"workers\": null"), "/workers", "null", "digits");
	expect_one(WITH("\"admin\": \"127.0.0.1:1\""), "/admin", "must be an object", "{");
	expect_one(WITH("\"admin\": []"), "/admin", "an array, but must be an object", "{");
	expect_one(WITH("\"routes\": {}"), "/routes", "must be an array", "[");
	expect_one(WITH("\"access_log\": { \"path\": \"-\", \"query\": \"yes\" }"), "/access_log/query",
		   "must be true or false", "quotes");
	expect_one(WITH("\"access_log\": { \"path\": true }"), "/access_log/path", "must be a string",
		   "quotes");
	expect_one(SERVICE("\"timeout\": 5"), "/services/s/timeout", "must be a duration", "\"10s\"");
	expect_one(SERVICE("\"retry\": { \"budget\": \"0.2\" }"), "/services/s/retry/budget",
		   "must be a number", "0.2");
	expect_one(SERVICE("\"retry\": { \"statuses\": 503 }"), "/services/s/retry/statuses",
		   "must be an array", "[");
	expect_one(SERVICE("\"retry\": { \"statuses\": [\"503\"] }"), "/services/s/retry/statuses/0",
		   "must be a whole number", "");
	expect_one(REGION("\"headers\": { \"x\": 1 }"), "/services/s/regions/a/headers/x",
		   "must be "
		   "a string",
		   "");
	expect_one("[]", "", "a configuration is an object", "listeners");
}

static void test_ranges(void **state)
{
	(void)state;
	expect_one(WITH("\"workers\": 0"), "/workers", "0 is out of range", "from 1 to 256");
	expect_one(WITH("\"workers\": -3"), "/workers", "-3 is out of range", "from 1 to 256");
	expect_one(WITH("\"workers\": 257"), "/workers", "257 is out of range", "from 1 to 256");
	expect_one(WITH("\"workers\": 9223372036854775807"), "/workers", "out of range", "from 1 to 256");
	expect_one(SERVICE("\"retry\": { \"attempts\": 4 }"), "/services/s/retry/attempts", "4 is out",
		   "1 to 3");
	expect_one(SERVICE("\"retry\": { \"attempts\": 0 }"), "/services/s/retry/attempts", "0 is out",
		   "1 to 3");
	expect_one(SERVICE("\"retry\": { \"budget\": 2.01 }"), "/services/s/retry/budget", "2.01 is out",
		   "0 to 2");
	expect_one(SERVICE("\"retry\": { \"budget\": -0.1 }"), "/services/s/retry/budget", "-0.1 is out",
		   "0 to 2");
	expect_one(SERVICE("\"timeout\": \"0s\""), "/services/s/timeout", "\"0s\" is out", "10ms to 24h");
	expect_one(SERVICE("\"timeout\": \"25h\""), "/services/s/timeout", "\"25h\" is out", "10ms to 24h");
	expect_one(WITH("\"limits\": { \"header_bytes\": \"2MiB\" }"), "/limits/header_bytes",
		   "out "
		   "of range",
		   "1KiB to 1MiB");
	expect_one(SERVICE("\"health\": { \"statuses\": [] }"), "/services/s/health/statuses", "0 items",
		   "1 to 16");
	expect_one(SERVICE("\"health\": { \"statuses\": [200, 600] }"), "/services/s/health/statuses/1",
		   "600", "200 to 599");
	expect_one(WITH("\"admin\": { \"address\": \"\" }"), "/admin/address", "empty", "");
	expect_one("{ " LISTEN ", \"services\": {} }", "/services", "0 members", "1 to 64");
	expect_one("{ \"listeners\": [], \"services\": { \"s\": { " PAIR " } } }", "/listeners", "0 items",
		   "1 to 64");
	expect_one("{ " LISTEN ", \"services\": { \"s\": { \"regions\": {} } } }", "/services/s/regions",
		   "0 members", "1 to 16");
}

static void test_bounds_are_inside(void **state)
{
	struct loaded l = load_good(
		"{ " LISTEN
		", \"workers\": 256, \"limits\": { \"header_bytes\": \"1KiB\", \"drain_timeout\": \"0s\" },"
		"\"services\": { \"s\": { " PAIR ", \"timeout\": \"24h\", \"connect_timeout\": \"10ms\", "
		"\"retry\": { \"attempts\": 1, \"budget\": 0, \"statuses\": [], \"body_limit\": "
		"\"0B\" } } } }");

	(void)state;
	assert_int_equal(l.snapshot->workers, 256);
	assert_int_equal(l.snapshot->limits.header_bytes, 1024);
	assert_int_equal(l.snapshot->limits.drain_timeout_us, 0);
	assert_int_equal(l.snapshot->services[0].timeout_us, UINT64_C(86400000000));
	assert_int_equal(l.snapshot->services[0].connect_timeout_us, 10000);
	assert_int_equal(l.snapshot->services[0].retry.attempts, 1);
	assert_int_equal(l.snapshot->services[0].retry.budget_milli, 0);
	assert_int_equal(l.snapshot->services[0].retry.statuses.n, 0);
	assert_int_equal(l.snapshot->services[0].retry.body_limit, 0);
	done(&l);
}

static void test_units_and_enums(void **state)
{
	(void)state;
	expect_one(SERVICE("\"timeout\": \"10\""), "/services/s/timeout", "\"10\" is not a duration",
		   "250ms");
	expect_one(SERVICE("\"timeout\": \"soon | later\""), "/services/s/timeout", "is not a duration",
		   "250ms");
	expect_one(SERVICE("\"retry\": { \"body_limit\": \"64KB\" }"), "/services/s/retry/body_limit",
		   "not a size", "64KiB");
	expect_one(SERVICE("\"balance\": { \"policy\": \"lattency\" }"), "/services/s/balance/policy",
		   "\"lattency\" is no value", "\"latency\", \"failover\", \"weighted\"");
	expect_one(REGION("\"protocol\": \"h3\""), "/services/s/regions/a/protocol", "no value",
		   "\"http/1.1\"");
	expect_one(SERVICE("\"idempotency\": { \"honoured\": \"yes\" "
			   "}"),
		   "/services/s/idempotency/honoured", "no value", "\"none\", \"region\", \"global\"");
	expect_one("{ \"listeners\": [{ \"address\": \"127.0.0.1:0\", \"protocols\": [\"h3\"] }], "
		   "\"services\": { \"s\": { " PAIR " } } }",
		   "/listeners/0/protocols/0", "no value", "\"h2\"");
}

static void test_unknown_and_missing(void **state)
{
	(void)state;
	expect_one(WITH("\"wrokers\": 2"), "/wrokers", "\"wrokers\" is no key", "did you mean \"workers\"");
	expect_one(WITH("\"frobnicate\": 2"), "/frobnicate", "no key",
		   "the keys here are $schema include watch workers user group listeners");
	expect_one(SERVICE("\"time~out/x\": 2"), "/services/s/time~0out~1x", "no key", "");
	expect_one(SERVICE("\"balance\": { \"after\": \"5s\" }"), "/services/s/balance/after", "no key",
		   "policy");
	expect_one(WITH("\"routes\": [{ \"service\": \"s\", \"match\": { \"ports\": {} } }]"),
		   "/routes/0/match/ports", "no key", "host path methods");
	expect_one("{ " LISTEN " }", "", "\"services\" is missing", "add \"services\", an object");
	expect_one("{ \"services\": { \"s\": { " PAIR " } } }", "", "\"listeners\" is missing", "an array");
	expect_one("{ " LISTEN
		   ", \"services\": { \"s\": { \"regions\": { \"a\": {}, \"b\": { \"url\": \"http://b\" "
		   "} } } } }",
		   "/services/s/regions/a", "\"url\" is missing", "add \"url\", a string");
	expect_one("{ " LISTEN ", \"services\": { \"s\": {} } }", "/services/s", "\"regions\" is missing",
		   "");
	expect_one(WITH("\"admin\": {}"), "/admin", "\"address\" is missing", "");
	expect_one(WITH("\"routes\": [{ \"match\": { \"path\": \"/x\" } }]"), "/routes/0",
		   "what it is about is missing", "\"service\", \"respond\", \"redirect\"");
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"",    "a b", "-a",       ".a",
		"a/b", "a|b", "\xc3\xa9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};
	static const char *const good[] = {
		"a", "0", "a.b_c-D9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[512];
		struct loaded l;

		(void)snprintf(text, sizeof(text), "{ " LISTEN ", \"services\": { \"%s\": { " PAIR " } } }",
			       bad[i]);
		l = load(text);
		assert_int_equal(l.err, ISO_EBAD);
		assert_int_equal(l.diag.count, 1);
		assert_non_null(strstr(l.diag.entries[0].message, "not well formed"));
		assert_non_null(strstr(l.diag.entries[0].mend, "64 letters"));
		assert_int_equal(l.diag.entries[0].column, 62);
		done(&l);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[512];
		struct loaded l;

		(void)snprintf(text, sizeof(text), "{ " LISTEN ", \"services\": { \"%s\": { " PAIR " } } }",
			       good[i]);
		l = load_good(text);
		assert_slice(l.snapshot->services[0].name, good[i]);
		done(&l);
	}
}

static void test_variables(void **state)
{
	struct loaded l;

	(void)state;
	assert_int_equal(setenv("ISO_T_WAIT", "7s", 1) | setenv("ISO_T_BAD", "\xff\xfe", 1) |
				 setenv("ISO_T_NIL", "", 1) | unsetenv("ISO_T_NONE"),
			 0);
	expect_one(SERVICE("\"timeout\": \"${ISO_T_NONE}\""), "/services/s/timeout",
		   "ISO_T_NONE is "
		   "not set",
		   "set it");
	expect_one(SERVICE("\"timeout\": \"${7}\""), "/services/s/timeout", "names neither", "${NAME}");
	expect_one(SERVICE("\"timeout\": \"${ISO_T_BAD}\""), "/services/s/timeout", "not UTF-8", "UTF-8");
	expect_one(WITH("\"access_log\": { \"path\": \"${ISO_T_NIL}\" }"), "/access_log/path", "empty", "");
	expect_one(WITH("\"access_log\": { \"path\": \"$${ISO_T_NONE} ${ISO_T_NONE}\" "
			"}"),
		   "/access_log/path", "ISO_T_NONE is not set", "");
	l = load_good(SERVICE("\"timeout\": \"${ISO_T_WAIT}\""));
	assert_int_equal(l.snapshot->services[0].timeout_us, 7000000);
	done(&l);
	l = load_good(WITH("\"access_log\": { \"path\": \"/x/$${A}\" }"));
	assert_slice(l.snapshot->access_log, "/x/${A}");
	done(&l);
}

/* One file, ten mistakes: ten places, ten mends. Lines and columns counted by hand. */
static void test_ten_mistakes(void **state)
{
	static const char text[] =
		"{\n"
		"  \"wrokers\": 2,\n"                                       /* 2:3 */
		"  \"listeners\": [ { \"address\": \"localhost:80\" } ],\n" /* 3:31 */
		"  \"admin\": { \"adress\": \"127.0.0.1:9901\" },\n"        /* 4:14, and not missing too */
		"  \"services\": {\n"
		"    \"orders\": {\n"
		"      \"regions\": { \"a\": { \"url\": \"ftp://a\" },\n"          /* 7:34 */
		"        \"b\": { \"url\": \"http://b\", \"weight\": -1 } },\n"    /* 8:45 */
		"      \"health\": { \"interval\": \"10\" },\n"                    /* 9:31 */
		"      \"retry\": { \"attempts\": \"3\" },\n"                      /* 10:30 */
		"      \"balance\": { \"policy\": \"fastest\" }, \"timeout\": 5\n" /* 11:30, 11:54 */
		"    }\n"
		"  },\n"
		"  \"routes\": [ { \"service\": \"ordres\" } ]\n" /* 14:28 */
		"}\n";
	static const unsigned int places[10][2] = {
		{ 2, 3 },  { 3, 31 },  { 4, 14 },  { 7, 34 },  { 8, 45 },
		{ 9, 31 }, { 10, 30 }, { 11, 30 }, { 11, 54 }, { 14, 28 }
	};
	struct loaded l = load(text);
	FILE *nowhere = fopen("/dev/null", "w");

	(void)state;
	assert_int_equal(l.err, ISO_EBAD);
	assert_non_null(nowhere);
	iso_diag_print(&l.diag, nowhere); /* sorts by place */
	fclose(nowhere);
	if (l.diag.errors != 10)
		show(&l);
	assert_int_equal(l.diag.errors, 10);
	assert_int_equal(l.diag.count, 10);
	for (size_t i = 0; i < 10; i++) {
		const struct iso_diag_entry *e = &l.diag.entries[i];

		assert_int_equal(e->line, places[i][0]);
		assert_int_equal(e->column, places[i][1]);
		assert_true(strlen(e->message) > 5 && strlen(e->mend) > 5);
	}
	done(&l);
}

/* What one step has reported is not reported again by the next under another name. */
static void test_no_echo(void **state)
{
	(void)state;
	expect_one("{ " LISTEN ", \"services\": 7, \"routes\": [{ \"service\": \"s\" }] }", "/services",
		   "must be an object", "");
	expect_one("{ " LISTEN
		   ", \"services\": { \"s\": 7 }, \"routes\": [{ \"service\": \"s\", \"regions\": "
		   "[\"a\"] }] }",
		   "/services/s", "must be an object", "");
	expect_one(WITH("\"routes\": [{ \"service\": \"s\", \"match\": { \"path\": 7 } }, { "
			"\"service\": \"s\" }]"),
		   "/routes/0/match/path", "must be a string", "");
	expect_one(WITH("\"routes\": [{ \"service\": \"s\", \"match\": 7 }, { \"service\": \"s\" }]"),
		   "/routes/0/match", "must be an object", "");
	expect_one("{ " LISTEN ", \"services\": { \"s\": { \"regions\": 3 } }, "
		   "\"routes\": [{ \"service\": \"s\", \"regions\": [\"a\"] }] }",
		   "/services/s/regions", "must be an object", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_bounds_are_inside),
		cmocka_unit_test(test_units_and_enums),
		cmocka_unit_test(test_unknown_and_missing),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_ten_mistakes),
		cmocka_unit_test(test_no_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
