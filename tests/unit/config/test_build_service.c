/*
 * Services and regions: names, defaults, TLS contexts, health, retry, and what has no meaning.
 */
#include "config_help.h"

#include "certs_help.h"

static const struct iso_cfg_region *region(const struct loaded *l, uint32_t i)
{
	return &l->snapshot->services[0].regions[i];
}

static void test_defaults(void **state)
{
	struct loaded l = load_good(WITH("\"$schema\": \"x\""));
	const struct iso_cfg_service *s = &l.snapshot->services[0];

	(void)state;
	/* The defaults of the product's table. */
	assert_int_equal(l.snapshot->service_count, 1);
	assert_slice(s->name, "s");
	assert_int_equal(s->index, 0);
	assert_int_equal(s->region_count, 2);
	assert_int_equal(s->policy, ISO_POLICY_LATENCY);
	assert_int_equal(s->honoured, ISO_HONOURED_NONE);
	assert_slice(s->health.path, "/health");
	assert_int_equal(s->health.interval_us, 10000000);
	assert_int_equal(s->health.timeout_us, 2000000);
	assert_int_equal(s->health.healthy_threshold, 2);
	assert_int_equal(s->health.unhealthy_threshold, 3);
	assert_int_equal(s->health.statuses.n, 1);
	assert_int_equal(s->health.statuses.v[0], 200);
	assert_int_equal(s->retry.attempts, 3);
	assert_int_equal(s->retry.per_try_timeout_us, 0);
	assert_int_equal(s->retry.budget_milli, 200);
	assert_int_equal(s->retry.statuses.n, 3);
	assert_int_equal(s->retry.statuses.v[0], 502);
	assert_int_equal(s->retry.statuses.v[2], 504);
	assert_int_equal(s->retry.body_limit, 65536);
	assert_int_equal(s->connect_timeout_us, 1000000);
	assert_int_equal(s->timeout_us, 31000000);
	assert_int_equal(s->idle_timeout_us, 60000000);
	assert_int_equal(s->tunnel_idle_timeout_us, 600000000);
	assert_int_equal(s->regions[0].weight, 100);
	assert_int_equal(s->regions[0].priority, 0);
	assert_int_equal(s->regions[1].priority, 1);
	assert_int_equal(s->regions[1].max_in_flight, 0);
	assert_int_equal(s->regions[1].protocol, ISO_PROTOCOL_HTTP11); /* auto in cleartext */
	done(&l);
}

static void test_all_given(void **state)
{
	struct loaded l = load_good(
		SERVICE("\"health\": { \"path\": \"/up?deep=1\", \"interval\": \"4s\", \"timeout\": "
			"\"4s\", "
			"\"healthy_threshold\": 5, \"unhealthy_threshold\": 6, \"statuses\": [200, 204] }, "
			"\"balance\": { \"policy\": \"failover\" }, \"retry\": { \"attempts\": 2, "
			"\"per_try_timeout\": \"1.5s\", "
			"\"budget\": 0.15, \"statuses\": [503], \"body_limit\": \"1MiB\" }, "
			"\"connect_timeout\": \"2s\", "
			"\"timeout\": \"3s\", \"idle_timeout\": \"4s\", \"tunnel_idle_timeout\": \"5s\", "
			"\"idempotency\": { \"honoured\": \"global\" }"));
	const struct iso_cfg_service *s = &l.snapshot->services[0];

	(void)state;
	assert_slice(s->health.path, "/up?deep=1");
	assert_int_equal(s->health.interval_us, 4000000);
	assert_int_equal(s->health.timeout_us, 4000000); /* may equal the interval */
	assert_int_equal(s->health.healthy_threshold, 5);
	assert_int_equal(s->health.unhealthy_threshold, 6);
	assert_int_equal(s->health.statuses.n, 2);
	assert_int_equal(s->health.statuses.v[1], 204);
	assert_int_equal(s->policy, ISO_POLICY_FAILOVER);
	assert_int_equal(s->retry.attempts, 2);
	assert_int_equal(s->retry.per_try_timeout_us, 1500000);
	assert_int_equal(s->retry.budget_milli, 150);
	assert_int_equal(s->retry.statuses.n, 1);
	assert_int_equal(s->retry.body_limit, 1048576);
	assert_int_equal(s->connect_timeout_us, 2000000);
	assert_int_equal(s->timeout_us, 3000000);
	assert_int_equal(s->idle_timeout_us, 4000000);
	assert_int_equal(s->tunnel_idle_timeout_us, 5000000);
	assert_int_equal(s->honoured, ISO_HONOURED_GLOBAL);
	done(&l);
	l = load_good(SERVICE("\"balance\": { \"policy\": \"weighted\" }, \"idempotency\": { \"honoured\": "
			      "\"region\" }"));
	assert_int_equal(l.snapshot->services[0].policy, ISO_POLICY_WEIGHTED);
	assert_int_equal(l.snapshot->services[0].honoured, ISO_HONOURED_REGION);
	done(&l);
	l = load_good(REGION("\"weight\": 7, \"priority\": 9, \"max_in_flight\": 11, \"protocol\": "
			     "\"h2\""));
	assert_int_equal(region(&l, 0)->weight, 7);
	assert_int_equal(region(&l, 0)->priority, 9);
	assert_int_equal(region(&l, 0)->max_in_flight, 11);
	assert_int_equal(region(&l, 0)->protocol, ISO_PROTOCOL_H2);
	done(&l);
}

