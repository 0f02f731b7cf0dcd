/*
 * A listening socket of one loop. The control thread binds one per worker with SO_REUSEPORT before the
 * workers run; the kernel spreads connections.
 */
#ifndef ISO_NET_LISTENER_H
#define ISO_NET_LISTENER_H

#include "iso/net/transport.h"

struct iso_listener {
	struct iso_loop *loop;
	struct event *event;
	int fd;
	void (*accepted)(struct iso_listener *listener, int fd, const struct iso_sockaddr *peer); /* takes fd
												   */
	struct iso_task accepting;
	struct iso_timer pause; /* out of descriptors: accepting rests for a moment */
};

/* "host:port" of an IP literal, "[v6]:port"; ISO_EBAD when it is neither. */
ISO_MUST_USE int iso_listener_parse(struct iso_slice address, struct iso_sockaddr *ret_addr);
/* A bound, listening, non-blocking descriptor with SO_REUSEPORT; port 0 binds any: read it with getsockname.
 */
ISO_MUST_USE int iso_listener_bind(const struct iso_sockaddr *addr, int *ret_fd);
/* Takes fd. */
ISO_MUST_USE int iso_listener_start(struct iso_listener *listener, struct iso_loop *loop, int fd,
				    void (*accepted)(struct iso_listener *, int,
						     const struct iso_sockaddr *));
/* Accepts nobody until it goes on: who connects waits in the kernel's queue. */
void iso_listener_hold(struct iso_listener *listener);
void iso_listener_go_on(struct iso_listener *listener);
/* Stops accepting and closes; connections that the kernel had queued are accepted first. */
void iso_listener_stop(struct iso_listener *listener);

#endif
