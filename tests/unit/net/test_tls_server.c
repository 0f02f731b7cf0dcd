/*
 * Server contexts: which certificate, which protocol, and what is said about files that are no good. The
 * client here is OpenSSL's own, so that our client's faults cannot hide those of the server.
 */
#include "net/tls_pair.h"

static struct identity ca;

struct offer {
	const char *sni;
	const char *alpn; /* wire form; NULL: none */
	int max_version;
	const char *cipher; /* TLS 1.2; NULL: the default */
};

static SSL *plain_client(const struct offer *offer)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;

	if (offer->max_version != 0)
		SSL_CTX_set_max_proto_version(ctx, offer->max_version);
	if (offer->cipher != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, offer->cipher), 1);
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (offer->sni != NULL)
		assert_int_equal(SSL_set_tlsext_host_name(ssl, offer->sni), 1);
	if (offer->alpn != NULL)
		assert_int_equal(SSL_set_alpn_protos(ssl, (const void *)offer->alpn,
						     (unsigned)strlen(offer->alpn)),
				 0);
	return ssl;
}

static struct tls_pair shake(struct iso_tls_server *server, struct offer offer, bool expected)
{
	struct tls_pair pair = pair_make(iso_tls_server_ssl(server), plain_client(&offer));

	if (pair_shake(&pair) != expected)
		fail_msg("sni %s: the handshake should have %s", offer.sni, expected ? "passed" : "failed");
	return pair;
}

static struct iso_tls_server *server_of(const struct identity *ids, size_t n, bool h2, bool http11,
					int version)
{
	struct iso_tls_cert certs[8];
	struct iso_tls_server_config config = { .certs = certs, .n = n, .policy.min_version = version };
	struct iso_tls_problem problem = { .text = "" };
	struct iso_tls_server *server = NULL;

	for (size_t i = 0; i < n; i++)
		certs[i] = (struct iso_tls_cert){ .cert_path = ids[i].cert_path,
						  .key_path = ids[i].key_path };
	config.offers = (h2 ? ISO_OFFER_H2 : 0u) | (http11 ? ISO_OFFER_HTTP11 : 0u);
	if (iso_tls_server_new(&config, &problem, &server) != ISO_OK)
		fail_msg("%s", problem.text);
	return server;
}

static const char *alpn_of(struct iso_tls_server *server, const char *alpn)
{
	struct tls_pair pair = shake(server, (struct offer){ .alpn = alpn }, true);
	const char *chosen = pair_alpn(&pair);

	pair_free(&pair);
	return chosen;
}

static void test_alpn(void **state)
{
	struct identity id = identity_make("alpn", &ca, "DNS:a.test", 30, NULL);
	struct iso_tls_server *both = server_of(&id, 1, true, true, 12);
	struct iso_tls_server *h1 = server_of(&id, 1, false, true, 12);
	struct iso_tls_server *h2 = server_of(&id, 1, true, false, 12);
	struct iso_tls_server *none = server_of(&id, 1, false, false, 12);
	struct tls_pair pair;

	(void)state;
	assert_string_equal(alpn_of(both, "\x08http/1.1\x02h2"), "h2"); /* our preference, not theirs */
	assert_string_equal(alpn_of(both, "\x08http/1.1"), "http/1.1");
	assert_string_equal(alpn_of(both, "\x03xyz\x02h2"), "h2");
	assert_string_equal(alpn_of(both, NULL), "");
	assert_string_equal(alpn_of(h1, "\x02h2\x08http/1.1"), "http/1.1");
	assert_string_equal(alpn_of(h2, "\x08http/1.1\x02h2"), "h2");
	assert_string_equal(alpn_of(none, "\x02h2"), "");

	/* No overlap: RFC 7301 section 3.2, alert 120. */
	pair = shake(both, (struct offer){ .alpn = "\x08http/1.0" }, false);
	pair_free(&pair);
	pair = pair_make(iso_tls_server_ssl(h1), plain_client(&(struct offer){ .alpn = "\x02h2" }));
	assert_int_equal(SSL_do_handshake(pair.client), -1);
	assert_int_equal(SSL_do_handshake(pair.server), -1);
	ERR_clear_error();
	assert_int_equal(SSL_do_handshake(pair.client), -1);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + 120);
	pair_free(&pair);
	iso_tls_server_unref(both);
	iso_tls_server_unref(h1);
	iso_tls_server_unref(h2);
	iso_tls_server_unref(none);
	identity_free(&id);
}

