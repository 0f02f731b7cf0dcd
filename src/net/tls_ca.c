/*
 * See tls_ca_priv.h. Thread: the one that loads the configuration.
 */
#include "tls_ca_priv.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls_problem_priv.h"

/*
 * OpenSSL works out what a certificate may be used for when it is first asked, and writes it down there.
 * Asked now, no handshake writes to what the others read, but for what OpenSSL itself loads later from the
 * system's directory.
 */
static void note_uses(SSL_CTX *ctx)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		if (cert != NULL)
			(void)X509_get_extension_flags(cert);
	}
}

int iso_tls_load_ca(SSL_CTX *ctx, const char *path, size_t index, struct iso_tls_problem *problem)
{
	int err;

	ERR_clear_error();
	if (path == NULL) {
		if (SSL_CTX_set_default_verify_paths(ctx) != 1)
			return iso_tls_problem(problem, index, ISO_TLS_FILE_CA,
					       "cannot read the system's CA certificates: %s",
					       iso_tls_reason());
		note_uses(ctx);
		return ISO_OK;
	}
	err = iso_tls_check_readable(problem, index, ISO_TLS_FILE_CA, path);
	if (err != ISO_OK)
		return err;
	if (SSL_CTX_load_verify_file(ctx, path) != 1)
		return iso_tls_problem(problem, index, ISO_TLS_FILE_CA, "%s holds no PEM certificate", path);
	note_uses(ctx);
	return ISO_OK;
}
