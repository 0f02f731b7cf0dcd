/*
 * Client contexts: verification always on, sessions kept for resumption. The context is immutable but for its
 * table of sessions, which a mutex guards (taken once per handshake). Invariant: a kept session is in no
 * connection, and each connection gets a copy: OpenSSL writes into the session of a connection, and marks
 * that of one that was cut as not to be resumed.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tls_ca_priv.h"
#include "tls_problem_priv.h"

enum { SESSIONS = 64 }; /* names with a session to resume; more names share by luck */

struct session {
	char sni[256];
	SSL_SESSION *session;
};

struct iso_tls_client {
	_Atomic unsigned int refs;
	SSL_CTX *ctx;
	pthread_mutex_t lock; /* guards sessions */
	struct session sessions[SESSIONS];
};

static struct session *session_slot(struct iso_tls_client *client, const char *sni)
{
	uint32_t hash = 2166136261u;

	for (const char *c = sni; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return &client->sessions[hash % SESSIONS];
}

/* OpenSSL has a session for us (TLS 1.3: after each ticket). Returns 0: the session itself stays OpenSSL's.
 */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct iso_tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_SESSION *copy, *old;
	struct session *slot;

	if (sni == NULL || strlen(sni) >= sizeof(slot->sni) || (copy = SSL_SESSION_dup(session)) == NULL)
		return 0;
	pthread_mutex_lock(&client->lock);
	slot = session_slot(client, sni);
	old = slot->session;
	slot->session = copy;
	memcpy(slot->sni, sni, strlen(sni) + 1);
	pthread_mutex_unlock(&client->lock);
	SSL_SESSION_free(old);
	return 0;
}

/* What a region that asks for it is shown. */
static int load_identity(SSL_CTX *ctx, const struct iso_tls_client_config *config,
			 struct iso_tls_problem *problem)
{
	int err;

	if (config->cert_path == NULL)
		return ISO_OK;
	err = iso_tls_check_readable(problem, 0, ISO_TLS_FILE_CERT, config->cert_path);
	if (err == ISO_OK)
		err = iso_tls_check_readable(problem, 0, ISO_TLS_FILE_KEY, config->key_path);
	if (err != ISO_OK)
		return err;
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, config->cert_path) != 1)
		return iso_tls_problem(problem, 0, ISO_TLS_FILE_CERT,
				       "the certificate in %s cannot be used: %s", config->cert_path,
				       iso_tls_reason());
	if (SSL_CTX_use_PrivateKey_file(ctx, config->key_path, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return iso_tls_problem(problem, 0, ISO_TLS_FILE_KEY,
				       "the key in %s cannot be used with the certificate: %s",
				       config->key_path, iso_tls_reason());
	return ISO_OK;
}

int iso_tls_client_new(const struct iso_tls_client_config *config, struct iso_tls_problem *ret_problem,
		       struct iso_tls_client **ret_client)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	struct iso_tls_client *client = calloc(1, sizeof(*client));
	int err = ISO_ENOMEM;

	if (client == NULL)
		return ISO_ENOMEM;
	atomic_init(&client->refs, 1);
	pthread_mutex_init(&client->lock, NULL);
	client->ctx = SSL_CTX_new(TLS_client_method());
	if (client->ctx == NULL)
		goto out;
	SSL_CTX_set_app_data(client->ctx, client);
	SSL_CTX_set_min_proto_version(client->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(client->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(client->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_ciphersuites(
		client->ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
	SSL_CTX_set_cipher_list(client->ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(client->ctx), X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_session_cache_mode(client->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client->ctx, keep_session);
	if (config->h2 || config->http11)
		SSL_CTX_set_alpn_protos(client->ctx, config->h2 ? both : both + 3,
					(config->h2 ? 3u : 0u) + (config->http11 ? 9u : 0u));
	SSL_CTX_set_default_passwd_cb(client->ctx, iso_tls_no_passphrase);
	err = iso_tls_load_ca(client->ctx, config->ca_path, 0, ret_problem);
	if (err == ISO_OK)
		err = load_identity(client->ctx, config, ret_problem);
	if (err != ISO_OK)
		goto out;
	*ret_client = client;
	return ISO_OK;
out:
	iso_tls_client_unref(client);
	return err;
}

struct iso_tls_client *iso_tls_client_ref(struct iso_tls_client *client)
{
	atomic_fetch_add(&client->refs, 1);
	return client;
}

void iso_tls_client_unref(struct iso_tls_client *client)
{
	if (client == NULL || atomic_fetch_sub(&client->refs, 1) != 1)
		return;
	for (int i = 0; i < SESSIONS; i++)
		SSL_SESSION_free(client->sessions[i].session);
	SSL_CTX_free(client->ctx);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

static void resume(struct iso_tls_client *client, SSL *ssl, const char *sni)
{
	SSL_SESSION *copy = NULL;
	struct session *slot;

	pthread_mutex_lock(&client->lock);
	slot = session_slot(client, sni);
	if (slot->session != NULL && strcmp(slot->sni, sni) == 0)
		copy = SSL_SESSION_dup(slot->session);
	pthread_mutex_unlock(&client->lock);
	if (copy != NULL)
		SSL_set_session(ssl, copy); /* takes a reference */
	SSL_SESSION_free(copy);
}

/* What the peer's certificate must be for, and the name that is sent. 1, or 0: no memory, no such name. */
static int expect(struct iso_tls_client *client, SSL *ssl, const char *sni)
{
	size_t len = strlen(sni);
	unsigned char ip[16];
	char bare[64];

	if (len == 0)
		return 0; /* to OpenSSL an empty name means any name */
	if (len >= 2 && len - 2 < sizeof(bare) && sni[0] == '[' && sni[len - 1] == ']') {
		memcpy(bare, sni + 1, len - 2); /* IPv6 as a URI writes it */
		bare[len - 2] = '\0';
		sni = bare;
	}
	if (inet_pton(AF_INET, sni, ip) == 1 || inet_pton(AF_INET6, sni, ip) == 1)
		/* RFC 6066 section 3: no SNI for a literal; the address itself is verified. */
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), sni);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set1_host(ssl, sni) != 1 || SSL_set_tlsext_host_name(ssl, sni) != 1)
		return 0;
	resume(client, ssl, sni);
	return 1;
}

struct ssl_st *iso_tls_client_ssl(struct iso_tls_client *client, const char *sni)
{
	SSL *ssl;

	if (sni == NULL)
		return NULL; /* a certificate for any name at all would do: verification would be off */
	ssl = SSL_new(client->ctx);
	if (ssl != NULL && expect(client, ssl, sni) != 1) {
		SSL_free(ssl);
		ssl = NULL;
	}
	return ssl;
}
