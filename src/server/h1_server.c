/*
 * The HTTP/1.1 codec of a downstream connection: keep-alive and pipelining, one exchange at a time.
 * Thread: the connection's loop. The next request is parsed only when the present one is over on both sides.
 */
#include <stdlib.h>

#include "conn_priv.h"
#include "iso/http/h1_parse.h"
#include "iso/http/h1_write.h"
#include "iso/http/websocket.h"

enum {
	ARENA_MAX = 512 * 1024,
	COPY_BELOW = 1024,
	UNCONSUMED_MAX = 256 * 1024, /* request bytes the handler may hold before we stop reading */
	HEAD_MAX = 64 * 1024,
	DATA_MAX = ISO_CHUNK_BYTES,
};

/* The one request of a connection that is running. */
struct h1 {
	struct iso_sink sink; /* the response comes in here */
	struct iso_h1_parser parser;
	struct iso_sconn *c;
	struct iso_arena arena;
	struct iso_sink *request; /* the handler's; NULL: none */
	struct iso_chunk *chunk;  /* of the running input */
	struct iso_head head;     /* the request's, while it runs */
	struct iso_buf out;       /* serialised heads and content */
	struct iso_task next;     /* the next pipelined request */
	struct iso_task end;      /* one of a tunnel's directions has come to its end */
	struct iso_task free_task;
	const struct iso_fields *trailers_out;
	size_t unconsumed;    /* request content that the handler has not freed */
	uint64_t head_len;    /* of out's front: bytes of heads that are not content */
	struct iso_slice key; /* of the WebSocket that the client asks for */
	bool wants_tunnel;    /* … until it has its answer */
	bool tunnelling;
	bool client_ended; /* its direction */
	bool settled;      /* the handler has seen both ends of the tunnel */
	bool running, answered, chunked, no_body, out_end, request_end, keep_alive, fresh;
};

static struct h1 *h1_of(struct iso_sink *sink)
{
	return ISO_CONTAINER(sink, struct h1, sink);
}

static void begin(struct h1 *h1)
{
	iso_arena_init(&h1->arena, &h1->c->server->loop->arenas, ARENA_MAX);
	iso_h1_parser_begin(&h1->parser, &h1->arena, ISO_METHOD_OTHER);
	h1->fresh = true;
}

/* Both messages are over, or the connection is: the handler goes. */
static void end_exchange(struct h1 *h1, enum iso_reset why)
{
	struct iso_sink *request = h1->request;

	if (!h1->running)
		return;
	h1->running = false;
	h1->request = NULL;
	if (request != NULL)
		request->ops->reset(request, why);
	iso_buf_done(&h1->out);
	iso_arena_done(&h1->arena);
	iso_sconn_stream_ended(h1->c);
}

static void start_running(struct h1 *h1)
{
	h1->running = true;
	h1->fresh = false;
	h1->answered = h1->chunked = h1->no_body = h1->out_end = h1->request_end = false;
	h1->wants_tunnel = h1->tunnelling = h1->client_ended = h1->settled = false;
	h1->unconsumed = 0;
	h1->head_len = 0;
	h1->trailers_out = NULL;
	h1->keep_alive = true;
	iso_sconn_stream_began(h1->c);
}

static void sink_head(struct iso_sink *to, const struct iso_head *head, bool end);

/* An answer of the codec's own, after which the connection ends. */
static void answer(struct h1 *h1, uint16_t status)
{
	struct iso_head head = { .version = ISO_HTTP_11, .status = status, .content_length = 0 };

	h1->keep_alive = false;
	sink_head(&h1->sink, &head, true);
}

static void on_head(struct iso_h1_parser *p, struct iso_head *head)
{
	struct h1 *h1 = ISO_CONTAINER(p, struct h1, parser);
	struct iso_server *server = h1->c->server;
	struct iso_request request;

	start_running(h1);
	iso_sconn_head_ended(h1->c);
	h1->keep_alive = p->keep_alive && !h1->c->draining;
	h1->head = *head;
	h1->head.scheme = h1->c->tls ? ISO_SLICE("https") : ISO_SLICE("http");
	h1->wants_tunnel = iso_websocket_take_request(&h1->head, &h1->key);
	h1->request_end = !p->chunked && head->content_length <= 0 && !h1->wants_tunnel;
	iso_sconn_describe(h1->c, &h1->head, &request);
	request.arena = &h1->arena;
	request.response = &h1->sink;
	request.end = h1->request_end;
	h1->request = server->handler->request(server->handler, &request);
	if (h1->request == NULL)
		answer(h1, 503);
}

