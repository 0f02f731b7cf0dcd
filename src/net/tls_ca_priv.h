/*
 * The certificates that a peer's is judged by, for both kinds of context.
 */
#ifndef ISO_NET_TLS_CA_PRIV_H
#define ISO_NET_TLS_CA_PRIV_H

#include <openssl/ssl.h>

#include "iso/net/tls.h"

/* Those of a PEM file, NULL: the system's, ready for all threads. ISO_OK, or ISO_ECERT and *problem; `index`
 * goes into it. */
ISO_MUST_USE int iso_tls_load_ca(SSL_CTX *ctx, const char *path, size_t index,
				 struct iso_tls_problem *problem);

#endif
