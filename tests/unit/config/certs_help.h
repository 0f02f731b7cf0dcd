/*
 * Makes certificates and keys in a directory of their own, and takes them away again.
 */
#ifndef ISO_TESTS_CERTS_HELP_H
#define ISO_TESTS_CERTS_HELP_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

struct certs {
	char dir[64];
};

static inline void certs_path(const struct certs *c, const char *name, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/%s", c->dir, name);
}

/* A self-signed certificate for `dns` as NAME.pem and its key as NAME.key. */
static inline void certs_add(const struct certs *c, const char *name, const char *dns)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	char file[64], path[160], san[128];
	X509_EXTENSION *ext;
	FILE *out;

	(void)snprintf(san, sizeof(san), "DNS:%s", dns);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)dns, -1, -1, 0);
	X509_set_issuer_name(cert, subject);
	X509_set_pubkey(cert, key);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	assert_non_null(ext);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	(void)snprintf(file, sizeof(file), "%s.pem", name);
	certs_path(c, file, path, sizeof(path));
	out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(PEM_write_X509(out, cert), 1);
	fclose(out);
	(void)snprintf(file, sizeof(file), "%s.key", name);
	certs_path(c, file, path, sizeof(path));
	out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(out);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static inline void certs_write(const struct certs *c, const char *name, const char *text)
{
	char path[160];
	FILE *out;

	certs_path(c, name, path, sizeof(path));
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static inline void certs_make(struct certs *c)
{
	(void)snprintf(c->dir, sizeof(c->dir), "/tmp/iso-config-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
}

static inline void certs_remove(const struct certs *c, const char *const *names)
{
	char path[160];

	for (; *names != NULL; names++) {
		certs_path(c, *names, path, sizeof(path));
		(void)unlink(path);
	}
	(void)rmdir(c->dir);
}

#endif
