/*
 * What a certificate's owner asks of a connection: the oldest version of TLS, the client's own certificate.
 */
#ifndef ISO_NET_TLS_POLICY_PRIV_H
#define ISO_NET_TLS_POLICY_PRIV_H

#include "iso/net/tls.h"

struct ssl_ctx_st;

bool iso_tls_policy_eq(const struct iso_tls_policy *a, const struct iso_tls_policy *b);
/*
 * Sets it in a server's context. Sessions of another policy are not resumed there: a client's certificate
 * must not be got around by a ticket. ISO_OK, ISO_ECERT with *problem filled, ISO_ENOMEM.
 */
ISO_MUST_USE int iso_tls_policy_set(struct ssl_ctx_st *ctx, const struct iso_tls_policy *policy, size_t index,
				    struct iso_tls_problem *problem);
/* A connection that is to go on in another context, from its ClientHello. */
void iso_tls_policy_switch(struct ssl_st *ssl, struct ssl_ctx_st *ctx);
/* The name in the ClientHello that is being looked at, in lower case; "" where there is none. */
void iso_tls_policy_sni(struct ssl_st *ssl, char host[256]);

#endif
