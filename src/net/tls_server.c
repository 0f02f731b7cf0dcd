/*
 * Server contexts: one SSL_CTX per certificate; SNI chooses among them, ALPN the protocol. Immutable once
 * built.
 */
#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tls_problem_priv.h"

enum { NAMES_MAX = 65536 }; /* over all certificates: bounds the table, far beyond any real use */

struct name {
	char *text;  /* lower case; "*.example.com" for a wildcard */
	size_t cert; /* its index in ctxs */
};

struct iso_tls_server {
	_Atomic unsigned int refs;
	SSL_CTX **ctxs;
	size_t ctx_count;
	struct name *names; /* sorted, each text once */
	size_t name_count;
	bool h2, http11;
};

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		       unsigned int in_len, void *arg)
{
	struct iso_tls_server *server = arg;
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	const unsigned char *offer = server->h2 ? both : both + 3;
	unsigned int len = (server->h2 ? 3u : 0u) + (server->http11 ? 9u : 0u);
	unsigned char *selected;

	(void)ssl;
	if (len == 0)
		return SSL_TLSEXT_ERR_NOACK; /* as if we did not know ALPN */
	if (SSL_select_next_proto(&selected, out_len, offer, len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 section 3.2: no_application_protocol */
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static int compare_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : (x->cert > y->cert) - (x->cert < y->cert);
}

/* Sorts, and of the certificates that bear the same name keeps the first. */
static void sort_names(struct iso_tls_server *server)
{
	size_t kept = 0;

	if (server->name_count == 0)
		return;
	qsort(server->names, server->name_count, sizeof(*server->names), compare_name);
	for (size_t i = 1; i < server->name_count; i++) {
		if (compare_text(&server->names[i], &server->names[kept]) == 0)
			free(server->names[i].text);
		else
			server->names[++kept] = server->names[i];
	}
	server->name_count = kept + 1;
}

static const struct name *find_text(const struct iso_tls_server *server, char *text)
{
	struct name key = { .text = text };

	if (server->name_count == 0)
		return NULL;
	return bsearch(&key, server->names, server->name_count, sizeof(key), compare_text);
}

/* host: lower case, in a buffer of ours. */
static SSL_CTX *find_ctx(const struct iso_tls_server *server, char *host)
{
	const struct name *found = find_text(server, host);
	char *dot = strchr(host, '.');

	/* RFC 6125 section 6.4.3: a wildcard stands for exactly one label. */
	if (found == NULL && dot != NULL && dot != host) {
		dot[-1] = '*';
		found = find_text(server, dot - 1);
	}
	return found != NULL ? server->ctxs[found->cert] : NULL;
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
	ctx = find_ctx(server, host);
	if (ctx != NULL)
		SSL_set_SSL_CTX(ssl, ctx);
	return SSL_TLSEXT_ERR_OK;
}

static int add_name(struct iso_tls_server *server, const char *text, size_t len, size_t cert)
{
	struct name *names;
	char *copy;

	if (memchr(text, '\0', len) != NULL)
		return ISO_OK; /* no host is called that; cut at the NUL it would pass for another */
	if (server->name_count >= NAMES_MAX)
		return ISO_ELIMIT;
	names = realloc(server->names, (server->name_count + 1) * sizeof(*names));
	if (names == NULL)
		return ISO_ENOMEM;
	server->names = names;
	copy = malloc(len + 1);
	if (copy == NULL)
		return ISO_ENOMEM;
	for (size_t i = 0; i < len; i++)
		copy[i] = iso_ascii_lower(text[i]);
	copy[len] = '\0';
	names[server->name_count++] = (struct name){ copy, cert };
	return ISO_OK;
}

static int collect_names(struct iso_tls_server *server, size_t cert)
{
	X509 *leaf = SSL_CTX_get0_certificate(server->ctxs[cert]);
	GENERAL_NAMES *sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int err = ISO_OK;

	for (int i = 0; i < sk_GENERAL_NAME_num(sans) && err == ISO_OK; i++) {
		const GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, i);

		if (san->type == GEN_DNS)
			err = add_name(server, (const char *)ASN1_STRING_get0_data(san->d.dNSName),
				       (size_t)ASN1_STRING_length(san->d.dNSName), cert);
	}
	GENERAL_NAMES_free(sans);
	return err;
}

/* Without this OpenSSL asks for a passphrase on the terminal, and a server stands still. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static SSL_CTX *new_ctx(struct iso_tls_server *server, int min_version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept per client
								  */
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	/* AES-128-GCM first: with AES instructions it is the cheapest, and as safe as TLS asks for. */
	SSL_CTX_set_ciphersuites(
		ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384");
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"isochrone", 9);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, server);
	SSL_CTX_set_tlsext_servername_callback(ctx, choose_cert);
	SSL_CTX_set_tlsext_servername_arg(ctx, server);
	return ctx;
}

