/*
 * One downstream connection and the seam to its codec. Thread: its loop.
 *
 * Closed at once, freed from the run queue: a codec on the stack never loses its memory (see `closed`).
 */
#ifndef ISO_SERVER_CONN_PRIV_H
#define ISO_SERVER_CONN_PRIV_H

#include "iso/server/server.h"

struct iso_sconn;

struct iso_codec_ops {
	/* ISO_OK or ISO_ENOMEM. */
	int (*init)(struct iso_sconn *c);
	size_t (*input)(struct iso_sconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n);
	void (*fill)(struct iso_sconn *c);
	/* No request has run for a second: give back what only a running one needs. May be NULL. */
	void (*idle)(struct iso_sconn *c);
	/* The client ended its direction. */
	void (*eof)(struct iso_sconn *c);
	/* Called once by the connection's timer or a drain: finish what runs, take nothing new. */
	void (*drain)(struct iso_sconn *c);
	/* Tells every open stream's handler that it is over, and frees. */
	void (*done)(struct iso_sconn *c);
};

extern const struct iso_codec_ops iso_h1_server_ops;
extern const struct iso_codec_ops iso_h2_server_ops;

enum iso_sconn_phase { ISO_SCONN_HANDSHAKE, ISO_SCONN_SNIFF, ISO_SCONN_OPEN, ISO_SCONN_LINGER };

struct iso_sconn {
	struct iso_transport t;
	struct iso_server *server;
	const struct iso_codec_ops *ops; /* NULL until the protocol is known */
	void *codec;
	struct iso_list link;
	struct iso_timer timer; /* handshake, idle, lingering: by phase */
	struct iso_task free_task;
	struct iso_tls_server *tls_server; /* one reference: its callbacks run during the handshake; NULL: in
					      clear */
	struct iso_sockaddr peer, local;
	uint64_t idle_since_us; /* 0: a request is running */
	uint32_t streams;
	uint8_t phase;
	uint8_t first[3], sniffed; /* bytes held while the protocol is guessed */
	bool tls, h2, http11, draining, closed;
};

/* Takes the connection down now; freed later. */
void iso_sconn_close(struct iso_sconn *c);
/* Flushes, ends our direction, waits a moment for the client's end, then closes. */
void iso_sconn_finish(struct iso_sconn *c);
/* Streams open or end: idleness, counters. */
void iso_sconn_stream_began(struct iso_sconn *c);
void iso_sconn_stream_ended(struct iso_sconn *c);
/* What a handler is told about the request; the codec adds arena, head, response and end. */
void iso_sconn_describe(const struct iso_sconn *c, struct iso_request *ret_request);

#endif
