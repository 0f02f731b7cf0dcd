/*
 * Connections that wait for the PROXY protocol's header of the balancer in front of us. Its bytes are looked
 * at and, once whole, taken off the socket exactly; what follows (TLS, mostly) is the connection's own.
 */
#ifndef ISO_SERVER_PROXIED_PRIV_H
#define ISO_SERVER_PROXIED_PRIV_H

#include "conn_priv.h"

/* Takes fd. Without a header in `handshake_timeout`, or with a broken one, it is closed and counted as cut.
 */
void iso_proxied_open(struct iso_server_listener *listener, int fd, const struct iso_sockaddr *peer);
/* Goes on with those that came to this listener and whose header is there, closes the others. */
void iso_proxied_drop(struct iso_server_listener *listener);

#endif
