/*
 * Client contexts: who is believed, what is offered, and that a reconnect resumes.
 */
#include "net/tls_pair.h"
#include "ticket_keys_priv.h"

static struct identity ca;

static struct iso_tls_client *client_of(const char *ca_path, bool h2, bool http11)
{
	struct iso_tls_client_config config = { .ca_path = ca_path, .h2 = h2, .http11 = http11 };
	struct iso_tls_problem problem = { .text = "" };
	struct iso_tls_client *client = NULL;

	if (iso_tls_client_new(&config, &problem, &client) != ISO_OK)
		fail_msg("%s", problem.text);
	return client;
}

static struct iso_tls_server *server_of(const struct identity *id)
{
	struct iso_tls_cert cert = { .cert_path = id->cert_path, .key_path = id->key_path };
	struct iso_tls_server_config config = {
		.certs = &cert, .n = 1, .offers = ISO_OFFER_H2 | ISO_OFFER_HTTP11, .policy.min_version = 12
	};
	struct iso_tls_problem problem = { .text = "" };
	struct iso_tls_server *server = NULL;

	if (iso_tls_server_new(&config, &problem, &server) != ISO_OK)
		fail_msg("%s", problem.text);
	return server;
}

/* What the client found wrong with the server that shows `id`; X509_V_OK: it shook hands. */
static long judge(const struct identity *id, const char *ca_path, const char *name)
{
	struct iso_tls_server *server = server_of(id);
	struct iso_tls_client *client = client_of(ca_path, true, true);
	struct tls_pair pair = pair_make(iso_tls_server_ssl(server), iso_tls_client_ssl(client, name));
	bool shaken = pair_shake(&pair);
	long result = SSL_get_verify_result(pair.client);

	assert_int_equal(shaken, result == X509_V_OK);
	pair_free(&pair);
	iso_tls_client_unref(client);
	iso_tls_server_unref(server);
	return result;
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		long expected;
	} cases[] = {
		{ "a.test", X509_V_OK },
		{ "A.TEST", X509_V_OK },
		{ "b.wild.test", X509_V_OK },
		{ "127.0.0.1", X509_V_OK },
		{ "::1", X509_V_OK },
		{ "[::1]", X509_V_OK },
		{ "b.test", X509_V_ERR_HOSTNAME_MISMATCH },
		{ "names", X509_V_ERR_HOSTNAME_MISMATCH }, /* the common name does not count beside DNS names
							    */
		{ "wild.test", X509_V_ERR_HOSTNAME_MISMATCH },
		{ "c.b.wild.test", X509_V_ERR_HOSTNAME_MISMATCH },
		{ "fab.part.test", X509_V_ERR_HOSTNAME_MISMATCH }, /* f*.part.test is no wildcard for us */
		{ "a.test.evil.test", X509_V_ERR_HOSTNAME_MISMATCH },
		{ "127.0.0.2", X509_V_ERR_IP_ADDRESS_MISMATCH },
		{ "192.0.2.7", X509_V_ERR_IP_ADDRESS_MISMATCH }, /* that one stands there as a DNS name */
		{ "[::2]", X509_V_ERR_IP_ADDRESS_MISMATCH },
	};
	struct identity id = identity_make(
		"names", &ca,
		"DNS:a.test, DNS:*.wild.test, DNS:f*.part.test, DNS:192.0.2.7, IP:127.0.0.1, IP:::1", 30,
		NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		long result = judge(&id, ca.cert_path, cases[i].name);

		if (result != cases[i].expected)
			fail_msg("%s: %s", cases[i].name, X509_verify_cert_error_string(result));
	}
	identity_free(&id);
}

