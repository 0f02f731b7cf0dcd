/*
 * Listeners with their certificates, admin, DNS, access log, limits and headers.
 */
#include "config_help.h"

#include "certs_help.h"
#include "iso/config/cores.h"
#include "iso/net/resolver.h"

#define LISTENERS(items) "{ \"listeners\": [" items "], \"services\": { \"s\": { " PAIR " } } }"

static void test_defaults(void **state)
{
	struct loaded l = load_good(WITH("\"$schema\": \"x\""));
	const struct iso_snapshot *s = l.snapshot;

	(void)state;
	assert_int_equal(s->workers, iso_cores_usable());
	assert_int_equal(s->listener_count, 1);
	assert_slice(s->listeners[0].address, "127.0.0.1:0");
	assert_true(s->listeners[0].h2 && s->listeners[0].http11);
	assert_null(s->listeners[0].tls);
	assert_slice(s->admin_address, "");
	assert_slice(s->dns_servers, "");
	assert_slice(s->access_log, "");
	assert_false(s->access_log_query);
	assert_slice(s->path, "test.json");
	/* The numbers of snapshot.h's comments. */
	assert_int_equal(s->limits.header_bytes, 65536);
	assert_int_equal(s->limits.header_count, 100);
	assert_int_equal(s->limits.streams, 128);
	assert_int_equal(s->limits.handshake_timeout_us, 10000000);
	assert_int_equal(s->limits.header_timeout_us, 10000000);
	assert_int_equal(s->limits.keepalive_timeout_us, 60000000);
	assert_int_equal(s->limits.drain_timeout_us, 30000000);
	assert_int_equal(s->limits.upgrade_timeout_us, 60000000);
	assert_int_equal(s->limits.body_memory, 268435456);
	assert_int_equal(s->limits.connections, 10000);
	assert_int_equal(l.diag.count, 0);
	done(&l);
}

static void test_all_given(void **state)
{
	struct loaded l = load_good(
		"{ \"workers\": 3, \"listeners\": [ { \"address\": \"[::1]:8443\", \"protocols\": "
		"[\"http/1.1\"] }, "
		"{ \"address\": \"0.0.0.0:81\", \"protocols\": [\"h2\"] } ], \"admin\": { "
		"\"address\": \"127.0.0.9:9901\" },"
		"\"dns\": { \"servers\": [\"192.0.2.53\", \"127.0.0.1:5353\", \"2001:db8::53\", "
		"\"[2001:db8::54]:54\"] },"
		"\"access_log\": { \"path\": \"-\", \"query\": true }, \"limits\": { "
		"\"header_bytes\": \"8KiB\", "
		"\"header_count\": 50, \"streams\": 7, \"handshake_timeout\": \"1s\", "
		"\"header_timeout\": \"2s\", "
		"\"keepalive_timeout\": \"3s\", \"drain_timeout\": \"4s\", \"body_memory\": \"5MiB\", "
		"\"connections\": 6 }, \"services\": { \"s\": { " PAIR " } } }");
	const struct iso_snapshot *s = l.snapshot;
	struct iso_sockaddr addr;

	(void)state;
	assert_int_equal(s->workers, 3);
	assert_int_equal(s->listener_count, 2);
	assert_true(!s->listeners[0].h2 && s->listeners[0].http11);
	assert_true(s->listeners[1].h2 && !s->listeners[1].http11);
	assert_int_equal(iso_sockaddr_parse("::1", 8443, &addr), ISO_OK);
	assert_true(iso_sockaddr_eq(&addr, &s->listeners[0].addr));
	assert_int_equal(iso_sockaddr_parse("127.0.0.9", 9901, &addr), ISO_OK);
	assert_true(iso_sockaddr_eq(&addr, &s->admin_addr));
	assert_slice(s->admin_address, "127.0.0.9:9901");
	assert_slice(s->dns_servers, "192.0.2.53:53,127.0.0.1:5353,[2001:db8::53]:53,[2001:db8::54]:54");
	assert_slice(s->access_log, "-");
	assert_true(s->access_log_query);
	assert_int_equal(s->limits.header_bytes, 8192);
	assert_int_equal(s->limits.header_count, 50);
	assert_int_equal(s->limits.streams, 7);
	assert_int_equal(s->limits.handshake_timeout_us, 1000000);
	assert_int_equal(s->limits.header_timeout_us, 2000000);
	assert_int_equal(s->limits.keepalive_timeout_us, 3000000);
	assert_int_equal(s->limits.drain_timeout_us, 4000000);
	assert_int_equal(s->limits.body_memory, 5242880);
	assert_int_equal(s->limits.connections, 6);
	done(&l);
}