static void on_body(struct iso_h1_parser *p, const uint8_t *bytes, size_t n)
{
	struct h1 *h1 = ISO_CONTAINER(p, struct h1, parser);
	struct iso_buf piece;
	int err;

	if (h1->request == NULL)
		return;
	iso_buf_init(&piece);
	if (n < COPY_BELOW)
		err = iso_buf_append_copy(&piece, &h1->c->server->loop->chunks, bytes, n);
	else
		err = iso_buf_append_seg(&piece, h1->chunk, h1->chunk->bytes + (bytes - h1->chunk->bytes),
					 (uint32_t)n, 0);
	if (err != ISO_OK) {
		iso_sconn_close(h1->c);
		return;
	}
	h1->unconsumed += n;
	h1->c->body_bytes += n;
	h1->request->ops->data(h1->request, &piece, false);
	iso_buf_done(&piece);
}

static void on_trailers(struct iso_h1_parser *p, const struct iso_fields *trailers)
{
	struct h1 *h1 = ISO_CONTAINER(p, struct h1, parser);

	h1->request_end = true;
	if (h1->request != NULL)
		h1->request->ops->trailers(h1->request, trailers);
}

static void on_complete(struct iso_h1_parser *p)
{
	struct h1 *h1 = ISO_CONTAINER(p, struct h1, parser);
	struct iso_buf none;

	if (h1->request_end || h1->wants_tunnel)
		return;
	h1->request_end = true;
	iso_buf_init(&none);
	if (h1->request != NULL)
		h1->request->ops->data(h1->request, &none, true);
}

static const struct iso_h1_ops parser_ops = {
	.head = on_head,
	.body = on_body,
	.trailers = on_trailers,
	.complete = on_complete,
};

/* Serialises a head into `out`. */
static int put_head(struct h1 *h1, const struct iso_head *head, bool chunked, bool close)
{
	struct iso_loop *loop = h1->c->server->loop;
	/* The stage is free outside a flush; a head comes from a handler's callback, never from a fill of
	 * ours. */
	char bytes[16 * 1024];
	size_t n;
	int err = iso_h1_write_head(head, chunked, close, bytes, sizeof(bytes), &n);

	if (err == ISO_OK)
		err = iso_buf_append_copy(&h1->out, &loop->chunks, bytes, n);
	if (err == ISO_OK)
		h1->head_len += n;
	iso_transport_dirty(&h1->c->t);
	return err;
}

/* What the client had to say through the tunnel is said; the answer goes on. */
static void end_request(struct h1 *h1)
{
	struct iso_buf none;

	h1->request_end = true;
	iso_buf_init(&none);
	if (h1->request != NULL)
		h1->request->ops->data(h1->request, &none, true);
}

/* Both directions of a tunnel are over, here and for the handler. */
static void run_end(struct iso_task *task)
{
	struct h1 *h1 = ISO_CONTAINER(task, struct h1, end);

	if (!h1->running || !h1->tunnelling)
		return;
	if (h1->client_ended && !h1->request_end)
		end_request(h1);
	if (h1->request_end && h1->settled && h1->out_end && h1->out.bytes == 0) {
		end_exchange(h1, ISO_RESET_NONE);
		iso_sconn_finish(h1->c);
	}
}

/* 101, and from here on bytes. */
static int open_tunnel(struct h1 *h1, const struct iso_head *head, bool end)
{
	struct iso_head switching = *head;
	char *accept = iso_arena_alloc(&h1->arena, ISO_WEBSOCKET_ACCEPT);
	int err;

	if (accept == NULL)
		return ISO_ENOMEM;
	iso_websocket_accept(h1->key, accept);
	switching.status = 101;
	switching.content_length = -1;
	err = iso_websocket_add_fields(&switching.fields, &h1->arena, ISO_SLICE("sec-websocket-accept"),
				       iso_slice(accept, ISO_WEBSOCKET_ACCEPT));
	if (err == ISO_OK)
		err = put_head(h1, &switching, false, false);
	h1->wants_tunnel = h1->keep_alive = false;
	h1->tunnelling = true;
	h1->out_end = end;
	h1->c->t.bare_fin = true; /* frames tell where they end: a lost close_notify hides nothing */
	if (h1->client_ended)     /* not from here: the handler is on the stack */
		iso_loop_post(h1->c->server->loop, &h1->end);
	iso_transport_resume(&h1->c->t);
	return err;
}