static void test_sni_picks_the_certificate(void **state)
{
	static const struct {
		const char *sni;
		int version;
		size_t expected;
	} cases[] = {
		{ NULL, 0, 0 },
		{ "default.test", 0, 0 },
		{ "unknown.test", 0, 0 },
		{ "one.test", 0, 1 },
		{ "ONE.Test", 0, 1 },
		{ "alsoone.test", 0, 1 },
		{ "a.wild.test", 0, 2 },
		{ "B.WILD.TEST", TLS1_2_VERSION, 2 },
		{ "exact.wild.test", 0, 3 }, /* exact before wildcard */
		{ "shared.test", 0, 1 },     /* the first that bears it */
		{ "wild.test", 0, 0 },       /* a wildcard stands for one label, not for none */
		{ "a.b.wild.test", 0, 0 },   /* nor for two */
		{ ".wild.test", 0, 0 },      /* nor for an empty one */
		{ "awild.test", 0, 0 },
		{ "one.test.evil.test", 0, 0 },
		{ "one.tes", 0, 0 },
		{ "one.test", TLS1_2_VERSION, 1 },
	};
	struct identity ids[4] = {
		identity_make("default", &ca, "DNS:default.test", 30, NULL),
		identity_make("one", &ca, "DNS:One.Test, DNS:alsoone.test, DNS:shared.test, IP:127.0.0.1", 30,
			      NULL),
		identity_make("wild", &ca, "DNS:*.wild.test, DNS:shared.test", 30, NULL),
		identity_make("exact", &ca, "DNS:exact.wild.test", 30, NULL),
	};
	struct iso_tls_server *server = server_of(ids, 4, true, true, 12);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_pair pair = shake(
			server, (struct offer){ .sni = cases[i].sni, .max_version = cases[i].version }, true);
		X509 *leaf = SSL_get0_peer_certificate(pair.client);

		if (X509_cmp(leaf, ids[cases[i].expected].cert) != 0)
			fail_msg("case %zu, %s: not certificate %zu", i, cases[i].sni, cases[i].expected);
		pair_free(&pair);
	}
	iso_tls_server_unref(server);
	for (int i = 0; i < 4; i++)
		identity_free(&ids[i]);
}

static void test_versions_and_ciphers(void **state)
{
	struct identity id = identity_make("versions", &ca, "DNS:a.test", 30, NULL);
	struct iso_tls_server *from12 = server_of(&id, 1, true, true, 12),
			      *from13 = server_of(&id, 1, true, true, 13);
	struct tls_pair pair;

	(void)state;
	pair = shake(from12, (struct offer){ .sni = "a.test" }, true);
	assert_int_equal(SSL_version(pair.client), TLS1_3_VERSION);
	assert_string_equal(SSL_get_cipher_name(pair.client), "TLS_AES_128_GCM_SHA256");
	pair_free(&pair);
	pair = shake(from12, (struct offer){ .max_version = TLS1_2_VERSION }, true);
	assert_int_equal(SSL_version(pair.client), TLS1_2_VERSION);
	assert_non_null(strstr(SSL_get_cipher_name(pair.client), "GCM"));
	pair_free(&pair);
	pair = shake(from12, (struct offer){ .max_version = TLS1_1_VERSION, .cipher = "ALL:@SECLEVEL=0" },
		     false);
	pair_free(&pair);
	/* RFC 9113 section 9.2.2 bars these for HTTP/2: no AEAD. */
	pair = shake(from12,
		     (struct offer){ .max_version = TLS1_2_VERSION, .cipher = "ECDHE-ECDSA-AES128-SHA" },
		     false);
	pair_free(&pair);
	pair = shake(from13, (struct offer){ .max_version = TLS1_2_VERSION }, false);
	pair_free(&pair);
	pair = shake(from13, (struct offer){ .sni = "a.test" }, true);
	pair_free(&pair);
	iso_tls_server_unref(from12);
	iso_tls_server_unref(from13);
	identity_free(&id);
}

static void test_expired_certificates_are_taken(void **state)
{
	struct identity id = identity_make("expired", &ca, "DNS:a.test", -1, NULL);
	struct iso_tls_server *server = server_of(&id, 1, true, true, 12);

	(void)state;
	assert_ptr_equal(iso_tls_server_ref(server), server);
	iso_tls_server_unref(server);
	pair_free(&(struct tls_pair){ iso_tls_server_ssl(server), NULL }); /* one reference is left */
	iso_tls_server_unref(server);
	iso_tls_server_unref(NULL);
	identity_free(&id);
}

