/*
 * Server contexts: one SSL_CTX per certificate; SNI chooses among them, ALPN the protocol. Immutable once built.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls_problem_priv.h"

enum { NAMES_MAX = 1024 };

struct name {
	char *text;       /* lower case; "*.example.com" for a wildcard */
	SSL_CTX *ctx;     /* borrowed */
};

struct iso_tls_server {
	_Atomic unsigned int refs;
	SSL_CTX **ctxs;
	size_t ctx_count;
	struct name *names;
	size_t name_count;
	bool h2, http11;
};

int iso_tls_problem(struct iso_tls_problem *problem, size_t index, bool key, const char *what, const char *path)
{
	unsigned long code = ERR_peek_last_error(), first = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	if (ERR_GET_LIB(first) == ERR_LIB_SYS)
		reason = strerror(ERR_GET_REASON(first));
	if (problem != NULL) {
		problem->cert_index = index;
		problem->key = key;
		if (reason != NULL)
			snprintf(problem->text, sizeof(problem->text), "%s %s: %s", what, path, reason);
		else
			snprintf(problem->text, sizeof(problem->text), "%s %s", what, path);
	}
	ERR_clear_error();
	return ISO_ECERT;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		       unsigned int in_len, void *arg)
{
	struct iso_tls_server *server = arg;
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	const unsigned char *offer = server->h2 ? both : both + 3;
	unsigned int len = (server->h2 ? 3u : 0u) + (server->http11 ? 9u : 0u);
	unsigned char *selected;

	(void)ssl;
	if (SSL_select_next_proto(&selected, out_len, offer, len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 section 3.2: no_application_protocol */
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *find_name(const struct iso_tls_server *server, const char *host)
{
	const char *dot = strchr(host, '.');

	for (size_t i = 0; i < server->name_count; i++)
		if (strcmp(server->names[i].text, host) == 0)
			return server->names[i].ctx;
	/* RFC 6125 section 6.4.3: a wildcard stands for exactly one label. */
	for (size_t i = 0; dot != NULL && i < server->name_count; i++)
		if (server->names[i].text[0] == '*' && strcmp(server->names[i].text + 1, dot) == 0)
			return server->names[i].ctx;
	return NULL;
}

static int choose_cert(SSL *ssl, int *alert, void *arg)
{
	struct iso_tls_server *server = arg;
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	char host[256];
	SSL_CTX *ctx;
	size_t len;

	(void)alert;
	len = sni != NULL ? strlen(sni) : 0;
	if (len == 0 || len >= sizeof(host))
		return SSL_TLSEXT_ERR_OK; /* unknown or absent: the first certificate */
	for (size_t i = 0; i <= len; i++)
		host[i] = iso_ascii_lower(sni[i]);
	ctx = find_name(server, host);
	if (ctx != NULL)
		SSL_set_SSL_CTX(ssl, ctx);
	return SSL_TLSEXT_ERR_OK;
}

static int add_name(struct iso_tls_server *server, const char *text, size_t len, SSL_CTX *ctx)
{
	struct name *names = realloc(server->names, (server->name_count + 1) * sizeof(*names));
	char *copy;

	if (names == NULL)
		return ISO_ENOMEM;
	server->names = names;
	copy = malloc(len + 1);
	if (copy == NULL)
		return ISO_ENOMEM;
	for (size_t i = 0; i < len; i++)
		copy[i] = iso_ascii_lower(text[i]);
	copy[len] = '\0';
	names[server->name_count++] = (struct name){ copy, ctx };
	return ISO_OK;
}

static int collect_names(struct iso_tls_server *server, SSL_CTX *ctx)
{
	X509 *cert = SSL_CTX_get0_certificate(ctx);
	GENERAL_NAMES *sans = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int err = ISO_OK;

	for (int i = 0; i < sk_GENERAL_NAME_num(sans) && err == ISO_OK && server->name_count < NAMES_MAX; i++) {
		const GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, i);

		if (san->type == GEN_DNS)
			err = add_name(server, (const char *)ASN1_STRING_get0_data(san->d.dNSName),
				       (size_t)ASN1_STRING_length(san->d.dNSName), ctx);
	}
	GENERAL_NAMES_free(sans);
	return err;
}

static SSL_CTX *new_ctx(struct iso_tls_server *server, int min_version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept per client */
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	/* AES-128-GCM first: with AES instructions it is the cheapest, and as safe as TLS asks for. */
	SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384");
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"isochrone", 9);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, server);
	SSL_CTX_set_tlsext_servername_callback(ctx, choose_cert);
	SSL_CTX_set_tlsext_servername_arg(ctx, server);
	return ctx;
}

static int load_cert(SSL_CTX *ctx, const struct iso_tls_cert *cert, size_t index, struct iso_tls_problem *problem)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, cert->cert_path) != 1)
		return iso_tls_problem(problem, index, false, "cannot read a PEM certificate from", cert->cert_path);
	if (SSL_CTX_use_PrivateKey_file(ctx, cert->key_path, SSL_FILETYPE_PEM) != 1) {
		bool mismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;

		return iso_tls_problem(problem, index, true,
				       mismatch ? "the certificate does not belong to the key in" :
						  "cannot read a PEM key from",
				       cert->key_path);
	}
	if (SSL_CTX_check_private_key(ctx) != 1)
		return iso_tls_problem(problem, index, true, "the certificate does not belong to the key in",
				       cert->key_path);
	return ISO_OK;
}

int iso_tls_server_new(const struct iso_tls_cert *certs, size_t n, bool h2, bool http11, int min_version,
		       struct iso_tls_problem *ret_problem, struct iso_tls_server **ret_server)
{
	struct iso_tls_server *server = calloc(1, sizeof(*server));
	int err = ISO_ENOMEM;

	if (server == NULL)
		return ISO_ENOMEM;
	atomic_init(&server->refs, 1);
	server->h2 = h2;
	server->http11 = http11;
	server->ctxs = calloc(n, sizeof(*server->ctxs));
	if (server->ctxs == NULL)
		goto out;
	for (size_t i = 0; i < n; i++) {
		SSL_CTX *ctx = new_ctx(server, min_version);

		if (ctx == NULL) {
			err = ISO_ENOMEM;
			goto out;
		}
		server->ctxs[server->ctx_count++] = ctx;
		err = load_cert(ctx, &certs[i], i, ret_problem);
		if (err == ISO_OK)
			err = collect_names(server, ctx);
		if (err != ISO_OK)
			goto out;
	}
	*ret_server = server;
	return ISO_OK;
out:
	iso_tls_server_unref(server);
	return err;
}

struct iso_tls_server *iso_tls_server_ref(struct iso_tls_server *server)
{
	atomic_fetch_add(&server->refs, 1);
	return server;
}

void iso_tls_server_unref(struct iso_tls_server *server)
{
	if (server == NULL || atomic_fetch_sub(&server->refs, 1) != 1)
		return;
	for (size_t i = 0; i < server->ctx_count; i++)
		SSL_CTX_free(server->ctxs[i]);
	for (size_t i = 0; i < server->name_count; i++)
		free(server->names[i].text);
	free(server->names);
	free(server->ctxs);
	free(server);
}

struct ssl_st *iso_tls_server_ssl(struct iso_tls_server *server)
{
	return SSL_new(server->ctxs[0]);
}
