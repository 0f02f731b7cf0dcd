/*
 * Server contexts: one SSL_CTX per certificate; SNI chooses among them, with what their owners ask of
 * clients, ALPN the protocol. Immutable once built.
 */
#include <assert.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "iso/http/uri.h"
#include "ticket_keys_priv.h"
#include "tls_policy_priv.h"
#include "tls_problem_priv.h"
#include "iso/net/transport.h"

enum {
	NAMES_MAX = 65536, /* over all certificates: bounds the table, far beyond any real use */
	STAPLE_MAX = 64 * 1024,
};

struct name {
	char *text;  /* lower case; "*.example.com" for a wildcard */
	size_t cert; /* its index in ctxs */
};

/* A stapled OCSP response. */
struct staple {
	unsigned char *der;
	size_t len;
};

struct iso_tls_server {
	_Atomic unsigned int refs;
	SSL_CTX **ctxs;         /* app_data: the first one that has the same policy */
	size_t policy_count;    /* different ones */
	struct staple *staples; /* of each; der NULL: none */
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

/* host: lower case, in a buffer of ours. Unknown or absent: the first certificate. */
static SSL_CTX *ctx_for(const struct iso_tls_server *server, char *host)
{
	SSL_CTX *ctx = host[0] != '\0' ? find_ctx(server, host) : NULL;

	return ctx != NULL ? ctx : server->ctxs[0];
}

/* Before anything is negotiated: the version and the session are the certificate's matter too. */
static int choose_cert(SSL *ssl, int *alert, void *arg)
{
	char host[256];

	(void)alert;
	iso_tls_policy_sni(ssl, host);
	iso_tls_policy_switch(ssl, ctx_for(arg, host));
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* RFC 6066 section 3: the server says that it has used the name. */
static int acknowledge_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	return SSL_TLSEXT_ERR_OK;
}

/* Whether a connection under `own` lacks what is asked of one under `other`. */
static bool asks_more(SSL_CTX *other, SSL_CTX *own)
{
	return SSL_CTX_get_app_data(other) != SSL_CTX_get_app_data(own) &&
	       (SSL_CTX_get_verify_mode(other) != SSL_VERIFY_NONE ||
		SSL_CTX_get_min_proto_version(other) > SSL_CTX_get_min_proto_version(own));
}

/*
 * A host that no certificate names, after find_ctx, which has overwritten its first label: whether a wildcard
 * at any height above it asks for more. A route's wildcard stands for any number of labels, so that what is
 * asked for "*.example.com" must not be passed by with a label more.
 */
static bool wildcard_asks_more(const struct iso_tls_server *server, char *host, SSL_CTX *own)
{
	for (char *dot = strchr(host, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
		const struct name *above;

		dot[-1] = '*';
		above = find_text(server, dot - 1);
		if (above != NULL && asks_more(server->ctxs[above->cert], own))
			return true;
	}
	return false;
}

bool iso_tls_server_fits(const struct iso_tls_server *server, const struct ssl_st *ssl,
			 struct iso_slice authority)
{
	SSL_CTX *own = SSL_get_SSL_CTX(ssl), *found;
	struct iso_slice name;
	char buf[1 + 256], *host = buf + 1; /* in front: room for the star of ".example.com" */

	if (server->policy_count == 1)
		return true;
	name = iso_uri_host(authority);
	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--; /* the same host: RFC 3986 section 3.2.2 */
	if (name.len >= sizeof(buf) - 1 || memchr(name.ptr, '\0', name.len) != NULL)
		name.len = 0;
	for (size_t i = 0; i < name.len; i++)
		host[i] = iso_ascii_lower(name.ptr[i]);
	host[name.len] = '\0';
	found = find_ctx(server, host);
	if (found == NULL && wildcard_asks_more(server, host, own))
		return false;
	return SSL_CTX_get_app_data(own) == SSL_CTX_get_app_data(found != NULL ? found : server->ctxs[0]);
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

static SSL_CTX *new_ctx(struct iso_tls_server *server)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept per client
								  */
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, iso_ticket_keys_use);
	SSL_CTX_set_max_early_data(ctx, 0);
	/* AES-128-GCM first: with AES instructions it is the cheapest, and as safe as TLS asks for. */
	SSL_CTX_set_ciphersuites(
		ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384");
	SSL_CTX_set_default_passwd_cb(ctx, iso_tls_no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, server);
	SSL_CTX_set_client_hello_cb(ctx, choose_cert, server);
	SSL_CTX_set_tlsext_servername_callback(ctx, acknowledge_name);
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
		return iso_tls_problem(problem, index, ISO_TLS_FILE_KEY,
				       "the key in %s does not belong to the certificate", path);
	lib = ERR_GET_LIB(first);
	reason = ERR_GET_REASON(first);
	if (reason == ERR_R_INTERRUPTED_OR_CANCELLED ||
	    (lib == ERR_LIB_PEM && reason == PEM_R_BAD_PASSWORD_READ))
		return iso_tls_problem(problem, index, ISO_TLS_FILE_KEY,
				       "the key in %s is locked with a passphrase", path);
	if (reason == ERR_R_UNSUPPORTED || (lib == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE))
		return iso_tls_problem(problem, index, ISO_TLS_FILE_KEY, "%s holds no PEM private key", path);
	return iso_tls_problem(problem, index, ISO_TLS_FILE_KEY, "the key in %s cannot be used: %s", path,
			       iso_tls_reason());
}

/* RFC 6066 section 8. OpenSSL frees what it is given. */
static int staple(SSL *ssl, void *arg)
{
	const struct staple *staple_file = arg;
	unsigned char *copy = OPENSSL_memdup(staple_file->der, staple_file->len);

	(void)ssl;
	if (copy == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple_file->len);
	return SSL_TLSEXT_ERR_OK;
}

static int load_staple(struct iso_tls_server *server, size_t index, const char *path,
		       struct iso_tls_problem *problem)
{
	struct staple *to = &server->staples[index];
	const unsigned char *at;
	OCSP_RESPONSE *response;
	FILE *file;
	int err = iso_tls_check_readable(problem, index, ISO_TLS_FILE_OCSP, path);

	if (err != ISO_OK)
		return err;
	file = fopen(path, "re");
	to->der = malloc(STAPLE_MAX);
	if (file != NULL && to->der != NULL)
		to->len = fread(to->der, 1, STAPLE_MAX, file);
	if (file != NULL)
		fclose(file);
	if (to->der == NULL)
		return ISO_ENOMEM;
	at = to->der;
	response = to->len < STAPLE_MAX ? d2i_OCSP_RESPONSE(NULL, &at, (long)to->len) : NULL;
	OCSP_RESPONSE_free(response);
	if (response == NULL)
		return iso_tls_problem(problem, index, ISO_TLS_FILE_OCSP, "%s holds no DER OCSP response",
				       path);
	SSL_CTX_set_tlsext_status_cb(server->ctxs[index], staple);
	SSL_CTX_set_tlsext_status_arg(server->ctxs[index], to);
	return ISO_OK;
}

static const struct iso_tls_policy *policy_of(const struct iso_tls_server_config *config, size_t index)
{
	return config->certs[index].policy != NULL ? config->certs[index].policy : &config->policy;
}

static int set_policy(struct iso_tls_server *server, const struct iso_tls_server_config *config, size_t index,
		      struct iso_tls_problem *problem)
{
	const struct iso_tls_policy *policy = policy_of(config, index);
	size_t first = 0;

	while (!iso_tls_policy_eq(policy, policy_of(config, first)))
		first++;
	server->policy_count += first == index;
	SSL_CTX_set_app_data(server->ctxs[index], server->ctxs[first]);
	return iso_tls_policy_set(server->ctxs[index], policy, index, problem);
}

static bool hash_name(EVP_MD_CTX *sha, const X509_NAME *name)
{
	const unsigned char *der;
	size_t len;
	uint64_t length;

	if (X509_NAME_get0_der(name, &der, &len) != 1)
		return false;
	length = len;
	return EVP_DigestUpdate(sha, &length, sizeof(length)) == 1 && EVP_DigestUpdate(sha, der, len) == 1;
}

/* The names beside the subject, which may be empty (RFC 5280 section 4.2.1.6; SPIFFE ids stand there). */
static bool hash_alt_names(EVP_MD_CTX *sha, const X509 *cert)
{
	int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
	const ASN1_OCTET_STRING *value = at >= 0 ? X509_EXTENSION_get_data(X509_get_ext(cert, at)) : NULL;

	return value == NULL ||
	       EVP_DigestUpdate(sha, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)) == 1;
}

bool iso_tls_peer_name(const struct iso_transport *t, uint8_t ret_name[32])
{
	X509 *cert = t->ssl != NULL ? SSL_get0_peer_certificate(t->ssl) : NULL;
	EVP_MD_CTX *sha;
	bool ok;

	if (cert == NULL)
		return false;
	sha = EVP_MD_CTX_new();
	ok = sha != NULL && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1 &&
	     hash_name(sha, X509_get_issuer_name(cert)) && hash_name(sha, X509_get_subject_name(cert)) &&
	     hash_alt_names(sha, cert) && EVP_DigestFinal_ex(sha, ret_name, NULL) == 1;
	EVP_MD_CTX_free(sha);
	return ok;
}

static int load_cert(SSL_CTX *ctx, const struct iso_tls_cert *cert, size_t index,
		     struct iso_tls_problem *problem)
{
	int err = iso_tls_check_readable(problem, index, ISO_TLS_FILE_CERT, cert->cert_path);