/* The second of two certificates is bad; `words` stand in the text behind or before the path. */
static void refused(const struct identity *good, const char *cert, const char *key, bool key_is_bad,
		    const char *words)
{
	struct iso_tls_cert certs[2] = { { good->cert_path, good->key_path, NULL, NULL },
					 { cert, key, NULL, NULL } };
	struct iso_tls_server_config config = {
		.certs = certs, .n = 2, .offers = ISO_OFFER_H2 | ISO_OFFER_HTTP11, .policy.min_version = 12
	};
	struct iso_tls_server *server = (void *)&certs;
	struct iso_tls_problem problem = { .cert_index = 99 };

	assert_int_equal(iso_tls_server_new(&config, &problem, &server), ISO_ECERT);
	assert_ptr_equal(server, &certs);
	assert_int_equal(problem.cert_index, 1);
	assert_int_equal(problem.file, key_is_bad ? ISO_TLS_FILE_KEY : ISO_TLS_FILE_CERT);
	if (strstr(problem.text, words) == NULL || strstr(problem.text, key_is_bad ? key : cert) == NULL)
		fail_msg("\"%s\" lacks \"%s\" or the path", problem.text, words);
	assert_int_equal(ERR_peek_error(), 0);
}

/* The PEM encryption of before PKCS #8 fails at another place. */
static void write_locked_old(const char *path, EVP_PKEY *key)
{
	BIO *out = BIO_new_file(path, "w");

	assert_non_null(out);
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(out, key, EVP_aes_128_cbc(), NULL, 0, NULL,
							      (void *)"secret"),
			 1);
	BIO_free(out);
}

static void test_bad_files(void **state)
{
	struct identity good = identity_make("good", &ca, "DNS:a.test", 30, NULL);
	struct identity other = identity_make("other", &ca, "DNS:b.test", 30, NULL);
	struct identity rsa = identity_make("rsa", &ca, "DNS:c.test", 30, EVP_RSA_gen(2048));
	char text[128], empty[128], broken[128], locked[128], locked_old[128];
	FILE *out;

	(void)state;
	snprintf(text, sizeof(text), "%s/text", tls_dir);
	snprintf(empty, sizeof(empty), "%s/empty", tls_dir);
	snprintf(broken, sizeof(broken), "%s/broken", tls_dir);
	snprintf(locked, sizeof(locked), "%s/locked", tls_dir);
	snprintf(locked_old, sizeof(locked_old), "%s/locked_old", tls_dir);
	file_write(text, "hello\n");
	file_write(empty, "");
	file_write(broken, "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIB\n-----END CERTIFICATE-----\n");
	out = fopen(locked, "w");
	assert_non_null(out);
	assert_int_equal(
		PEM_write_PrivateKey(out, good.key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)"secret"), 1);
	fclose(out);
	write_locked_old(locked_old, good.key);

	refused(&good, "/nonexistent/x.pem", good.key_path, false,
		"cannot read /nonexistent/x.pem: No such file");
	refused(&good, good.cert_path, "/nonexistent/x.key", true,
		"cannot read /nonexistent/x.key: No such file");
	refused(&good, tls_dir, good.key_path, false, "Is a directory");
	refused(&good, good.cert_path, tls_dir, true, "Is a directory");
	refused(&good, text, good.key_path, false, "holds no PEM certificate");
	refused(&good, empty, good.key_path, false, "holds no PEM certificate");
	refused(&good, good.key_path, good.key_path, false, "holds no PEM certificate");
	refused(&good, broken, good.key_path, false, "");
	refused(&good, good.cert_path, text, true, "holds no PEM private key");
	refused(&good, good.cert_path, empty, true, "holds no PEM private key");
	refused(&good, good.cert_path, good.cert_path, true, "holds no PEM private key");
	refused(&good, good.cert_path, other.key_path, true, "does not belong to the certificate");
	refused(&good, good.cert_path, rsa.key_path, true, "does not belong to the certificate");
	refused(&good, rsa.cert_path, good.key_path, true, "does not belong to the certificate");
	refused(&good, good.cert_path, locked, true, "passphrase"); /* and nothing asks for it on a terminal
								     */
	refused(&good, good.cert_path, locked_old, true, "passphrase");
	identity_free(&good);
	identity_free(&other);
	identity_free(&rsa);
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
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_sni_picks_the_certificate),
		cmocka_unit_test(test_versions_and_ciphers),
		cmocka_unit_test(test_expired_certificates_are_taken),
		cmocka_unit_test(test_bad_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
