/*
 * For the TLS tests: certificates made at test time in a directory of their own, and a handshake in memory.
 */
#ifndef ISO_TEST_NET_TLS_PAIR_H
#define ISO_TEST_NET_TLS_PAIR_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "iso/net/tls.h"

struct identity {
	EVP_PKEY *key;
	X509 *cert;
	char cert_path[128], key_path[128];
};

struct tls_pair {
	SSL *server, *client;
};

static char tls_dir[64];

static inline int tls_dir_make(void **state)
{
	(void)state;
	snprintf(tls_dir, sizeof(tls_dir), "/tmp/iso-tls-XXXXXX");
	return mkdtemp(tls_dir) != NULL ? 0 : -1;
}

static inline int tls_dir_remove(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", tls_dir);
	return system(command);
}

static inline void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static inline void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static inline void identity_write(struct identity *id, const char *file)
{
	FILE *out;

	snprintf(id->cert_path, sizeof(id->cert_path), "%s/%s.pem", tls_dir, file);
	snprintf(id->key_path, sizeof(id->key_path), "%s/%s.key", tls_dir, file);
	out = fopen(id->cert_path, "w");
	assert_non_null(out);
	assert_int_equal(PEM_write_X509(out, id->cert), 1);
	fclose(out);
	out = fopen(id->key_path, "w");
	assert_non_null(out);
	assert_int_equal(PEM_write_PrivateKey(out, id->key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(out);
}

/*
 * A certificate, signed by `issuer` (NULL: by itself), valid until `days` from now. sans NULL: a CA. Written
 * to FILE.pem and FILE.key. Takes key (NULL: a new P-256 one).
 */
static inline struct identity identity_make(const char *file, const struct identity *issuer, const char *sans,
					    int days, EVP_PKEY *key)
{
	static long serial = 1;
	struct identity id = { .key = key != NULL ? key : EVP_EC_gen("P-256"), .cert = X509_new() };
	X509 *above = issuer != NULL ? issuer->cert : id.cert;

	assert_non_null(id.key);
	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -30l * 86400);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), days * 86400l);
	X509_set_pubkey(id.cert, id.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_ASC, (const void *)file, -1,
				   -1, 0);
	X509_set_issuer_name(id.cert, X509_get_subject_name(above));
	if (sans == NULL)
		add_extension(id.cert, above, NID_basic_constraints, "critical,CA:TRUE");
	else
		add_extension(id.cert, above, NID_subject_alt_name, sans);
	assert_true(X509_sign(id.cert, issuer != NULL ? issuer->key : id.key, EVP_sha256()) > 0);
	identity_write(&id, file);
	return id;
}

static inline void identity_free(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
}

/* Takes both; either may be NULL only when the test is lost anyway. */
static inline struct tls_pair pair_make(SSL *server, SSL *client)
{
	BIO *a, *b;

	assert_non_null(server);
	assert_non_null(client);
	assert_int_equal(BIO_new_bio_pair(&a, 65536, &b, 65536), 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	return (struct tls_pair){ server, client };
}

static inline void pair_free(struct tls_pair *pair)
{
	SSL_free(pair->server);
	SSL_free(pair->client);
	ERR_clear_error();
}

/* True when both sides have shaken hands; then the tickets have come, too. */
static inline bool pair_shake(struct tls_pair *pair)
{
	int client = 0, server = 0;
	char byte;

	for (int i = 0; i < 10 && (client != 1 || server != 1); i++) {
		ERR_clear_error();
		client = SSL_do_handshake(pair->client);
		if (client != 1 && SSL_get_error(pair->client, client) != SSL_ERROR_WANT_READ)
			return false;
		ERR_clear_error();
		server = SSL_do_handshake(pair->server);
		if (server != 1 && SSL_get_error(pair->server, server) != SSL_ERROR_WANT_READ)
			return false;
	}
	if (client != 1 || server != 1)
		return false;
	assert_int_equal(SSL_read(pair->client, &byte, 1), -1);
	return SSL_get_error(pair->client, -1) == SSL_ERROR_WANT_READ;
}

static inline const char *pair_alpn(const struct tls_pair *pair)
{
	static char text[256];
	const unsigned char *name;
	unsigned int len;

	SSL_get0_alpn_selected(pair->client, &name, &len);
	memcpy(text, len > 0 ? (const void *)name : "", len);
	text[len] = '\0';
	return text;
}

#endif
