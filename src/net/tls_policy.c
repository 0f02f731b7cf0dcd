/*
 * See tls_policy_priv.h. Any thread.
 */
#include "tls_policy_priv.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "tls_ca_priv.h"
#include "tls_problem_priv.h"

static bool same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool iso_tls_policy_eq(const struct iso_tls_policy *a, const struct iso_tls_policy *b)
{
	return a->min_version == b->min_version && same(a->client_ca, b->client_ca) &&
	       (a->client_ca == NULL || a->client_required == b->client_required);
}

/* Clients' certificates: RFC 8446 section 4.3.2. */
static int load_client_ca(SSL_CTX *ctx, const struct iso_tls_policy *policy, size_t index,
			  struct iso_tls_problem *problem)
{
	STACK_OF(X509_NAME) * names;
	int err;

	if (policy->client_ca == NULL)
		return ISO_OK;
	err = iso_tls_load_ca(ctx, policy->client_ca, index, problem);
	if (err != ISO_OK)
		return err;
	names = SSL_load_client_CA_file(policy->client_ca);
	if (names == NULL)
		return iso_tls_problem(problem, index, ISO_TLS_FILE_CA, "%s holds no PEM certificate",
				       policy->client_ca);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(
		ctx, SSL_VERIFY_PEER | (policy->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return ISO_OK;
}

static bool digest_file(EVP_MD_CTX *md, const char *path)
{
	FILE *file = fopen(path, "re");
	char bytes[4096];
	bool ok = file != NULL;
	size_t n;

	while (ok && (n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		ok = EVP_DigestUpdate(md, bytes, n) == 1;
	if (file != NULL)
		fclose(file);
	return ok;
}

/* The session id context: by what the policy says and not by its place, so that reloads keep sessions. */
static int set_session_context(SSL_CTX *ctx, const struct iso_tls_policy *policy)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "isochrone %d %d", policy->min_version,
			 policy->client_ca == NULL ? 0 : 1 + policy->client_required);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(md, text, (size_t)n) == 1 &&
		  (policy->client_ca == NULL || digest_file(md, policy->client_ca)) &&
		  EVP_DigestFinal_ex(md, digest, &len) == 1 &&
		  SSL_CTX_set_session_id_context(ctx, digest, len) == 1;

	EVP_MD_CTX_free(md);
	return ok ? ISO_OK : ISO_ENOMEM;
}

int iso_tls_policy_set(SSL_CTX *ctx, const struct iso_tls_policy *policy, size_t index,
		       struct iso_tls_problem *problem)
{
	int err = load_client_ca(ctx, policy, index, problem);

	SSL_CTX_set_min_proto_version(ctx, policy->min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	return err == ISO_OK ? set_session_context(ctx, policy) : err;
}

void iso_tls_policy_switch(SSL *ssl, SSL_CTX *ctx)
{
	if (SSL_get_SSL_CTX(ssl) == ctx)
		return;
	SSL_set_SSL_CTX(ssl, ctx); /* takes certificate, CAs and session context along, and no more */
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), NULL);
	SSL_set_min_proto_version(ssl, SSL_CTX_get_min_proto_version(ctx));
}

void iso_tls_policy_sni(SSL *ssl, char host[256])
{
	const unsigned char *bytes;
	size_t n, len;

	host[0] = '\0';
	/* RFC 6066 section 3: a list's length, a type, 0 for a host name, and its length. */
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &n) != 1 || n < 5 ||
	    bytes[2] != 0)
		return;
	len = (size_t)bytes[3] << 8 | bytes[4];
	if (len > n - 5 || len > 255 || memchr(bytes + 5, '\0', len) != NULL)
		return; /* OpenSSL refuses it by itself */
	for (size_t i = 0; i < len; i++)
		host[i] = iso_ascii_lower((char)bytes[5 + i]);
	host[len] = '\0';
}