static void test_addresses(void **state)
{
	static const char *const bad[] = { "localhost:80",    "127.0.0.1", ":80",          "127.0.0.1:",
					   "127.0.0.1:65536", "::1:80",    "127.0.0.1:-1", "[::1]",
					   "127.0.0.1:80x",   "*:80",      "unix:/x",      "[127.0.0.1:80",
					   "1.2.3:80",        "[::g]:1" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[512];

		(void)snprintf(text, sizeof(text), LISTENERS("{ \"address\": \"%s\" }"), bad[i]);
		expect_one(text, "/listeners/0/address", "is no IP address with a port", "127.0.0.1:8080");
		(void)snprintf(text, sizeof(text), WITH("\"admin\": { \"address\": \"%s\" }"), bad[i]);
		expect_one(text, "/admin/address", "is no IP address with a port", "127.0.0.1:8080");
	}
	expect_one(LISTENERS("{ \"address\": \"1.2.3.4:80\" }, { \"address\": \"1.2.3.4:81\" }, { "
			     "\"address\": \"1.2.3.4:80\" }"),
		   "/listeners/2/address", "listeners/0 has this address", "port");
	expect_one("{ \"listeners\": [{ \"address\": \"127.0.0.1:80\" }], \"admin\": { \"address\": "
		   "\"127.0.0.1:80\" }, "
		   "\"services\": { \"s\": { " PAIR " } } }",
		   "/admin/address", "listeners/0 has this address", "port");
	expect_one(LISTENERS("{ \"address\": \"1.2.3.4:80\", \"protocols\": [\"h2\", \"h2\"] }"),
		   "/listeners/0/protocols/1", "named twice", "once");
	expect_note(WITH("\"admin\": { \"address\": \"0.0.0.0:9901\" }"), "/admin/address", "no loopback");
	expect_note(WITH("\"admin\": { \"address\": \"[2001:db8::1]:9901\" }"), "/admin/address",
		    "no loopback");
}

static void test_free_ports_are_not_the_same_address(void **state)
{
	struct loaded l =
		load_good(LISTENERS("{ \"address\": \"127.0.0.1:0\" }, { \"address\": \"127.0.0.1:0\" }"));

	(void)state;
	assert_int_equal(l.snapshot->listener_count, 2);
	done(&l);
	l = load_good(WITH("\"admin\": { \"address\": \"127.0.0.1:0\" }"));
	assert_int_equal(l.diag.count, 0);
	done(&l);
	l = load_good(WITH("\"admin\": { \"address\": \"[::1]:0\" }"));
	assert_int_equal(l.diag.count, 0);
	done(&l);
}

static void test_dns_servers(void **state)
{
	(void)state;
	expect_one(WITH("\"dns\": { \"servers\": [\"192.0.2.1\", \"dns.example\"] }"), "/dns/servers/1",
		   "is no IP address", "192.0.2.53");
	expect_one(WITH("\"dns\": { \"servers\": [\"192.0.2.1:0\"] }"), "/dns/servers/0",
		   "is no IP "
		   "address",
		   "");
	expect_one(WITH("\"dns\": { \"servers\": [] }"), "/dns/servers", "0 items", "1 to 8");
}