	if (err == ISO_OK)
		err = iso_tls_check_readable(problem, index, ISO_TLS_FILE_KEY, cert->key_path);
	if (err != ISO_OK)
		return err;
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, cert->cert_path) != 1) {
		unsigned long code = ERR_peek_error();

		if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
			return iso_tls_problem(problem, index, ISO_TLS_FILE_CERT,
					       "%s holds no PEM certificate", cert->cert_path);
		return iso_tls_problem(problem, index, ISO_TLS_FILE_CERT,
				       "the certificate in %s cannot be used: %s", cert->cert_path,
				       iso_tls_reason());
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, cert->key_path, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return key_problem(problem, index, cert->key_path);
	return ISO_OK;
}

static int add_cert(struct iso_tls_server *server, const struct iso_tls_server_config *config,
		    struct iso_tls_problem *problem)
{
	size_t index = server->ctx_count;
	const struct iso_tls_cert *cert = &config->certs[index];
	SSL_CTX *ctx = new_ctx(server);
	int err;

	if (ctx == NULL)
		return ISO_ENOMEM;
	server->ctxs[server->ctx_count++] = ctx;
	err = load_cert(ctx, cert, index, problem);
	if (err == ISO_OK)
		err = collect_names(server, index);
	if (err == ISO_ELIMIT)
		err = iso_tls_problem(problem, index, ISO_TLS_FILE_CERT,
				      "more than %d names over all certificates", NAMES_MAX);
	if (err == ISO_OK && cert->ocsp_path != NULL)
		err = load_staple(server, index, cert->ocsp_path, problem);
	if (err == ISO_OK)
		err = set_policy(server, config, index, problem);
	return err;
}

