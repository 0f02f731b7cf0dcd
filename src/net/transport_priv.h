/*
 * The seam between a transport's life (transport.c), its TLS (tls_io.c) and its writing (transport_write.c).
 */
#ifndef ISO_NET_TRANSPORT_PRIV_H
#define ISO_NET_TRANSPORT_PRIV_H

#include "iso/net/transport.h"

enum {
	ISO_T_NONE = 0,
	ISO_T_CONNECTING,
	ISO_T_HANDSHAKE,
	ISO_T_OPEN,
	ISO_T_DEAD, /* `closed` has been or is about to be called with an error */
};

/* Called by the loop for a dirty transport. */
void iso_transport_flush(struct iso_transport *t);
/* Marks it dead; `closed` comes from the run queue. Only the first error counts. */
void iso_transport_fail(struct iso_transport *t, int err);
/* Appends wire bytes to `out`. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_transport_queue(struct iso_transport *t, const void *bytes, size_t n);
/* Keeps the text that iso_transport_why gives. */
void iso_transport_note_errno(const char *what, int errnum);
void iso_transport_note_text(const char *text);

/* Gives the connection its SSL; client or server by `sni`. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_tls_io_attach(struct iso_transport *t, struct ssl_st *ssl, bool client);
/* ISO_OK when done, ISO_EAGAIN, ISO_ETLS, ISO_ECERT, ISO_EEOF. */
ISO_MUST_USE int iso_tls_io_handshake(struct iso_transport *t);
/* Decrypts into bytes; *ret_n > 0 on ISO_OK. ISO_EAGAIN: no whole record left; ISO_EEOF: close_notify;
 * ISO_ETLS. */
ISO_MUST_USE int iso_tls_io_read(struct iso_transport *t, void *bytes, size_t size, size_t *ret_n);
/* Encrypts all of it into `out`. ISO_OK, ISO_ETLS. */
ISO_MUST_USE int iso_tls_io_write(struct iso_transport *t, const void *bytes, size_t n);
/* Queues close_notify. */
void iso_tls_io_close_notify(struct iso_transport *t);
void iso_tls_io_free(struct iso_transport *t);

#endif