static void test_names_of_a_region(void **state)
{
	static const struct {
		const char *keys;
		const char *host;
		unsigned int port;
		bool tls;
		const char *base_path, *authority, *sni;
	} cases[] = {
		{ "\"url\": \"https://a.test\"", "a.test", 443, true, "", "a.test", "a.test" },
		{ "\"url\": \"https://A.test/\"", "a.test", 443, true, "", "A.test", "a.test" },
		{ "\"url\": \"https://a.test:443/prod/\"", "a.test", 443, true, "/prod", "a.test", "a.test" },
		{ "\"url\": \"https://a.test:8443/v1/x\"", "a.test", 8443, true, "/v1/x", "a.test:8443",
		  "a.test" },
		{ "\"url\": \"http://a.test:80\"", "a.test", 80, false, "", "a.test", "" },
		{ "\"url\": \"http://a.test:443\"", "a.test", 443, false, "", "a.test:443", "" },
		{ "\"url\": \"https://a.test\", \"host\": "
		  "\"api.test\"",
		  "a.test", 443, true, "", "api.test", "api.test" },
		{ "\"url\": \"https://a.test\", \"host\": \"api.test:444\"", "a.test", 443, true, "",
		  "api.test:444", "api.test" },
		{ "\"url\": \"https://a.test\", \"host\": \"api.test\", \"sni\": "
		  "\"tls.test\"",
		  "a.test", 443, true, "", "api.test", "tls.test" },
		{ "\"url\": \"https://a.test:9\", \"sni\": \"TLS.test\"", "a.test", 9, true, "", "a.test:9",
		  "tls.test" },
		{ "\"url\": \"https://192.0.2.1\"", "192.0.2.1", 443, true, "", "192.0.2.1", "192.0.2.1" },
		{ "\"url\": \"https://[2001:db8::1]:444/p\"", "2001:db8::1", 444, true, "/p",
		  "[2001:db8::1]:444", "2001:db8::1" },
		{ "\"url\": \"https://192.0.2.1\", \"host\": \"api.test\"", "192.0.2.1", 443, true, "",
		  "api.test", "api.test" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];
		struct loaded l;

		(void)snprintf(text, sizeof(text),
			       "{ " LISTEN ", \"services\": { \"s\": { \"regions\": { \"a\": { %s }, "
			       "\"b\": { \"url\": \"http://b.test\" } } } } }",
			       cases[i].keys);
		l = load_good(text);
		assert_slice(region(&l, 0)->host, cases[i].host);
		assert_int_equal(region(&l, 0)->port, cases[i].port);
		assert_int_equal(region(&l, 0)->tls, cases[i].tls);
		assert_slice(region(&l, 0)->base_path, cases[i].base_path);
		assert_slice(region(&l, 0)->authority, cases[i].authority);
		assert_slice(region(&l, 0)->sni, cases[i].sni);
		assert_int_equal(region(&l, 0)->tls_client != NULL, cases[i].tls);
		done(&l);
	}
}

static void test_bad_urls_and_names(void **state)
{
	static const char *const urls[] = { "ftp://a",          "a.test",        "https://",
					    "https:///x",       "https://a:0",   "https://a:65536",
					    "https://a:x",      "https://u@a",   "https://a b",
					    "https://a/x?q=1",  "https://a/x#f", "HTTPS://a",
					    "https://a/x/../y", "https://a/%41", "https://a/%zz",
					    "https://[::1",     "//a",           "https://a/x y" };
	static const char *const hosts[] = { "a b", "https://a", "a:x", "a:", "u@a", "a/b", ":80" };
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		(void)snprintf(text, sizeof(text), URL("%s"), urls[i]);
		expect_one(text, "/services/s/regions/a/url", "", "");
	}
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		(void)snprintf(text, sizeof(text), REGION("\"host\": \"%s\""), hosts[i]);
		expect_one(text, "/services/s/regions/a/host", "is no host", "port");
	}
	expect_one("{ " LISTEN
		   ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"https://a\", \"sni\": "
		   "\"a:1\" }, "
		   "\"b\": { \"url\": \"http://b\" } } } } }",
		   "/services/s/regions/a/sni", "is no server name", "without a port");
}