static void sink_head(struct iso_sink *to, const struct iso_head *head, bool end)
{
	struct h1 *h1 = h1_of(to);
	bool final = head->status >= 200;
	struct iso_head with_keep_alive;
	int err;

	if (!h1->running || h1->answered)
		return;
	if (!final) {
		if (h1->head.version == ISO_HTTP_11 || h1->head.version == ISO_HTTP_10)
			err = h1->head.version == ISO_HTTP_11 ? put_head(h1, head, false, false) : ISO_OK;
		else
			err = ISO_OK;
		if (err != ISO_OK)
			iso_sconn_close(h1->c);
		return;
	}
	h1->answered = true;
	if (head->tunnel && h1->wants_tunnel) {
		if (open_tunnel(h1, head, end) != ISO_OK)
			iso_sconn_close(h1->c);
		return;
	}
	/* Refused: the request is over, and the next one may come. */
	h1->request_end |= h1->wants_tunnel;
	h1->wants_tunnel = false;
	h1->no_body = !iso_status_has_body(head->status, h1->head.method_id);
	h1->chunked = !end && !h1->no_body && head->content_length < 0 && h1->head.version == ISO_HTTP_11;
	if (!end && !h1->no_body && head->content_length < 0 && !h1->chunked)
		h1->keep_alive = false; /* the content ends with the connection */
	if (h1->c->draining)
		h1->keep_alive = false;
	if (h1->keep_alive && h1->head.version == ISO_HTTP_10) {
		/* RFC 9112 section 9.3: such a client closes unless it is told. */
		with_keep_alive = *head;
		err = iso_fields_add(&with_keep_alive.fields, &h1->arena, ISO_SLICE("connection"),
				     ISO_SLICE("keep-alive"));
		h1->keep_alive = err == ISO_OK;
		head = err == ISO_OK ? &with_keep_alive : head;
	}
	if (end && head->content_length < 0 && !h1->no_body) {
		struct iso_head with_length = *head;

		with_length.content_length = 0;
		err = put_head(h1, &with_length, false, !h1->keep_alive);
	} else {
		err = put_head(h1, head, h1->chunked, !h1->keep_alive);
	}
	h1->out_end = end;
	if (err != ISO_OK)
		iso_sconn_close(h1->c);
}

static void sink_data(struct iso_sink *to, struct iso_buf *data, bool end)
{
	struct h1 *h1 = h1_of(to);

	if (!h1->running)
		return;
	h1->out_end = h1->out_end || end;
	if (h1->no_body) {
		size_t n = data->bytes;

		iso_buf_done(data);
		if (n > 0 && h1->request != NULL)
			h1->request->ops->writable(h1->request, n);
	} else if (iso_buf_move(&h1->out, data) != ISO_OK) {
		iso_sconn_close(h1->c);
		return;
	}
	iso_transport_dirty(&h1->c->t);
}

static void sink_trailers(struct iso_sink *to, const struct iso_fields *trailers)
{
	struct h1 *h1 = h1_of(to);

	if (!h1->running)
		return;
	h1->trailers_out = trailers;
	h1->out_end = true;
	iso_transport_dirty(&h1->c->t);
}

static void sink_writable(struct iso_sink *to, size_t freed)
{
	struct h1 *h1 = h1_of(to);

	if (!h1->running)
		return;
	h1->unconsumed -= freed < h1->unconsumed ? freed : h1->unconsumed;
	if (h1->unconsumed <= UNCONSUMED_MAX / 2)
		iso_transport_resume(&h1->c->t);
}

static void run_next(struct iso_task *task)
{
	struct h1 *h1 = ISO_CONTAINER(task, struct h1, next);

	if (!h1->c->closed)
		iso_sconn_close(h1->c);
}

/* Nothing but the end of the connection tells an HTTP/1.1 client that an answer is broken. */
static void sink_reset(struct iso_sink *to, enum iso_reset why)
{
	struct h1 *h1 = h1_of(to);

	h1->settled = why == ISO_RESET_NONE;
	if (h1->running)
		iso_loop_post(h1->c->server->loop, h1->settled ? &h1->end : &h1->next);
}

