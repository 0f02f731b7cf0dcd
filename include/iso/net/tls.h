/*
 * TLS contexts. Immutable once built and shared by all threads (OpenSSL counts references atomically).
 */
#ifndef ISO_NET_TLS_H
#define ISO_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "iso/base/err.h"
#include "iso/base/slice.h"

struct ssl_ctx_st;
struct ssl_st;
struct iso_tls_server;
struct iso_tls_client;

/* What ALPN offers. */
enum { ISO_OFFER_H2 = 1, ISO_OFFER_HTTP11 = 2 };

/* What is asked of a connection. */
struct iso_tls_policy {
	int min_version;       /* 12 or 13 */
	const char *client_ca; /* PEM of the CAs of clients' certificates; NULL: none is asked for */
	bool client_required;  /* a client without a certificate is refused */
};

struct iso_tls_cert {
	const char *cert_path; /* PEM, leaf first */
	const char *key_path;
	const char *ocsp_path;               /* a DER OCSP response that is stapled; NULL: none */
	const struct iso_tls_policy *policy; /* of the names in this certificate; NULL: the server's */
};

/* Which file a problem is about; the names are the configuration's keys. */
enum iso_tls_file { ISO_TLS_FILE_CERT, ISO_TLS_FILE_KEY, ISO_TLS_FILE_OCSP, ISO_TLS_FILE_CA };

/* One text per failure, for the configuration's error report. */
struct iso_tls_problem {
	size_t cert_index;      /* which of the certificates */
	enum iso_tls_file file; /* which of its files */
	char text[256];
};

struct iso_tls_server_config {
	const struct iso_tls_cert *certs; /* one or more; the first is the default for an unknown or absent
					     SNI; the others are found by their subjectAltName DNS names,
					     wildcards too */
	size_t n;
	unsigned int offers; /* ISO_OFFER_… */
	struct iso_tls_policy policy;
};

/* ISO_OK, ISO_ECERT with *ret_problem filled, ISO_ENOMEM. One reference, freed by unref. */
ISO_MUST_USE int iso_tls_server_new(const struct iso_tls_server_config *config,
				    struct iso_tls_problem *ret_problem, struct iso_tls_server **ret_server);
void iso_tls_server_unref(struct iso_tls_server *server);
struct iso_tls_server *iso_tls_server_ref(struct iso_tls_server *server);

struct iso_tls_client_config {
	const char *ca_path;              /* NULL: the system's CAs. Verification is always on */
	const char *cert_path, *key_path; /* shown to a server that asks for one; NULL: none */
	bool h2, http11;                  /* what ALPN offers */
};

/* As iso_tls_server_new. */
ISO_MUST_USE int iso_tls_client_new(const struct iso_tls_client_config *config,
				    struct iso_tls_problem *ret_problem, struct iso_tls_client **ret_client);
struct iso_tls_client *iso_tls_client_ref(struct iso_tls_client *client);
void iso_tls_client_unref(struct iso_tls_client *client);

/*
 * Makes OpenSSL take its large buffers (records, handshakes) from the page pool, so that they leave no holes
 * in the heap between what connections keep. Before anything else of OpenSSL is called, or it has no effect.
 */
void iso_tls_use_page_pool(void);

/* Overwrites the keys of session tickets: what was given out is worth nothing any more. Any thread. */
void iso_tls_forget_tickets(void);

/*
 * Whether a request for this authority may come on this connection: RFC 9110 sections 7.4 and 15.5.20. Not
 * where the certificate that SNI would have chosen for it has another policy than the one that was chosen. A
 * name that no certificate bears is under the first one's policy; it does not fit where a wildcard
 * certificate for names above it asks for more (a client's certificate, a later version). A final dot changes
 * nothing.
 */
bool iso_tls_server_fits(const struct iso_tls_server *server, const struct ssl_st *ssl,
			 struct iso_slice authority);
/* A new connection's SSL; for the transport. NULL: no memory. */
struct ssl_st *iso_tls_server_ssl(struct iso_tls_server *server);
/* Before the handshake: this connection offers HTTP/1.1 alone, whatever its context does. In clear: nothing.
 */
struct iso_transport;
void iso_tls_client_http11(struct iso_transport *t);
struct ssl_st *iso_tls_client_ssl(struct iso_tls_client *client, const char *sni);
/*
 * Whom the peer's certificate, which was verified, names: SHA-256 of its issuer, its subject and its
 * alternative names, so that it stays the same when it is renewed. False: it has shown none.
 */
bool iso_tls_peer_name(const struct iso_transport *t, uint8_t ret_name[32]);

#endif
