/*
 * The one request of an HTTP/1.1 connection that runs, from its head to the end of its answer or tunnel.
 * Thread: the connection's loop.
 */
#ifndef ISO_SERVER_H1_STREAM_PRIV_H
#define ISO_SERVER_H1_STREAM_PRIV_H

#include "conn_priv.h"
#include "iso/http/h1_parse.h"

enum {
	ISO_H1_UNCONSUMED_MAX = 256 * 1024, /* request content the handler may hold before we stop reading */
	/* Of a request that was answered early so much is read and thrown away, to keep its connection. */
	ISO_H1_LEFT_OVER_MAX = 256 * 1024,
	/* Of a head or of trailers that are written: twice what a region may send, for what is added here. */
	ISO_H1_HEAD_MAX = 128 * 1024,
};

/* The connection's, used again for each request. */
struct iso_h1_stream {
	struct iso_sink sink; /* the response comes in here */
	struct iso_h1_parser parser;
	struct iso_sconn *c;
	struct iso_arena arena;
	struct iso_sink *request; /* the handler's; NULL: none */
	struct iso_chunk *chunk;  /* of the running input */
	struct iso_head head;     /* the request's, while it runs */
	struct iso_buf out;       /* serialised heads and content */
	struct iso_task broken;   /* the answer cannot go on */
	struct iso_task end;      /* one of a tunnel's directions has come to its end */
	struct iso_task free_task;
	const struct iso_fields *trailers_out;
	size_t unconsumed;    /* request content that the handler has not freed */
	size_t left_over;     /* request content that came after the whole answer */
	uint64_t received;    /* request content in all */
	uint64_t began_us;    /* when its head was whole */
	uint64_t head_len;    /* of out's front: bytes of heads that are not content */
	struct iso_slice key; /* of the WebSocket that the client asks for */
	bool wants_tunnel;    /* … until it has its answer */
	bool tunnelling;
	bool client_ended; /* its direction */
	bool settled;      /* the handler has seen both ends of the tunnel */
	bool stuck;        /* nothing more is taken or written: `broken` ends it */
	bool unsaid;       /* and the head did not fit into HTTP/1.1: the client gets 502 in its place */
	bool expects;      /* 100-continue: may hold its content back until then */
	bool running, answered, chunked, no_body, out_end, request_end, keep_alive, fresh;
};

/* Once for a connection. */
void iso_h1_stream_init(struct iso_h1_stream *h1, struct iso_sconn *c);
/* A head has come in, or an answer is to be made without one. */
void iso_h1_stream_begin(struct iso_h1_stream *h1);
/* An answer of the codec's own, after which the connection ends. */
void iso_h1_stream_answer(struct iso_h1_stream *h1, uint16_t status);
/* Writes as much of the answer as the transport has room for; ISO_OK or its failure. */
ISO_MUST_USE int iso_h1_stream_write(struct iso_h1_stream *h1);
/* The handler goes: it has nothing more to say, or is not to hear any more. */
void iso_h1_stream_let_go(struct iso_h1_stream *h1, enum iso_reset why);
/* Both messages are over, or the connection is. */
void iso_h1_stream_end(struct iso_h1_stream *h1, enum iso_reset why);

#endif
