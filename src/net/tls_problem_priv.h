/*
 * Words for what is wrong with a certificate file, shared by both kinds of context.
 */
#ifndef ISO_NET_TLS_PROBLEM_PRIV_H
#define ISO_NET_TLS_PROBLEM_PRIV_H

#include "iso/net/tls.h"

/* Fills *problem (NULL is fine), clears OpenSSL's error queue and returns ISO_ECERT. */
int iso_tls_problem(struct iso_tls_problem *problem, size_t index, enum iso_tls_file file, const char *format,
		    ...) __attribute__((format(printf, 4, 5)));
/* ISO_OK, or ISO_ECERT and "cannot read FILE: No such file or directory": OpenSSL's own words hide the errno.
 */
ISO_MUST_USE int iso_tls_check_readable(struct iso_tls_problem *problem, size_t index,
					enum iso_tls_file which, const char *path);
/* The reason of OpenSSL's first queued error, the one nearest to the cause, in words; never NULL. Static. */
const char *iso_tls_reason(void);
/* OpenSSL's password callback. Without it OpenSSL asks for a passphrase on the terminal, and a server stands
 * still. */
int iso_tls_no_passphrase(char *buf, int size, int writing, void *arg);

#endif
