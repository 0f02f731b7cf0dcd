/*
 * Routes: names that refer to nothing, patterns that never match, overlaps, and what a good one becomes.
 */
#include "config_help.h"

#define ROUTES(items) WITH("\"routes\": [" items "]")
#define MATCH(match) ROUTES("{ \"service\": \"s\", \"match\": { " match " } }")
#define TWO "\"services\": { \"s\": { " PAIR " }, \"orders\": { " PAIR " } }"

static const struct iso_cfg_route *find(const struct loaded *l, const char *authority, const char *path,
					const char *method)
{
	const struct iso_route_request request = { .authority = iso_slice_str(authority),
						   .path = iso_slice_str(path),
						   .method = iso_slice_str(method) };

	return iso_snapshot_route(l->snapshot, &request);
}

static void test_without_routes(void **state)
{
	struct loaded l = load_good(WITH("\"workers\": 1"));
	const struct iso_cfg_route *r = find(&l, "anything.test:1", "/x?y", "BREW");

	(void)state;
	assert_non_null(r);
	assert_ptr_equal(r, find(&l, "", "*", "OPTIONS"));
	assert_int_equal(l.snapshot->route_count, 1);
	assert_slice(r->name, "default");
	assert_ptr_equal(r->service, &l.snapshot->services[0]);
	assert_int_equal(r->region_mask, 3);
	assert_int_equal(r->policy, ISO_POLICY_LATENCY);
	assert_slice(iso_slice(r->alias.ptr != NULL ? r->alias.ptr : "", r->alias.len), "");
	assert_false(r->idempotent);
	done(&l);
	expect_one("{ " LISTEN ", " TWO " }", "/services", "2 services and no routes", "add \"routes\"");
	expect_one(WITH("\"routes\": []"), "/routes", "0 items", "1 to 10000");
}

#define MEASURED "{ \"service\": \"s\", \"measure\": true, "

static struct iso_slice identity_of(const struct loaded *l, uint32_t route)
{
	assert_non_null(l->snapshot->routes[route].track);
	assert_ptr_equal(l->snapshot->routes[route].track->route, &l->snapshot->routes[route]);
	return l->snapshot->routes[route].track->identity;
}

/* What it takes and where that goes is what it is: neither its name, nor its place, nor the order of members.
 */
static void test_what_a_measured_route_is(void **state)
{
	struct loaded a = load_good(
		ROUTES(MEASURED
		       "\"name\": \"x\", \"match\": { \"path\": \"/x\", "
		       "\"methods\": [\"GET\"] } },"
		       "{ \"service\": \"s\", \"measure\": false, \"match\": { \"path\": \"/y\" } }," MEASURED
		       "\"match\": { \"path\": \"/z\" } }"));
	struct loaded b = load_good(
		ROUTES(MEASURED "\"match\": { \"path\": \"/z\" }, \"timeout\": \"2s\" }," MEASURED
				"\"name\": \"y\", \"match\": { \"methods\": [\"GET\"], "
				"\"path\": \"/x\" } }," MEASURED
				"\"match\": { \"path\": \"/x\", \"methods\": [\"POST\"] } }," MEASURED
				"\"match\": { \"path\": \"/w\" }, \"order\": 1 }," MEASURED
				"\"match\": { \"path\": \"/w\" }, \"order\": 2 }," MEASURED
				"\"match\": { \"path\": \"/z/*\" }, \"rewrite\": { \"path\": \"/z\" } }"));
	const struct iso_snapshot *s = b.snapshot;

	(void)state;
	assert_int_equal(a.snapshot->track_count, 2);
	assert_null(a.snapshot->routes[1].track);
	assert_int_equal(s->track_count, 6);
	assert_slice(identity_of(&a, 0), identity_of(&b, 1).ptr);
	assert_slice(identity_of(&a, 2), identity_of(&b, 0).ptr);
	for (uint32_t i = 0; i < s->track_count; i++)
		for (uint32_t k = 0; k < i; k++)
			assert_false(iso_slice_eq(s->tracks[i].identity, s->tracks[k].identity));
	assert_memory_equal(s->tracks[0].identity.ptr, "s/", 2);
	assert_int_equal(s->tracks[0].identity.len, 2 + 16);
	done(&a);
	done(&b);
	expect_one(ROUTES("{ \"respond\": { \"status\": 200 }, \"measure\": true }"), "/routes/0/measure",
		   "\"measure\" means nothing where no service is asked", "name a `service`");
}

