/*
 * The HTTP/1.1 codec of a downstream connection: keep-alive and pipelining, one exchange at a time.
 * Thread: the connection's loop. The next request is parsed only when the present one is over on both sides.
 */
#include <stdlib.h>

#include "h1_stream_priv.h"
#include "iso/http/h1_write.h"
#include "iso/http/websocket.h"

enum {
	ARENA_MAX = 512 * 1024,
	COPY_BELOW = 1024,
};

static void await_request(struct iso_h1_stream *h1)
{
	iso_arena_init(&h1->arena, &h1->c->server->loop->arenas, ARENA_MAX);
	iso_h1_parser_begin(&h1->parser, &h1->arena, ISO_METHOD_OTHER);
	h1->fresh = true;
}

static void on_head(struct iso_h1_parser *p, struct iso_head *head)
{
	struct iso_h1_stream *h1 = ISO_CONTAINER(p, struct iso_h1_stream, parser);
	struct iso_server *server = h1->c->server;
	struct iso_request request;

	iso_h1_stream_begin(h1);
	iso_sconn_head_ended(h1->c);
	h1->keep_alive = p->keep_alive && !h1->c->draining;
	h1->head = *head;
	h1->head.scheme = h1->c->tls ? ISO_SLICE("https") : ISO_SLICE("http");
	h1->wants_tunnel = iso_websocket_take_request(&h1->head, &h1->key);
	h1->request_end = !p->chunked && head->content_length <= 0 && !h1->wants_tunnel;
	h1->expects = !h1->request_end && iso_fields_get(&head->fields, ISO_FIELD_EXPECT) != NULL;
	iso_sconn_describe(h1->c, &h1->head, &request);
	request.arena = &h1->arena;
	request.response = &h1->sink;
	request.end = h1->request_end;
	h1->request = server->handler->request(server->handler, &request);
	if (h1->request == NULL)
		iso_h1_stream_answer(h1, 503);
}

static void on_body(struct iso_h1_parser *p, const uint8_t *bytes, size_t n)
{
	struct iso_h1_stream *h1 = ISO_CONTAINER(p, struct iso_h1_stream, parser);
	struct iso_buf piece;
	int err;

	h1->received += n;
	h1->c->body_bytes += n;
	if (h1->request == NULL) {
		h1->left_over += n;
		if (h1->left_over > ISO_H1_LEFT_OVER_MAX)
			iso_sconn_finish(h1->c);
		return;
	}
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
	h1->request->ops->data(h1->request, &piece, false);
	iso_buf_done(&piece);
}

static void on_trailers(struct iso_h1_parser *p, const struct iso_fields *trailers)
{
	struct iso_h1_stream *h1 = ISO_CONTAINER(p, struct iso_h1_stream, parser);

	h1->request_end = true;
	if (h1->request != NULL)
		h1->request->ops->trailers(h1->request, trailers);
}

static void on_complete(struct iso_h1_parser *p)
{
	struct iso_h1_stream *h1 = ISO_CONTAINER(p, struct iso_h1_stream, parser);
	struct iso_buf none;

	if (h1->out_end)
		iso_transport_dirty(&h1->c->t); /* the answer was whole before, and its end waits for this */
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

static int h1_init(struct iso_sconn *c)
{
	struct iso_h1_limits limits = { c->server->limits.header_bytes, c->server->limits.header_count };
	struct iso_h1_stream *h1 = calloc(1, sizeof(*h1));

	if (h1 == NULL)
		return ISO_ENOMEM;
	iso_h1_stream_init(h1, c);
	iso_h1_parser_init(&h1->parser, false, &parser_ops, &limits);
	c->codec = h1;
	await_request(h1);
	return ISO_OK;
}

/* The request cannot be had: an answer without a handler, and the end. */
static void refuse_with(struct iso_h1_stream *h1, uint16_t status)
{
	if (!h1->running) {
		iso_h1_stream_begin(h1);
		h1->head.method_id = ISO_METHOD_OTHER;
		h1->head.version = ISO_HTTP_11;
	}
	iso_sconn_head_ended(h1->c);
	h1->request_end = true;
	iso_h1_stream_answer(h1, status);
}

static size_t h1_input(struct iso_sconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	struct iso_h1_stream *h1 = c->codec;
	size_t used = 0;
	int err;

	if (h1->running && (h1->request_end || h1->wants_tunnel || h1->unconsumed > ISO_H1_UNCONSUMED_MAX))
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
		iso_h1_stream_let_go(h1, ISO_RESET_PROTOCOL);
	}
	refuse_with(h1, err == ISO_ENOMEM ? 503 : h1->parser.status);
	return n;
}

