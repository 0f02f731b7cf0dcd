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
#include "iso/stats/sketch.h"

/* Why a client's connection was cut: the values of `reason` on isochrone_connections_cut_total. */
#define ISO_CUT_TABLE(X)                                                                                     \
	X(RESETS, "resets")             /* streams reset, by the client or because of it */                  \
	X(CONTINUATION, "continuation") /* a header block without an end */                                  \
	X(SETTINGS, "settings")                                                                              \
	X(PING, "ping")                                                                                      \
	X(PRIORITY, "priority") /* and unknown frame types */                                                \
	X(WINDOW_UPDATE, "window_update")                                                                    \
	X(EMPTY_FRAMES, "empty_frames")                                                                      \
	X(HEADER_MEMORY, "header_memory") /* a small block that decodes to very much */                      \
	X(HANDSHAKE_TIMEOUT, "handshake_timeout")                                                            \
	X(HEADER_TIMEOUT, "header_timeout")                                                                  \
	X(BODY_RATE, "body_rate") /* sends too slowly */                                                     \
	X(READ_RATE, "read_rate") /* reads too slowly */                                                     \
	X(PROTOCOL, "protocol")   /* broke HTTP/2's rules for a connection */

enum iso_cut {
	ISO_CUT_NONE = -1,
#define X(id, text) ISO_CUT_##id,
	ISO_CUT_TABLE(X)
#undef X
		ISO_CUT_COUNT
};

const char *iso_cut_text(enum iso_cut cut);

/* What a server counts; one writer, read by others with relaxed loads. */
struct iso_server_counters {
	_Atomic uint64_t accepted, refused, handshakes_failed, requests;
	_Atomic uint64_t cut[ISO_CUT_COUNT];
	_Atomic uint32_t connections, streams;
};

struct iso_server {
	struct iso_loop *loop;
	struct iso_handler *handler;
	struct iso_cfg_limits limits;
	struct iso_list conns;
	struct iso_list listeners;
	struct iso_list proxied; /* connections whose PROXY header has not come yet */
	struct iso_server_counters counters;
	struct iso_sketch *clients; /* connections by client, shared by all servers; NULL: not limited */
	void (*drained)(struct iso_server *server); /* once, after drain, when the last connection has gone;
						       may be NULL */
	bool draining, drained_told, held;
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
/* Stops accepting at addresses that are none of these; connections go on. */
void iso_server_retain(struct iso_server *server, const struct iso_cfg_listener *listeners, uint32_t n);
/* Before the first listen: nobody is accepted until the server is let go. */
void iso_server_hold(struct iso_server *server);
void iso_server_let_go(struct iso_server *server);
/* Stops accepting; GOAWAY and Connection: close; connections end as their exchanges do. */
void iso_server_drain(struct iso_server *server);

#endif
