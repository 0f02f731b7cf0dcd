/*
 * The downstream side of one loop: accepted connections and their codecs, in front of one handler. Workers
 * have one for the exchange, the control loop one for the admin API, the region emulator one for its
 * function.
 */
#ifndef ISO_SERVER_SERVER_H
#define ISO_SERVER_SERVER_H

#include "iso/config/snapshot.h"
#include "iso/http/sink.h"
#include "iso/net/listener.h"
#include "iso/net/loop.h"

/* What a server counts; one writer, read by others with relaxed loads. */
struct iso_server_counters {
	_Atomic uint64_t accepted, refused, handshakes_failed, requests;
	_Atomic uint32_t connections, streams;
};

struct iso_server {
	struct iso_loop *loop;
	struct iso_handler *handler;
	struct iso_cfg_limits limits;
	struct iso_list conns;
	struct iso_list listeners;
	struct iso_server_counters counters;
	void (*drained)(struct iso_server *server); /* after drain, when the last connection has gone; may be
						       NULL */
	bool draining;
};

void iso_server_init(struct iso_server *server, struct iso_loop *loop, struct iso_handler *handler,
		     const struct iso_cfg_limits *limits);
/* Closes everything at once. */
void iso_server_done(struct iso_server *server);
/* Accepts on fd (taken) for a listener with these protocols; tls is referenced for as long. */
ISO_MUST_USE int iso_server_listen(struct iso_server *server, int fd,
				   const struct iso_cfg_listener *listener);
/* Replaces what new connections get (certificates, protocols) on the listener with that address. */
void iso_server_update(struct iso_server *server, const struct iso_cfg_listener *listener);
/* Stops accepting; GOAWAY and Connection: close; connections end as their exchanges do. */
void iso_server_drain(struct iso_server *server);

#endif