static void test_headers(void **state)
{
	struct loaded l = load_good(REGION("\"headers\": { \"X-Api-Key\": \"s3cret\", \"x-empty\": "
					   "\"\" }"));
	const struct iso_fields *fields = &l.snapshot->services[0].regions[0].headers;

	(void)state;
	assert_int_equal(fields->n, 2);
	assert_slice(fields->v[0].name, "x-api-key");
	assert_slice(fields->v[0].value, "s3cret");
	assert_slice(fields->v[1].value, "");
	done(&l);
	l = load_good(SERVICE("\"health\": { \"headers\": { \"Accept\": \"application/health+json\" } }"));
	assert_int_equal(l.snapshot->services[0].health.headers.n, 1);
	assert_slice(l.snapshot->services[0].health.headers.v[0].name, "accept");
	done(&l);
	expect_one(REGION("\"headers\": { \"a b\": \"x\" }"), "/services/s/regions/a/headers/a b",
		   "no header field's name", "");
	expect_one(REGION("\"headers\": { \"\": \"x\" }"), "/services/s/regions/a/headers/",
		   "no header field's name", "");
	expect_one(REGION("\"headers\": { \":path\": \"x\" }"), "/services/s/regions/a/headers/:path",
		   "no header field's name", "");
	expect_one(REGION("\"headers\": { \"Host\": \"x\" }"), "/services/s/regions/a/headers/Host",
		   "cannot be set", "`host`");
	expect_one(REGION("\"headers\": { \"Transfer-Encoding\": \"x\" }"),
		   "/services/s/regions/a/headers/Transfer-Encoding", "cannot be set", "itself");
	expect_one(REGION("\"headers\": { \"content-length\": \"0\" }"),
		   "/services/s/regions/a/headers/content-length", "cannot be set", "itself");
	expect_one(REGION("\"headers\": { \"X-A\": \"1\", \"x-a\": \"2\" }"),
		   "/services/s/regions/a/headers/x-a", "twice", "one");
	expect_one(REGION("\"headers\": { \"x-a\": \"1\\r\\nx-b: 2\" "
			  "}"),
		   "/services/s/regions/a/headers/x-a", "no header field's value", "control");
	expect_one(REGION("\"headers\": { \"x-a\": \" 1\" }"), "/services/s/regions/a/headers/x-a",
		   "no header field's value", "blanks");
	expect_one(SERVICE("\"health\": { \"headers\": { \"Upgrade\": \"x\" } }"),
		   "/services/s/health/headers/Upgrade", "cannot be set", "");
}

static void test_secret_values_are_not_shown(void **state)
{
	struct loaded l;

	(void)state;
	assert_int_equal(setenv("ISO_T_SECRET", "hush\n", 1), 0);
	l = load(REGION("\"headers\": { \"x-api-key\": \"${ISO_T_SECRET}\" }"));
	assert_int_equal(l.diag.count, 1);
	assert_null(strstr(l.diag.entries[0].message, "hush"));
	assert_null(strstr(l.diag.entries[0].mend, "hush"));
	done(&l);
}

static const char *const files[] = { "a.pem", "a.key", "b.pem", "b.key", "junk.pem", NULL };

static int certs_setup(void **state)
{
	static struct certs certs;

	certs_make(&certs);
	certs_add(&certs, "a", "a.example");
	certs_add(&certs, "b", "*.b.example");
	certs_write(&certs, "junk.pem", "this is no certificate\n");
	*state = &certs;
	return 0;
}

static int certs_teardown(void **state)
{
	certs_remove(*state, files);
	return 0;
}

static struct loaded load_certs(const struct certs *certs, const char *list, const char *more)
{
	char name[128], text[2048];

	certs_path(certs, "isochrone.json", name, sizeof(name));
	(void)snprintf(text, sizeof(text),
		       LISTENERS("{ \"address\": \"127.0.0.1:0\", \"tls\": { \"certificates\": [%s]%s } }"),
		       list, more);
	return load_named(name, text);
}

#define CERT(cert, key) "{ \"cert\": \"" cert "\", \"key\": \"" key "\" }"

static void test_certificates(void **state)
{
	struct loaded l = load_certs(*state, CERT("a.pem", "a.key") ", " CERT("b.pem", "b.key"), "");

	assert_int_equal(l.err, ISO_OK);
	assert_non_null(l.snapshot->listeners[0].tls);
	done(&l);
	l = load_certs(*state, CERT("a.pem", "a.key"), ", \"min_version\": \"1.3\"");
	assert_int_equal(l.err, ISO_OK);
	done(&l);
	l = load_certs(*state, CERT("a.pem", "a.key"), ", \"min_version\": \"1.1\"");
	assert_int_equal(l.err, ISO_EBAD);
	assert_non_null(entry_at(&l, "/listeners/0/tls/min_version"));
	done(&l);
}