int iso_tls_server_new(const struct iso_tls_server_config *config, struct iso_tls_problem *ret_problem,
		       struct iso_tls_server **ret_server)
{
	struct iso_tls_server *server = calloc(1, sizeof(*server));
	int err = ISO_ENOMEM;

	assert(config->n > 0);
	if (server == NULL)
		return ISO_ENOMEM;
	atomic_init(&server->refs, 1);
	server->h2 = (config->offers & ISO_OFFER_H2) != 0;
	server->http11 = (config->offers & ISO_OFFER_HTTP11) != 0;
	server->ctxs = calloc(config->n, sizeof(SSL_CTX *));
	server->staples = calloc(config->n, sizeof(*server->staples));
	if (server->ctxs != NULL && server->staples != NULL)
		err = ISO_OK;
	for (size_t i = 0; i < config->n && err == ISO_OK; i++)
		err = add_cert(server, config, ret_problem);
	if (err != ISO_OK) {
		iso_tls_server_unref(server);
		return err;
	}
	sort_names(server);
	*ret_server = server;
	return ISO_OK;
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
	for (size_t i = 0; i < server->ctx_count && server->staples != NULL; i++)
		free(server->staples[i].der);
	free(server->names);
	free(server->ctxs);
	free(server->staples);
	free(server);
}

struct ssl_st *iso_tls_server_ssl(struct iso_tls_server *server)
{
	return SSL_new(server->ctxs[0]);
}
