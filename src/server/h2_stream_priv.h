/*
 * One HTTP/2 stream: a request on its way to a handler, and the response on its way out. Thread: its loop.
 * The stream lives in its own arena, and so does what the handler makes for it.
 */
#ifndef ISO_SERVER_H2_STREAM_PRIV_H
#define ISO_SERVER_H2_STREAM_PRIV_H

#include <nghttp2/nghttp2.h>

#include "conn_priv.h"
#include "h2_guard_priv.h"
#include "iso/http/h2_mem.h"
#include "iso/http/h2_window.h"

struct iso_h2_conn {
	nghttp2_session *session;
	struct iso_h2_mem mem;
	struct iso_h2_guard guard;
	struct iso_h2_window window;
	enum iso_cut cut;     /* what a callback has found, until the session has been left */
	uint32_t goaway_code; /* that goes with it */
	bool greeted;         /* the client's first frame has come whole */
	bool in_head;         /* a header block has begun and not ended */
	struct iso_list streams;
	struct iso_chunk *chunk; /* of the running input */
	const uint8_t *chunk_at; /* where that input begins */
	struct iso_timer goaway_timer;
	struct iso_task free_task;
	struct iso_sconn *conn; /* set while draining */
};

struct iso_h2_stream {
	struct iso_sink sink;   /* the response comes in here */
	struct iso_arena arena; /* holds this stream too */
	struct iso_sconn *c;
	struct iso_list link;
	struct iso_sink *request; /* the handler's; NULL: none (refused, or over) */
	struct iso_head head;
	struct iso_fields trailers_in;
	const struct iso_fields *trailers_out;
	struct iso_buf out;
	uint64_t began_us;     /* when its head began */
	uint64_t header_bytes; /* decoded, also of those that are not kept */
	size_t unconsumed; /* of its body, given to the handler and not come back: the connection's window is
			      smaller by it */
	int32_t id;
	bool head_done, request_end, out_end, deferred, too_large, answered, over;
	bool tunnel;  /* open: its directions end one by one */
	bool settled; /* the handler has seen both */
	struct iso_task end;
};

/* NULL: no memory. */
struct iso_h2_stream *iso_h2_stream_new(struct iso_sconn *c, int32_t id);
ISO_MUST_USE int iso_h2_stream_header(struct iso_h2_stream *s, struct iso_slice name, struct iso_slice value,
				      uint8_t flags);
/* Whether its fields have decoded to so much more than is allowed that the rest is not decoded. */
bool iso_h2_stream_is_bomb(const struct iso_h2_stream *s);
/*
 * ISO_WAITS_FOR_…: a body that the client could send (less than `unread_max` bytes of it wait for the region,
 * and no answer has begun), an answer that it could take. gRPC streams may be silent for long.
 */
unsigned int iso_h2_stream_waits(const struct iso_h2_stream *s, int32_t unread_max);
void iso_h2_stream_request(struct iso_h2_stream *s, bool end);
ISO_MUST_USE int iso_h2_stream_body(struct iso_h2_stream *s, struct iso_chunk *chunk, const uint8_t *input_at,
				    const uint8_t *data, size_t len);
void iso_h2_stream_body_end(struct iso_h2_stream *s);
void iso_h2_stream_trailers(struct iso_h2_stream *s);
/* Writes one DATA frame. */
ISO_MUST_USE int iso_h2_stream_send(struct iso_h2_stream *s, const uint8_t *header, size_t length);
/* nghttp2 has closed it; frees. */
void iso_h2_stream_closed(struct iso_h2_stream *s, uint32_t error_code);
/* The connection is gone; frees. */
void iso_h2_stream_lost(struct iso_h2_stream *s);

#endif