static void test_a_certificate_has_a_policy_of_its_own(void **state)
{
	struct loaded l = load_certs(
		*state,
		CERT("a.pem",
		     "a.key") ", { \"cert\": \"b.pem\", \"key\": \"b.key\", \"min_version\": \"1.3\","
			      " \"client_certificates\": { \"ca\": \"a.pem\", \"required\": false } }",
		"");

	assert_int_equal(l.err, ISO_OK);
	assert_non_null(l.snapshot->listeners[0].tls);
	done(&l);
	/* Each bad file at its place, the listener's once though a certificate inherits it. */
	l = load_certs(*state,
		       CERT("a.pem", "a.key") ", { \"cert\": \"b.pem\", \"key\": \"b.key\","
					      " \"client_certificates\": { \"ca\": \"junk.pem\" } },"
					      " { \"cert\": \"a.pem\", \"key\": \"a.key\", \"min_version\": "
					      "\"1.3\" }",
		       ", \"client_certificates\": { \"ca\": \"none.pem\" }");
	assert_int_equal(l.err, ISO_EBAD);
	if (l.diag.errors != 2)
		show(&l);
	assert_int_equal(l.diag.errors, 2);
	assert_non_null(entry_at(&l, "/listeners/0/tls/client_certificates/ca"));
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates/1/client_certificates/ca"));
	done(&l);
	l = load_certs(*state, "{ \"cert\": \"a.pem\", \"key\": \"a.key\", \"client_certificates\": {} }",
		       "");
	assert_int_equal(l.err, ISO_EBAD);
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates/0/client_certificates"));
	done(&l);
	l = load_certs(*state, "{ \"cert\": \"a.pem\", \"key\": \"a.key\", \"min_version\": \"1.1\" }", "");
	assert_int_equal(l.err, ISO_EBAD);
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates/0/min_version"));
	done(&l);
}

static void test_each_bad_certificate_has_its_place(void **state)
{
	struct loaded l = load_certs(
		*state,
		CERT("a.pem", "b.key") ", " CERT("b.pem", "b.key") ", " CERT("none.pem", "a.key") ", " CERT(
			"junk.pem", "a.key") ", " CERT("a.pem", "none.key"),
		"");

	assert_int_equal(l.err, ISO_EBAD);
	if (l.diag.errors != 4)
		show(&l);
	assert_int_equal(l.diag.errors, 4);
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates/0/key"));
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates/2/cert"));
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates/3/cert"));
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates/4/key"));
	assert_non_null(strstr(entry_at(&l, "/listeners/0/tls/certificates/2/cert")->message, "none.pem"));
	done(&l);
	l = load_certs(*state, "{ \"cert\": \"a.pem\" }", "");
	assert_int_equal(l.diag.errors, 1);
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates/0"));
	done(&l);
	l = load_certs(*state, "", "");
	assert_int_equal(l.diag.errors, 1);
	assert_non_null(entry_at(&l, "/listeners/0/tls/certificates"));
	done(&l);
}

static void test_relative_names_start_at_the_file(void **state)
{
	char name[128], expected[160];
	struct loaded l;

	certs_path(*state, "x.json", name, sizeof(name));
	certs_path(*state, "log/access.log", expected, sizeof(expected));
	l = load_named(name, WITH("\"access_log\": { \"path\": \"log/access.log\" }"));
	assert_int_equal(l.err, ISO_OK);
	assert_slice(l.snapshot->access_log, expected);
	assert_slice(l.snapshot->path, name);
	done(&l);
	l = load_named(name, WITH("\"access_log\": { \"path\": \"/log/access.log\" }"));
	assert_slice(l.snapshot->access_log, "/log/access.log");
	done(&l);
	l = load_named("", WITH("\"access_log\": { \"path\": \"access.log\" }"));
	assert_slice(l.snapshot->access_log, "access.log");
	assert_slice(l.snapshot->path, "");
	done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_given),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_free_ports_are_not_the_same_address),
		cmocka_unit_test(test_dns_servers),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_secret_values_are_not_shown),
		cmocka_unit_test_setup_teardown(test_a_certificate_has_a_policy_of_its_own, certs_setup,
						certs_teardown),
		cmocka_unit_test_setup_teardown(test_certificates, certs_setup, certs_teardown),
		cmocka_unit_test_setup_teardown(test_each_bad_certificate_has_its_place, certs_setup,
						certs_teardown),
		cmocka_unit_test_setup_teardown(test_relative_names_start_at_the_file, certs_setup,
						certs_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