static void test_who_is_believed(void **state)
{
	struct identity stranger = identity_make("stranger", NULL, NULL, 30, NULL);
	struct identity middle = identity_make("middle", &ca, NULL, 30, NULL);
	struct identity good = identity_make("leaf", &ca, "DNS:a.test", 30, NULL);
	struct identity expired = identity_make("late", &ca, "DNS:a.test", -1, NULL);
	struct identity below = identity_make("below", &middle, "DNS:a.test", 30, NULL);
	struct identity alone = identity_make("alone", NULL, "DNS:a.test", 30, NULL);

	(void)state;
	assert_int_equal(judge(&good, ca.cert_path, "a.test"), X509_V_OK);
	assert_int_not_equal(judge(&good, stranger.cert_path, "a.test"), X509_V_OK);
	assert_int_not_equal(judge(&good, NULL, "a.test"), X509_V_OK); /* the system does not know our CA */
	assert_int_equal(judge(&expired, ca.cert_path, "a.test"), X509_V_ERR_CERT_HAS_EXPIRED);
	assert_int_equal(judge(&below, middle.cert_path, "a.test"), X509_V_OK); /* a pinned intermediate */
	assert_int_not_equal(judge(&below, ca.cert_path, "a.test"), X509_V_OK); /* whose certificate is not
										   sent */
	assert_int_not_equal(judge(&alone, ca.cert_path, "a.test"), X509_V_OK);
	assert_int_equal(judge(&alone, alone.cert_path, "a.test"), X509_V_OK); /* pinned itself */
	identity_free(&stranger);
	identity_free(&middle);
	identity_free(&good);
	identity_free(&expired);
	identity_free(&below);
	identity_free(&alone);
}

static void test_without_a_name_there_is_no_connection(void **state)
{
	struct iso_tls_client *client = client_of(ca.cert_path, true, true);
	char longest[400];

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(iso_tls_client_ssl(client, NULL));
	assert_null(iso_tls_client_ssl(client, ""));
	assert_null(iso_tls_client_ssl(client, longest));
	iso_tls_client_unref(client);
	ERR_clear_error();
}

/* What the server saw: the protocol chosen and the name sent ("-": none). */
static void offered(bool h2, bool http11, const char *name, const char *alpn, const char *sni)
{
	struct identity id = identity_make("offered", &ca, "DNS:a.test, IP:127.0.0.1", 30, NULL);
	struct iso_tls_server *server = server_of(&id);
	struct iso_tls_client *client = client_of(ca.cert_path, h2, http11);
	struct tls_pair pair = pair_make(iso_tls_server_ssl(server), iso_tls_client_ssl(client, name));
	const char *seen;

	assert_true(pair_shake(&pair));
	assert_string_equal(pair_alpn(&pair), alpn);
	seen = SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name);
	assert_string_equal(seen != NULL ? seen : "-", sni);
	pair_free(&pair);
	iso_tls_client_unref(client);
	iso_tls_server_unref(server);
	identity_free(&id);
}

static void test_offer(void **state)
{
	(void)state;
	offered(true, true, "a.test", "h2", "a.test");
	offered(false, true, "a.test", "http/1.1", "a.test");
	offered(true, false, "a.test", "h2", "a.test");
	offered(false, false, "a.test", "", "a.test");
	offered(true, true, "127.0.0.1", "h2", "-"); /* RFC 6066 section 3 */
}

/* One connection; cut: freed without a close_notify, as when a region dies. True when it resumed. */
static bool connect_once(struct iso_tls_server *server, struct iso_tls_client *client, const char *name,
			 bool cut)
{
	struct tls_pair pair = pair_make(iso_tls_server_ssl(server), iso_tls_client_ssl(client, name));
	bool reused;

	assert_true(pair_shake(&pair));
	reused = SSL_session_reused(pair.client) == 1;
	assert_int_equal(SSL_session_reused(pair.server), reused);
	assert_int_equal(SSL_get_verify_result(pair.client), X509_V_OK);
	if (!cut) {
		SSL_shutdown(pair.client);
		SSL_shutdown(pair.server);
	}
	pair_free(&pair);
	return reused;
}