static const struct iso_sink_ops sink_ops = {
	.head = sink_head,
	.data = sink_data,
	.trailers = sink_trailers,
	.writable = sink_writable,
	.reset = sink_reset,
};

static int h1_init(struct iso_sconn *c)
{
	struct iso_h1_limits limits = { c->server->limits.header_bytes, c->server->limits.header_count };
	struct h1 *h1 = calloc(1, sizeof(*h1));

	if (h1 == NULL)
		return ISO_ENOMEM;
	h1->sink.ops = &sink_ops;
	h1->c = c;
	iso_task_init(&h1->next, run_next);
	iso_task_init(&h1->end, run_end);
	iso_h1_parser_init(&h1->parser, false, &parser_ops, &limits);
	c->codec = h1;
	begin(h1);
	return ISO_OK;
}

/* The request cannot be had: an answer without a handler, and the end. */
static void refuse_with(struct h1 *h1, uint16_t status)
{
	if (!h1->running) {
		start_running(h1);
		h1->head.method_id = ISO_METHOD_OTHER;
		h1->head.version = ISO_HTTP_11;
	}
	iso_sconn_head_ended(h1->c);
	h1->request_end = true;
	answer(h1, status);
}

static size_t h1_input(struct iso_sconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	struct h1 *h1 = c->codec;
	size_t used = 0;
	int err;

	if (h1->running && (h1->request_end || h1->wants_tunnel || h1->unconsumed > UNCONSUMED_MAX))
		return 0; /* pipelined, or more than the handler can take now: waits */
	h1->chunk = chunk;
	if (h1->tunnelling) {
		on_body(&h1->parser, bytes, n);
		h1->chunk = NULL;
		return n;
	}
	err = iso_h1_parser_feed(&h1->parser, bytes, n, &used);
	h1->chunk = NULL;
	if (!c->closed && err == ISO_OK && !h1->running && iso_h1_parser_begun(&h1->parser))
		iso_sconn_head_began(c);
	if (c->closed || err == ISO_OK)
		return c->closed ? n : used;
	if (h1->running && h1->answered) {
		iso_sconn_close(c); /* its answer is on the way: nothing can be said any more */
		return n;
	}
	if (h1->running) {
		/* The content broke off in a malformed way: the handler goes, the client gets its 400. */
		struct iso_sink *request = h1->request;

		h1->request = NULL;
		if (request != NULL)
			request->ops->reset(request, ISO_RESET_PROTOCOL);
	}
	refuse_with(h1, err == ISO_ENOMEM ? 503 : h1->parser.status);
	return n;
}

/* Heads first, then content: acknowledges what of a piece is content. */
static void acknowledge(struct h1 *h1, size_t n)
{
	size_t of_head = h1->head_len < n ? (size_t)h1->head_len : n;

	h1->head_len -= of_head;
	h1->c->content_bytes += n - of_head;
	if (n > of_head && h1->request != NULL)
		h1->request->ops->writable(h1->request, n - of_head);
}

static int write_out(struct h1 *h1)
{
	struct iso_sconn *c = h1->c;

	while (h1->out.bytes > 0 && iso_transport_room(&c->t) > 0) {
		char header[ISO_H1_CHUNK_HEADER_MAX];
		size_t n = h1->out.bytes < DATA_MAX ? h1->out.bytes : DATA_MAX;
		bool content = h1->head_len == 0;
		size_t header_len;
		int err;

		if (!content && n > h1->head_len)
			n = (size_t)h1->head_len;
		header_len = content && h1->chunked ? iso_h1_write_chunk_header(n, header) : 0;
		err = iso_transport_write_body(&c->t, header, header_len, &h1->out, n);
		if (err == ISO_OK && header_len > 0)
			err = iso_transport_write(&c->t, "\r\n", 2);
		if (err != ISO_OK)
			return err;
		acknowledge(h1, n);
		if (c->closed || !h1->running)
			return ISO_OK;
	}
	return ISO_OK;
}

