/*
 * One downstream connection and the seam to its codec. Thread: its loop.
 *
 * Closed at once, freed from the run queue: a codec on the stack never loses its memory (see `closed`).
 */
#ifndef ISO_SERVER_CONN_PRIV_H
#define ISO_SERVER_CONN_PRIV_H

#include "iso/server/server.h"

struct iso_sconn;

/* One writer: the server's loop. */
#define ISO_COUNT(server, member, delta)                                                                     \
	atomic_store_explicit(&(server)->counters.member,                                                    \
			      atomic_load_explicit(&(server)->counters.member, memory_order_relaxed) +       \
				      (delta),                                                               \
			      memory_order_relaxed)

struct iso_server_listener {
	struct iso_listener l;
	struct iso_server *server;
	struct iso_list link;
	struct iso_sockaddr addr;
	struct iso_tls_server *tls;           /* NULL: in clear */
	struct iso_cidr_set *proxy_protocol;  /* peers that begin with a PROXY header; NULL: nobody */
	struct iso_cidr_set *trusted_proxies; /* peers that are believed about their clients; NULL: nobody */
	bool h2, http11;
};

struct iso_codec_ops {
	/* ISO_OK or ISO_ENOMEM. */
	int (*init)(struct iso_sconn *c);
	size_t (*input)(struct iso_sconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n);
	void (*fill)(struct iso_sconn *c);
	/* No request has run for a second: give back what only a running one needs. May be NULL. */
	void (*idle)(struct iso_sconn *c);
	/* What the requests that began by then wait for now: ISO_WAITS_FOR_… */
	unsigned int (*waits_for_client)(struct iso_sconn *c, uint64_t by_us);
	/* The connection is cut: say so to the client if it can still be said, end every stream. */
	void (*cut)(struct iso_sconn *c, enum iso_cut cut);
	/* The client ended its direction; again and again if it has a tunnel and TLS did not end in order. */
	void (*eof)(struct iso_sconn *c);
	/* Called once by the connection's timer or a drain: finish what runs, take nothing new. */
	void (*drain)(struct iso_sconn *c);
	/* Tells every open stream's handler that it is over, and frees. */
	void (*done)(struct iso_sconn *c);
};

extern const struct iso_codec_ops iso_h1_server_ops;
extern const struct iso_codec_ops iso_h2_server_ops;

/* What may wait for a client, and so must not wait too long. */
enum { ISO_WAITS_FOR_BODY = 1, ISO_WAITS_FOR_READER = 2 };

/* Bytes in a window that begins when something first waits and ends when nothing does. */
struct iso_rate {
	uint64_t since_us, bytes; /* since_us 0: nothing waits */
};

enum iso_sconn_phase {
	ISO_SCONN_HANDSHAKE,
	ISO_SCONN_SNIFF,
	ISO_SCONN_OPEN,
	ISO_SCONN_ENDING, /* the codec has last words to write; what comes in is thrown away */
	ISO_SCONN_LINGER, /* they are written; the client may take them */
};

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
	struct iso_cidr_set *trusted;      /* the peer is among these, and so believed; NULL: it is not */
	struct iso_sockaddr peer;
	char peer_text[64];      /* every request asks for it */
	uint64_t input_us;       /* loop time of the last input */
	uint64_t idle_since_us;  /* 0: a request is running */
	uint64_t head_since_us;  /* when the head that is coming in began; 0: none is */
	uint64_t body_bytes;     /* of request bodies, ever */
	uint64_t content_bytes;  /* of answers, over h2 their heads too, ever: handed to the transport */
	struct iso_rate in, out; /* of request bodies, of answers */
	uint32_t streams;
	uint8_t phase;
	uint8_t first[3], sniffed; /* bytes held while the protocol is guessed */
	uint8_t inputs;            /* turns in which it sent since a request began; at most PROMPT_INPUTS */
	bool postponed;            /* its timer, for what waits to be read */
	bool tls, h2, http11, draining, closed;
	bool counted; /* among its client's connections */
};

/* Takes fd. Beyond a limit it is closed at once, and counted as refused. */
void iso_sconn_open(struct iso_server *server, const struct iso_server_listener *listener, int fd,
		    const struct iso_sockaddr *peer);
/* Takes the connection down now; freed later. */
void iso_sconn_close(struct iso_sconn *c);
/* Tells the owner once that a drain is over, when it is. */
void iso_server_check_drained(struct iso_server *server);
/* Flushes, ends our direction, waits a moment for the client's end, then closes. */
void iso_sconn_finish(struct iso_sconn *c);
/* The codec writes its last frames and then finishes; a client that takes nothing is closed. */
void iso_sconn_end(struct iso_sconn *c);
/* Ends the connection for what the client did, counts it, tells the codec. */
void iso_sconn_cut(struct iso_sconn *c, enum iso_cut cut);
void iso_sconn_count_cut(struct iso_sconn *c, enum iso_cut cut);
/* A head begins to come in, or is whole. */
void iso_sconn_head_began(struct iso_sconn *c);
void iso_sconn_head_ended(struct iso_sconn *c);
/* Streams open or end: idleness, counters. */
void iso_sconn_stream_began(struct iso_sconn *c);
void iso_sconn_stream_ended(struct iso_sconn *c);
/* A drain finds it idle: it ends after a while, unless a request comes that was on its way. */
void iso_sconn_idle_out(struct iso_sconn *c);
/* What a handler is told about the request; the codec adds arena, response and end. */
void iso_sconn_describe(const struct iso_sconn *c, struct iso_head *head, struct iso_request *ret_request);

#endif