static void test_identity(void **state)
{
	static const char *const variants[] = {
		"{ " LISTEN
		", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"http://a.test\" } } } } }",
		"{ " LISTEN
		", \"services\": { \"t\": { \"regions\": { \"a\": { \"url\": \"http://a.test\" } } } } }",
		"{ " LISTEN
		", \"services\": { \"s\": { \"regions\": { \"b\": { \"url\": \"http://a.test\" } } } } }",
		"{ " LISTEN
		", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"http://a.test/x\" } } } } }",
		"{ " LISTEN
		", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"https://a.test\" } } } } }",
		"{ " LISTEN ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": "
		"\"http://a.test\", "
		"\"host\": \"b\" } } } } }",
		"{ " LISTEN ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": "
		"\"https://a.test\", "
		"\"sni\": \"b\" } } } } }",
		"{ " LISTEN ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": "
		"\"http://a.test\", "
		"\"protocol\": \"h2\" } } } } }",
	};
	/* Of no meaning for what was learnt. */
	static const char same[] =
		"{ " LISTEN
		", \"services\": { \"s\": { \"timeout\": \"9s\", \"regions\": { \"a\": { \"weight\": "
		"3, \"max_in_flight\": 5, \"headers\": { \"x\": \"y\" }, \"url\": \"http://a.test\" "
		"} } } } }";
	enum { N = sizeof(variants) / sizeof(variants[0]) };
	struct loaded l[N], other = load_good(same);

	(void)state;
	for (size_t i = 0; i < N; i++) {
		l[i] = load_good(variants[i]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(region(&l[i], 0)->identity.ptr,
						region(&l[k], 0)->identity.ptr);
	}
	assert_string_equal(region(&other, 0)->identity.ptr, region(&l[0], 0)->identity.ptr);
	for (size_t i = 0; i < N; i++)
		done(&l[i]);
	done(&other);
}

static void test_health(void **state)
{
	struct loaded l;

	(void)state;
	expect_one(SERVICE("\"health\": { \"interval\": \"1s\", \"timeout\": \"1001ms\" }"),
		   "/services/s/health/timeout", "longer than the interval", "shorten");
	expect_one(SERVICE("\"health\": { \"path\": \"health\" }"), "/services/s/health/path", "no path",
		   "/health");
	expect_one(SERVICE("\"health\": { \"path\": \"/a/../b\" }"), "/services/s/health/path", "no path",
		   "");
	expect_one(SERVICE("\"health\": { \"path\": \"/a#b\" }"), "/services/s/health/path", "no path", "");
	expect_one(SERVICE("\"health\": { \"path\": \"/a b\" "
			   "}"),
		   "/services/s/health/path", "blanks", "%XX");
	expect_one(SERVICE("\"health\": { \"path\": \"/%%00\" }"), "/services/s/health/path",
		   "no "
		   "path",
		   "");
	l = load_good(SERVICE("\"health\": { \"interval\": \"1s\" }"));
	assert_int_equal(l.snapshot->services[0].health.timeout_us, 1000000); /* the default does not exceed
										 it */
	done(&l);
}

static void test_notes(void **state)
{
	(void)state;
	expect_note("{ " LISTEN
		    ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"http://a\" } } } } }",
		    "/services/s/regions", "one region only");
	expect_note(REGION("\"tls\": { \"ca\": \"none.pem\" }"), "/services/s/regions/a", "no effect");
	expect_note(REGION("\"sni\": \"x\""), "/services/s/regions/a", "no effect");
	expect_note(SERVICE("\"tls\": { \"ca\": \"none.pem\" }"), "/services/s/tls", "no effect");
}

static void test_weights(void **state)
{
	static const char zero[] =
		"{ " LISTEN ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"http://a\", "
		"\"weight\": 0 }, \"b\": { \"url\": \"http://b\", \"weight\": 0 } }, "
		"\"balance\": { \"policy\": \"%s\" } } } }";
	char text[1024];
	struct loaded l;

	(void)state;
	(void)snprintf(text, sizeof(text), zero, "weighted");
	expect_one(text, "/services/s/balance", "all regions weigh 0", "above 0");
	(void)snprintf(text, sizeof(text), zero, "failover");
	l = load_good(text);
	done(&l);
}

static void test_number_of_regions(void **state)
{
	char *text = malloc(65536);
	struct loaded l;
	size_t n;

	(void)state;
	assert_non_null(text);
	for (unsigned int count = 16; count <= 17; count++) {
		n = (size_t)snprintf(text, 65536, "{ " LISTEN ", \"services\": { \"s\": { \"regions\": {");
		for (unsigned int i = 0; i < count; i++)
			n += (size_t)snprintf(text + n, 65536 - n, "%s\"r%u\": { \"url\": \"http://r%u\" }",
					      i > 0 ? "," : "", i, i);
		(void)snprintf(text + n, 65536 - n, "} } } }");
		l = load(text);
		assert_int_equal(l.err, count == 16 ? ISO_OK : ISO_EBAD);
		if (count == 16)
			assert_int_equal(l.snapshot->routes[0].region_mask, 0xffff);
		done(&l);
	}
	for (unsigned int count = 64; count <= 65; count++) { /* over all services, one each and a second one
							       */
		n = (size_t)snprintf(text, 65536, "{ " LISTEN ", \"services\": {");
		for (unsigned int i = 0; i < count - 1; i++)
			n += (size_t)snprintf(
				text + n, 65536 - n,
				"\"s%u\": { \"regions\": { \"r\": { \"url\": \"http://r\" }%s } },", i,
				i == 0 ? ", \"q\": { \"url\": \"http://q\" }" : "");
		(void)snprintf(text + n - 1, 65536 - n, "}, \"routes\": [{ \"service\": \"s1\" }] }");
		l = load(text);
		assert_int_equal(l.err, count == 64 ? ISO_OK : ISO_EBAD);
		if (count == 65)
			assert_non_null(strstr(entry_at(&l, "/services")->message, "at most 64"));
		done(&l);
	}
	free(text);
}

static const char *const files[] = { "a.pem", "a.key", "junk.pem", NULL };

static int certs_setup(void **state)
{
	static struct certs certs;

	certs_make(&certs);
	certs_add(&certs, "a", "a.example");
	certs_write(&certs, "junk.pem", "this is no certificate\n");
	*state = &certs;
	return 0;
}

static int certs_teardown(void **state)
{
	certs_remove(*state, files);
	return 0;
}

#define TWO_TLS(service, a, b)                                                                               \
	"{ " LISTEN ", \"services\": { \"s\": { " service                                                    \
	" \"regions\": { \"a\": { \"url\": \"https://a\" " a " }, "                                          \
	"\"b\": { \"url\": \"https://b\" " b " } } } } }"

static void test_contexts_are_shared(void **state)
{
	char name[128];
	struct loaded l;

	certs_path(*state, "x.json", name, sizeof(name));
	l = load_named(name, TWO_TLS("\"tls\": { \"ca\": \"a.pem\" },", "", ""));
	assert_int_equal(l.err, ISO_OK);
	assert_ptr_equal(region(&l, 0)->tls_client, region(&l, 1)->tls_client);
	assert_non_null(strstr(region(&l, 0)->identity.ptr, "/a.pem"));
	done(&l);
	l = load_named(name, TWO_TLS("", ", \"tls\": { \"ca\": \"a.pem\" }", ""));
	assert_int_equal(l.err, ISO_OK);
	assert_ptr_not_equal(region(&l, 0)->tls_client, region(&l, 1)->tls_client);
	done(&l);
	l = load_named(name, TWO_TLS("", ", \"protocol\": \"h2\"", ", \"protocol\": \"http/1.1\""));
	assert_int_equal(l.err, ISO_OK);
	assert_ptr_not_equal(region(&l, 0)->tls_client, region(&l, 1)->tls_client);
	done(&l);
}

static void test_bad_cas_have_their_places(void **state)
{
	char name[128];
	struct loaded l;

	certs_path(*state, "x.json", name, sizeof(name));
	l = load_named(name, TWO_TLS("\"tls\": { \"ca\": \"none.pem\" },", "", ", \"protocol\": \"h2\""));
	assert_int_equal(l.err, ISO_EBAD);
	assert_int_equal(l.diag.errors, 1); /* one place, one report */
	assert_non_null(strstr(entry_at(&l, "/services/s/tls/ca")->message, "none.pem"));
	done(&l);
	l = load_named(name, TWO_TLS("", ", \"tls\": { \"ca\": \"junk.pem\" }",
				     ", \"tls\": { \"ca\": \"junk.pem\" }"));
	assert_int_equal(l.diag.errors, 2);
	assert_non_null(entry_at(&l, "/services/s/regions/a/tls/ca"));
	assert_non_null(entry_at(&l, "/services/s/regions/b/tls/ca"));
	done(&l);
	/* The region's own file goes before the service's, which is then not read. */
	l = load_named(name, TWO_TLS("\"tls\": { \"ca\": \"none.pem\" },",
				     ", \"tls\": { \"ca\": "
				     "\"a.pem\" }",
				     ", \"tls\": { \"ca\": \"a.pem\" }"));
	assert_int_equal(l.err, ISO_OK);
	done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_given),
		cmocka_unit_test(test_names_of_a_region),
		cmocka_unit_test(test_bad_urls_and_names),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_number_of_regions),
		cmocka_unit_test_setup_teardown(test_contexts_are_shared, certs_setup, certs_teardown),
		cmocka_unit_test_setup_teardown(test_bad_cas_have_their_places, certs_setup, certs_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