static void test_reconnects_resume(void **state)
{
	struct identity id = identity_make("resume", &ca, "DNS:a.test, DNS:b.test, IP:127.0.0.1", 30, NULL);
	struct iso_tls_server *server = server_of(&id), *reloaded = server_of(&id);
	struct iso_tls_client *client = client_of(ca.cert_path, true, true);
	struct iso_tls_client *other = client_of(ca.cert_path, true, true);

	(void)state;
	assert_false(connect_once(server, client, "a.test", false));
	assert_true(connect_once(server, client, "a.test", false));
	assert_false(connect_once(server, client, "b.test", true)); /* a session belongs to its name */
	assert_true(connect_once(server, client, "b.test", true));  /* and outlives a cut */
	assert_true(connect_once(server, client, "b.test", true));
	assert_true(connect_once(server, client, "a.test", true));
	assert_false(connect_once(server, other, "a.test", false)); /* and to its context */
	assert_false(connect_once(server, client, "127.0.0.1", false));
	/* After a reload the old tickets count; after one change of keys too; after two, a full handshake. */
	assert_true(connect_once(reloaded, client, "a.test", false));
	iso_ticket_keys_rotate();
	assert_true(connect_once(reloaded, client, "a.test", false));
	iso_ticket_keys_rotate();
	iso_ticket_keys_rotate();
	assert_false(connect_once(reloaded, client, "a.test", false));
	assert_true(connect_once(reloaded, client, "a.test", false));
	assert_ptr_equal(iso_tls_client_ref(client), client);
	iso_tls_client_unref(client);
	iso_tls_client_unref(client);
	iso_tls_client_unref(other);
	iso_tls_client_unref(NULL);
	iso_tls_server_unref(server);
	iso_tls_server_unref(reloaded);
	identity_free(&id);
}

static void test_two_connections_from_one_session(void **state)
{
	struct identity id = identity_make("twice", &ca, "DNS:a.test", 30, NULL);
	struct iso_tls_server *server = server_of(&id);
	struct iso_tls_client *client = client_of(ca.cert_path, true, true);
	SSL *first, *second;

	(void)state;
	connect_once(server, client, "a.test", false);
	first = iso_tls_client_ssl(client, "a.test");
	second = iso_tls_client_ssl(client, "a.test");
	assert_non_null(first);
	assert_non_null(second);
	/* Threads share the context: what OpenSSL writes into the session of one must not reach the other. */
	assert_non_null(SSL_get0_session(first));
	assert_non_null(SSL_get0_session(second));
	assert_ptr_not_equal(SSL_get0_session(first), SSL_get0_session(second));
	SSL_free(first);
	SSL_free(second);
	iso_tls_client_unref(client);
	iso_tls_server_unref(server);
	identity_free(&id);
}

static void refused(const char *path, const char *words)
{
	struct iso_tls_client_config config = { .ca_path = path, .h2 = true, .http11 = true };
	struct iso_tls_client *client = (void *)&ca;
	struct iso_tls_problem problem = { .cert_index = 0 };

	assert_int_equal(iso_tls_client_new(&config, &problem, &client), ISO_ECERT);
	assert_ptr_equal(client, &ca);
	if (strstr(problem.text, words) == NULL || strstr(problem.text, path) == NULL)
		fail_msg("\"%s\" lacks \"%s\" or the path", problem.text, words);
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_bad_ca_files(void **state)
{
	char text[128];

	(void)state;
	snprintf(text, sizeof(text), "%s/text", tls_dir);
	file_write(text, "hello\n");
	refused("/nonexistent/ca.pem", "cannot read /nonexistent/ca.pem: No such file");
	refused(tls_dir, "Is a directory");
	refused(text, "holds no PEM certificate");
	refused(ca.key_path, "holds no PEM certificate");
}

static int setup(void **state)
{
	if (tls_dir_make(state) != 0)
		return -1;
	ca = identity_make("ca", NULL, NULL, 30, NULL);
	return 0;
}

static int teardown(void **state)
{
	identity_free(&ca);
	return tls_dir_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_who_is_believed),
		cmocka_unit_test(test_without_a_name_there_is_no_connection),
		cmocka_unit_test(test_offer),
		cmocka_unit_test(test_reconnects_resume),
		cmocka_unit_test(test_two_connections_from_one_session),
		cmocka_unit_test(test_bad_ca_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
