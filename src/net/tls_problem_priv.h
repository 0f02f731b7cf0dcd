/*
 * Words for what is wrong with a certificate file, shared by both kinds of context.
 */
#ifndef ISO_NET_TLS_PROBLEM_PRIV_H
#define ISO_NET_TLS_PROBLEM_PRIV_H

#include "iso/net/tls.h"

/* "cannot read FILE: …" from errno or OpenSSL's last error; always returns ISO_ECERT and clears the error queue. */
int iso_tls_problem(struct iso_tls_problem *problem, size_t index, bool key, const char *what, const char *path);

#endif