static void h1_fill(struct iso_sconn *c)
{
	struct h1 *h1 = c->codec;
	int err;

	if (!h1->running)
		return;
	err = write_out(h1);
	if (err != ISO_OK || c->closed || !h1->running)
		return; /* the transport reports its failure */
	if (!h1->out_end || h1->out.bytes > 0)
		return;
	if (h1->chunked) {
		char last[4096];
		size_t n;

		if (iso_h1_write_last_chunk(h1->trailers_out, last, sizeof(last), &n) != ISO_OK ||
		    iso_transport_write(&c->t, last, n) != ISO_OK) {
			iso_sconn_close(c);
			return;
		}
	}
	if (h1->tunnelling) {
		iso_transport_end(&c->t); /* the client's direction may go on */
		iso_loop_post(c->server->loop, &h1->end);
		return;
	}
	if (!h1->request_end)
		h1->keep_alive = false; /* answered early: the rest of the request is not waited for */
	end_exchange(h1, ISO_RESET_NONE);
	if (!h1->keep_alive) {
		iso_sconn_finish(c);
		return;
	}
	begin(h1);
	if (c->draining) /* only since the answer's head, which did not say so */
		iso_sconn_idle_out(c);
	/* A pipelined request may wait in the transport. */
	iso_transport_resume(&c->t);
}

static unsigned int h1_waits_for_client(struct iso_sconn *c)
{
	const struct h1 *h1 = c->codec;
	unsigned int waits = 0;

	/* A region that does not take the body holds it up itself; after the answer's head both may take
	 * their time. */
	if (h1->running && !h1->request_end && !h1->answered && h1->unconsumed <= UNCONSUMED_MAX / 2)
		waits |= ISO_WAITS_FOR_BODY;
	if (h1->running && h1->out.bytes > 0)
		waits |= ISO_WAITS_FOR_READER;
	return waits;
}

/* The content or the rest of the head never came: 408, if nothing has been answered yet. */
static void h1_cut(struct iso_sconn *c, enum iso_cut cut)
{
	struct h1 *h1 = c->codec;
	struct iso_sink *request = h1->request;

	if (cut == ISO_CUT_READ_RATE || (h1->running && h1->answered) ||
	    (!h1->running && !iso_h1_parser_begun(&h1->parser))) {
		iso_sconn_close(c);
		return;
	}
	h1->request = NULL;
	if (request != NULL)
		request->ops->reset(request, ISO_RESET_TIMEOUT);
	refuse_with(h1, 408);
}

static void h1_eof(struct iso_sconn *c)
{
	struct h1 *h1 = c->codec;

	/* A client may end its direction after a whole request and still read the answer (RFC 9112
	 * section 9.6); so it may a tunnel's. */
	if (h1->client_ended && h1->unconsumed == 0) {
		iso_sconn_close(c); /* all that it has said is on its way */
		return;
	}
	h1->client_ended = true;
	h1->keep_alive = false;
	if (h1->running && h1->tunnelling)
		iso_loop_post(c->server->loop, &h1->end);
	else if (!h1->running || (!h1->request_end && !h1->wants_tunnel))
		iso_sconn_close(c);
}

static void h1_drain(struct iso_sconn *c)
{
	struct h1 *h1 = c->codec;

	/* A request may be on its way already: it is answered, and told to close. */
	if (!h1->running && !iso_h1_parser_begun(&h1->parser))
		iso_sconn_idle_out(c);
}

static void run_free(struct iso_task *task)
{
	free(ISO_CONTAINER(task, struct h1, free_task));
}

static void h1_done(struct iso_sconn *c)
{
	struct h1 *h1 = c->codec;

	if (h1 == NULL)
		return;
	c->codec = NULL;
	iso_task_cancel(&h1->next);
	iso_task_cancel(&h1->end);
	if (h1->running)
		end_exchange(h1, h1->out_end && h1->out.bytes == 0 ? ISO_RESET_NONE : ISO_RESET_CONNECTION);
	else if (h1->fresh)
		iso_arena_done(&h1->arena);
	iso_task_init(&h1->free_task, run_free);
	iso_loop_post(c->server->loop, &h1->free_task);
}

const struct iso_codec_ops iso_h1_server_ops = {
	.init = h1_init,
	.input = h1_input,
	.fill = h1_fill,
	.waits_for_client = h1_waits_for_client,
	.cut = h1_cut,
	.eof = h1_eof,
	.drain = h1_drain,
	.done = h1_done,
};