/* What OpenSSL's errors say about a key file. */
static int key_problem(struct iso_tls_problem *problem, size_t index, const char *path)
{
	unsigned long first = ERR_peek_error(), last = ERR_peek_last_error();
	int lib = ERR_GET_LIB(last), reason = ERR_GET_REASON(last);

	/* A key of another kind finds no certificate of its kind; one of the same kind differs from it. */
	if ((lib == ERR_LIB_X509 &&
	     (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH)) ||
	    (lib == ERR_LIB_SSL && reason == SSL_R_NO_CERTIFICATE_ASSIGNED))
		return iso_tls_problem(problem, index, true,
				       "the key in %s does not belong to the certificate", path);
	lib = ERR_GET_LIB(first);
	reason = ERR_GET_REASON(first);
	if (reason == ERR_R_INTERRUPTED_OR_CANCELLED ||
	    (lib == ERR_LIB_PEM && reason == PEM_R_BAD_PASSWORD_READ))
		return iso_tls_problem(problem, index, true, "the key in %s is locked with a passphrase",
				       path);
	if (reason == ERR_R_UNSUPPORTED || (lib == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE))
		return iso_tls_problem(problem, index, true, "%s holds no PEM private key", path);
	return iso_tls_problem(problem, index, true, "the key in %s cannot be used: %s", path,
			       iso_tls_reason());
}

static int load_cert(SSL_CTX *ctx, const struct iso_tls_cert *cert, size_t index,
		     struct iso_tls_problem *problem)
{
	int err = iso_tls_check_readable(problem, index, false, cert->cert_path);

	if (err == ISO_OK)
		err = iso_tls_check_readable(problem, index, true, cert->key_path);
	if (err != ISO_OK)
		return err;
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, cert->cert_path) != 1) {
		unsigned long code = ERR_peek_error();

		if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
			return iso_tls_problem(problem, index, false, "%s holds no PEM certificate",
					       cert->cert_path);
		return iso_tls_problem(problem, index, false, "the certificate in %s cannot be used: %s",
				       cert->cert_path, iso_tls_reason());
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, cert->key_path, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return key_problem(problem, index, cert->key_path);
	return ISO_OK;
}

int iso_tls_server_new(const struct iso_tls_cert *certs, size_t n, unsigned int offers, int min_version,
		       struct iso_tls_problem *ret_problem, struct iso_tls_server **ret_server)
{
	struct iso_tls_server *server = calloc(1, sizeof(*server));
	int err = ISO_ENOMEM;

	assert(n > 0);
	if (server == NULL)
		return ISO_ENOMEM;
	atomic_init(&server->refs, 1);
	server->h2 = (offers & ISO_OFFER_H2) != 0;
	server->http11 = (offers & ISO_OFFER_HTTP11) != 0;
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
			err = collect_names(server, i);
		if (err == ISO_ELIMIT)
			err = iso_tls_problem(ret_problem, i, false,
					      "more than %d names over all certificates", NAMES_MAX);
		if (err != ISO_OK)
			goto out;
	}
	sort_names(server);
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