static void test_what_a_route_becomes(void **state)
{
	struct loaded l = load_good(
		"{ " LISTEN ", " TWO ", \"routes\": ["
		"{ \"service\": \"orders\", \"match\": { \"host\": \"API.example.com\", "
		"\"path\": "
		"\"/o/*\", "
		"\"methods\": [\"GET\", \"POST\"] }, \"name\": \"first\", \"alias\": \"live\", "
		"\"requires\": [\"db\", \"mail\"], \"idempotent\": true, \"regions\": [\"b\"], "
		"\"policy\": \"failover\" },"
		"{ \"service\": \"s\" } ] }");
	const struct iso_cfg_route *r = find(&l, "api.example.com:443", "/o/1?x", "POST");

	(void)state;
	assert_int_equal(l.snapshot->route_count, 2);
	assert_non_null(r);
	assert_slice(r->name, "first");
	assert_slice(r->alias, "live");
	assert_slice(r->service->name, "orders");
	assert_int_equal(r->service->index, 1);
	assert_int_equal(r->requires_count, 2);
	assert_slice(r->requires[0], "db");
	assert_slice(r->requires[1], "mail");
	assert_true(r->idempotent);
	assert_int_equal(r->region_mask, 2);
	assert_int_equal(r->policy, ISO_POLICY_FAILOVER);
	assert_int_equal(r->service->policy, ISO_POLICY_LATENCY);
	r = find(&l, "api.example.com", "/o/1", "DELETE");
	assert_non_null(r);
	assert_slice(r->name, "routes/1");
	assert_slice(r->service->name, "s");
	assert_int_equal(r->region_mask, 3);
	assert_int_equal(l.diag.count, 0);
	done(&l);
}

static void test_no_route(void **state)
{
	struct loaded l =
		load_good(MATCH("\"host\": \"*.example.com\", \"path\": \"/x\", \"methods\": [\"GET\"]"));

	(void)state;
	assert_non_null(find(&l, "a.example.com", "/x", "GET"));
	assert_null(find(&l, "example.com", "/x", "GET"));
	assert_null(find(&l, "a.example.com", "/x/", "GET"));
	assert_null(find(&l, "a.example.com", "/x", "PUT"));
	done(&l);
}

static void test_names_that_refer_to_nothing(void **state)
{
	(void)state;
	expect_one(ROUTES("{ \"service\": \"t-shirts\" }"), "/routes/0/service", "no service \"t-shirts\"",
		   "name one of: s");
	expect_one("{ " LISTEN ", " TWO
		   ", \"routes\": [{ \"service\": \"ordres\" }, { \"service\": \"s\", \"match\": { "
		   "\"path\": \"/\" } }] }",
		   "/routes/0/service", "no service \"ordres\"", "did you mean \"orders\"");
	expect_one(ROUTES("{ \"service\": \"s\", \"regions\": [\"a\", \"mars\"] }"), "/routes/0/regions/1",
		   "no region \"mars\"", "name one of: a, b");
	expect_one(ROUTES("{ \"service\": \"s\", \"regions\": [] }"), "/routes/0/regions", "0 items",
		   "1 to 16");
}

static void test_patterns(void **state)
{
	(void)state;
	expect_one(MATCH("\"host\": \"example.com:443\""), "/routes/0/match/host", "port is ignored",
		   "api.example.com");
	expect_one(MATCH("\"host\": \"*\""), "/routes/0/match/host", "star", "*.example.com");
	expect_one(MATCH("\"host\": \"a.*.com\""), "/routes/0/match/host", "star", "");
	expect_one(MATCH("\"host\": \"a..com\""), "/routes/0/match/host", "labels", "");
	expect_one(MATCH("\"path\": \"x\""), "/routes/0/match/path", "begins with", "/orders/*");
	expect_one(MATCH("\"path\": \"/x*\""), "/routes/0/match/path", "star", "/orders/*");
	expect_one(MATCH("\"path\": \"/x/{Id}\""), "/routes/0/match/path", "named segment", "/orders/{id}");
	expect_one(MATCH("\"path\": \"/x?y\""), "/routes/0/match/path", "without query", "");
	expect_one(MATCH("\"path\": \"/x/../y\""), "/routes/0/match/path", "dot segments", "");
	expect_one(MATCH("\"path\": \"/%7euser\""), "/routes/0/match/path", "never matches",
		   "write it as /~user");
	expect_one(MATCH("\"path\": \"/a%2fb\""), "/routes/0/match/path", "never matches",
		   "write it as /a%2Fb");
	expect_one(MATCH("\"path\": \"/%zz\""), "/routes/0/match/path", "never matches", "%XX");
	expect_one(MATCH("\"path\": \"/%00\""), "/routes/0/match/path", "never matches", "%00");
	expect_one(MATCH("\"path\": \"\""), "/routes/0/match/path", "empty", "");
	expect_one(MATCH("\"methods\": [\"GET\", \"post\"]"), "/routes/0/match/methods/1",
		   "\"post\" is no method", "upper case");
	expect_one(MATCH("\"methods\": [\"GET POST\"]"), "/routes/0/match/methods/0", "no method", "");
	expect_one(MATCH("\"methods\": []"), "/routes/0/match/methods", "0 items", "1 to 16");
	expect_one(ROUTES("{ \"service\": \"s\", \"name\": \"a b\" }"), "/routes/0/name", "not well formed",
		   "letters");
	expect_one(ROUTES("{ \"service\": \"s\", \"alias\": \"a b\" }"), "/routes/0/alias",
		   "not "
		   "well formed",
		   "letters");
	expect_one(ROUTES("{ \"service\": \"s\", \"requires\": [] }"), "/routes/0/requires", "0 items", "");
}