static void h1_fill(struct iso_sconn *c)
{
	struct iso_h1_stream *h1 = c->codec;
	int err;

	if (!h1->running || h1->stuck)
		return;
	err = iso_h1_stream_write(h1);
	if (err != ISO_OK || c->closed || !h1->running)
		return; /* the transport reports its failure */
	if (!h1->out_end || h1->out.bytes > 0)
		return;
	if (h1->chunked) {
		char *last = (char *)c->t.loop->scratch; /* free during a flush */
		size_t n;

		if (iso_h1_write_last_chunk(h1->trailers_out, last, ISO_H1_HEAD_MAX, &n) != ISO_OK ||
		    iso_transport_write(&c->t, last, n) != ISO_OK) {
			iso_sconn_close(c);
			return;
		}
		h1->chunked = false; /* said once, however long the request's own end takes */
	}
	if (h1->tunnelling) {
		iso_transport_end(&c->t); /* the client's direction may go on */
		iso_loop_post(c->server->loop, &h1->end);
		return;
	}
	if (!h1->request_end && h1->keep_alive) {
		iso_h1_stream_let_go(h1, ISO_RESET_NONE); /* answered early: the rest is for nobody */
		iso_transport_resume(&c->t);
		return;
	}
	iso_h1_stream_end(h1, ISO_RESET_NONE);
	if (!h1->keep_alive) {
		iso_sconn_finish(c);
		return;
	}
	await_request(h1);
	if (c->draining) /* only since the answer's head, which did not say so */
		iso_sconn_idle_out(c);
	/* A pipelined request may wait in the transport. */
	iso_transport_resume(&c->t);
}

static unsigned int h1_waits_for_client(struct iso_sconn *c, uint64_t by_us)
{
	const struct iso_h1_stream *h1 = c->codec;
	unsigned int waits = 0;

	if (!h1->running || h1->began_us > by_us)
		return 0;
	/* A region that does not take the body holds it up itself; after the answer's head both may take
	 * their time, until it is whole. */
	if (!h1->request_end && (!h1->answered || h1->request == NULL) &&
	    h1->unconsumed <= ISO_H1_UNCONSUMED_MAX / 2)
		waits |= ISO_WAITS_FOR_BODY;
	if (h1->out.bytes > 0)
		waits |= ISO_WAITS_FOR_READER;
	return waits;
}

/* The content or the rest of the head never came: 408, if nothing has been answered yet. */
static void h1_cut(struct iso_sconn *c, enum iso_cut cut)
{
	struct iso_h1_stream *h1 = c->codec;

	if (cut == ISO_CUT_READ_RATE || (h1->running && h1->answered) ||
	    (!h1->running && !iso_h1_parser_begun(&h1->parser))) {
		iso_sconn_close(c);
		return;
	}
	iso_h1_stream_let_go(h1, ISO_RESET_TIMEOUT);
	refuse_with(h1, 408);
}

static void h1_eof(struct iso_sconn *c)
{
	struct iso_h1_stream *h1 = c->codec;

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
	struct iso_h1_stream *h1 = c->codec;

	/* A request may be on its way already: it is answered, and told to close. */
	if (!h1->running && !iso_h1_parser_begun(&h1->parser))
		iso_sconn_idle_out(c);
}

static void run_free(struct iso_task *task)
{
	free(ISO_CONTAINER(task, struct iso_h1_stream, free_task));
}

static void h1_done(struct iso_sconn *c)
{
	struct iso_h1_stream *h1 = c->codec;

	if (h1 == NULL)
		return;
	c->codec = NULL;
	iso_task_cancel(&h1->broken);
	iso_task_cancel(&h1->end);
	if (h1->running)
		iso_h1_stream_end(h1,
				  h1->out_end && h1->out.bytes == 0 ? ISO_RESET_NONE : ISO_RESET_CONNECTION);
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