static void test_overlaps(void **state)
{
	struct loaded l;

	(void)state;
	expect_one(ROUTES("{ \"service\": \"s\", \"name\": \"one\" }, { \"service\": \"s\" }"), "/routes/1",
		   "routes/0 (one, in test.json:1:170) and routes/1 (routes/1)", "`order`");
	expect_one(
		ROUTES("{ \"service\": \"s\", \"match\": { \"host\": \"A.b\", \"path\": \"/x/*\", "
		       "\"methods\": [\"GET\", \"PUT\"] } }, "
		       "{ \"service\": \"s\", \"match\": { \"path\": \"/x/*\", \"methods\": [\"PUT\"] } }, "
		       "{ \"service\": \"s\", \"match\": { \"host\": \"a.B\", \"path\": \"/x/*\", "
		       "\"methods\": [\"PUT\", \"POST\"] } }"),
		"/routes/2", "routes/0 (routes/0, in test.json:1:170) and routes/2 (routes/2)", "condition");
	/* A bad route before does not shift the numbers. */
	l = load(ROUTES("{ \"service\": \"s\", \"match\": { \"path\": \"bad\" } }, { \"service\": "
			"\"s\" }, { "
			"\"service\": \"s\" }"));
	assert_int_equal(l.diag.errors, 2);
	assert_non_null(entry_at(&l, "/routes/0/match/path"));
	assert_non_null(strstr(entry_at(&l, "/routes/2")->message, "routes/1 (routes/1, in test.json:1:"));
	done(&l);
	l = load_good(
		ROUTES("{ \"service\": \"s\", \"match\": { \"path\": \"/x\", \"methods\": [\"GET\"] } }, "
		       "{ \"service\": \"s\", \"match\": { \"path\": \"/x\", \"methods\": [\"PUT\"] } }, "
		       "{ \"service\": \"s\", \"match\": { \"path\": \"/x\" } }, "
		       "{ \"service\": \"s\", \"match\": { \"path\": \"/x/*\" } }"));
	done(&l);
	expect_one(ROUTES("{ \"service\": \"s\", \"name\": \"n\" }, { \"service\": \"s\", \"name\": "
			  "\"n\", \"match\": { \"path\": \"/\" } }"),
		   "/routes/1/name", "the name \"n\" already", "of its own");
}

static void test_weights_of_a_route(void **state)
{
	static const char services[] =
		"{ " LISTEN ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"http://a\", "
		"\"weight\": 0 }, \"b\": { \"url\": \"http://b\" } } } }, \"routes\": [%s] }";
	char text[1024];
	struct loaded l;

	(void)state;
	(void)snprintf(text, sizeof(text), services,
		       "{ \"service\": \"s\", \"policy\": \"weighted\", \"regions\": [\"a\"] }");
	expect_one(text, "/routes/0", "all weigh 0", "above 0");
	(void)snprintf(text, sizeof(text), services, "{ \"service\": \"s\", \"policy\": \"weighted\" }");
	l = load_good(text);
	assert_int_equal(l.snapshot->routes[0].policy, ISO_POLICY_WEIGHTED);
	done(&l);
}

static void test_unused_service_is_noted(void **state)
{
	(void)state;
	expect_note("{ " LISTEN ", " TWO ", \"routes\": [{ \"service\": \"s\" }] }", "/services/orders",
		    "no route leads");
}

static void test_ten_thousand_routes(void **state)
{
	enum { COUNT = 10000, SIZE = COUNT * 96 + 1024 };
	char *text = malloc(SIZE), path[32];
	struct loaded l;
	size_t n;

	(void)state;
	assert_non_null(text);
	n = (size_t)snprintf(text, SIZE,
			     "{ " LISTEN ", \"services\": { \"s\": { " PAIR " } }, \"routes\": [");
	for (int i = 0; i < COUNT; i++)
		n += (size_t)snprintf(text + n, SIZE - n,
				      "%s{ \"service\": \"s\", \"match\": { \"path\": \"/r%d/*\" } }",
				      i > 0 ? ",\n" : "", i);
	(void)snprintf(text + n, SIZE - n, "] }");
	l = load_good(text);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(path, sizeof(path), "/r%d/x", i);
		assert_ptr_equal(find(&l, "h", path, "GET"), &l.snapshot->routes[i]);
	}
	done(&l);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_routes),
		cmocka_unit_test(test_what_a_measured_route_is),
		cmocka_unit_test(test_what_a_route_becomes),
		cmocka_unit_test(test_no_route),
		cmocka_unit_test(test_names_that_refer_to_nothing),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_weights_of_a_route),
		cmocka_unit_test(test_unused_service_is_noted),
		cmocka_unit_test(test_ten_thousand_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
