/*
 * See h1_stream_priv.h. Thread: the connection's loop.
 */
#include "h1_stream_priv.h"

#include <stdlib.h>

#include "iso/http/h1_write.h"
#include "iso/http/websocket.h"

enum {
	DATA_MAX = ISO_CHUNK_BYTES,
	HEAD_USUAL = 16 * 1024, /* no allocation up to here */
};

static struct iso_h1_stream *h1_of(struct iso_sink *sink)
{
	return ISO_CONTAINER(sink, struct iso_h1_stream, sink);
}

void iso_h1_stream_let_go(struct iso_h1_stream *h1, enum iso_reset why)
{
	struct iso_sink *request = h1->request;

	h1->request = NULL;
	h1->unconsumed = 0;
	if (request != NULL)
		request->ops->reset(request, why);
}

void iso_h1_stream_end(struct iso_h1_stream *h1, enum iso_reset why)
{
	if (!h1->running)
		return;
	h1->running = false;
	iso_h1_stream_let_go(h1, why);
	iso_buf_done(&h1->out);
	iso_arena_done(&h1->arena);
	iso_sconn_stream_ended(h1->c);
}

void iso_h1_stream_begin(struct iso_h1_stream *h1)
{
	h1->running = true;
	h1->fresh = false;
	h1->answered = h1->chunked = h1->no_body = h1->out_end = h1->request_end = false;
	h1->wants_tunnel = h1->tunnelling = h1->client_ended = h1->settled = h1->expects = false;
	h1->stuck = h1->unsaid = false;
	h1->unconsumed = h1->left_over = 0;
	h1->received = 0;
	h1->began_us = h1->c->server->loop->now_us;
	h1->head_len = 0;
	h1->trailers_out = NULL;
	h1->keep_alive = true;
	iso_sconn_stream_began(h1->c);
}

static int append_head(struct iso_h1_stream *h1, const char *bytes, size_t n)
{
	int err = iso_buf_append_copy(&h1->out, &h1->c->server->loop->chunks, bytes, n);

	if (err == ISO_OK)
		h1->head_len += n;
	iso_transport_dirty(&h1->c->t);
	return err;
}

static int put_large_head(struct iso_h1_stream *h1, const struct iso_head *head, bool chunked, bool close)
{
	char *bytes = malloc(ISO_H1_HEAD_MAX);
	size_t n;
	int err;

	if (bytes == NULL)
		return ISO_ENOMEM;
	err = iso_h1_write_head(head, chunked, close, bytes, ISO_H1_HEAD_MAX, &n);
	if (err == ISO_OK)
		err = append_head(h1, bytes, n);
	free(bytes);
	return err;
}

/*
 * Serialises a head into `out`. Neither of the loop's large buffers is free here: the scratch may be in use
 * for the input that a handler's callback comes from.
 */
static int put_head(struct iso_h1_stream *h1, const struct iso_head *head, bool chunked, bool close)
{
	char bytes[HEAD_USUAL];
	size_t n;
	int err = iso_h1_write_head(head, chunked, close, bytes, sizeof(bytes), &n);

	if (err == ISO_ELIMIT)
		return put_large_head(h1, head, chunked, close);
	return err == ISO_OK ? append_head(h1, bytes, n) : err;
}

/*
 * The answer cannot go on. The connection is not ended from here, where the handler is on the stack, which
 * would lose its memory.
 */
static void give_up(struct iso_h1_stream *h1)
{
	h1->stuck = true;
	iso_loop_post(h1->c->server->loop, &h1->broken);
}

/* A head that is too large or cannot be written in HTTP/1.1; or there is no memory. */
static void head_failed(struct iso_h1_stream *h1, int err)
{
	h1->unsaid = err != ISO_ENOMEM;
	give_up(h1);
}

/* What the client had to say through the tunnel is said; the answer goes on. */
static void end_request(struct iso_h1_stream *h1)
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
	struct iso_h1_stream *h1 = ISO_CONTAINER(task, struct iso_h1_stream, end);

	if (!h1->running || !h1->tunnelling)
		return;
	if (h1->client_ended && !h1->request_end)
		end_request(h1);
	if (h1->request_end && h1->settled && h1->out_end && h1->out.bytes == 0) {
		iso_h1_stream_end(h1, ISO_RESET_NONE);
		iso_sconn_finish(h1->c);
	}
}

/* 101, and from here on bytes. */
static int open_tunnel(struct iso_h1_stream *h1, const struct iso_head *head, bool end)
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
	if (err != ISO_OK)
		return err;
	h1->wants_tunnel = h1->keep_alive = false;
	h1->tunnelling = true;
	h1->out_end = end;
	h1->c->t.bare_fin = true; /* frames tell where they end: a lost close_notify hides nothing */
	if (h1->client_ended)     /* not from here: the handler is on the stack */
		iso_loop_post(h1->c->server->loop, &h1->end);
	iso_transport_resume(&h1->c->t);
	return ISO_OK;
}

/*
 * Whether the next request can come on this connection: what is left of this one is small or, chunked, may
 * be. A client that waits for a 100 may never send it (RFC 9110 section 10.1.1).
 */
static bool can_go_on(const struct iso_h1_stream *h1)
{
	if (h1->request_end)
		return true;
	if (h1->expects && h1->received == 0)
		return false;
	return h1->head.content_length < 0 ||
	       (uint64_t)h1->head.content_length - h1->received <= ISO_H1_LEFT_OVER_MAX;
}

static void sink_head(struct iso_sink *to, const struct iso_head *head, bool end)
{
	struct iso_h1_stream *h1 = h1_of(to);
	bool final = head->status >= 200;
	struct iso_head with_keep_alive;
	int err;

	if (!h1->running || h1->answered || h1->stuck)
		return;
	if (!final) {
		/* HTTP/1.0 knows none: RFC 9110 section 15.2. */
		err = h1->head.version == ISO_HTTP_11 ? put_head(h1, head, false, false) : ISO_OK;
		if (err == ISO_ENOMEM) /* one that cannot be written is left out: the final one counts */
			head_failed(h1, err);
		return;
	}
	h1->answered = true;
	if (head->tunnel && h1->wants_tunnel) {
		err = open_tunnel(h1, head, end);
		if (err != ISO_OK)
			head_failed(h1, err);
		return;
	}
	/* Refused: the request is over, and the next one may come. */
	h1->request_end |= h1->wants_tunnel;
	h1->wants_tunnel = false;
	h1->no_body = !iso_status_has_body(head->status, h1->head.method_id);
	h1->chunked = !end && !h1->no_body && head->content_length < 0 && h1->head.version == ISO_HTTP_11;
	if (!end && !h1->no_body && head->content_length < 0 && !h1->chunked)
		h1->keep_alive = false; /* the content ends with the connection */
	if (h1->c->draining || !can_go_on(h1))
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
		head_failed(h1, err);
}

static void sink_data(struct iso_sink *to, struct iso_buf *data, bool end)
{
	struct iso_h1_stream *h1 = h1_of(to);

	if (!h1->running || h1->stuck)
		return;
	h1->out_end = h1->out_end || end;
	if (h1->no_body) {
		size_t n = data->bytes;

		iso_buf_done(data);
		if (n > 0 && h1->request != NULL)
			h1->request->ops->writable(h1->request, n);
	} else if (iso_buf_move(&h1->out, data) != ISO_OK) {
		give_up(h1);
		return;
	}
	iso_transport_dirty(&h1->c->t);
}

static void sink_trailers(struct iso_sink *to, const struct iso_fields *trailers)
{
	struct iso_h1_stream *h1 = h1_of(to);

	if (!h1->running || h1->stuck)
		return;
	h1->trailers_out = trailers;
	h1->out_end = true;
	iso_transport_dirty(&h1->c->t);
}

static void sink_writable(struct iso_sink *to, size_t freed)
{
	struct iso_h1_stream *h1 = h1_of(to);

	if (!h1->running)
		return;
	h1->unconsumed -= freed < h1->unconsumed ? freed : h1->unconsumed;
	if (h1->unconsumed <= ISO_H1_UNCONSUMED_MAX / 2)
		iso_transport_resume(&h1->c->t);
}

static void run_broken(struct iso_task *task)
{
	struct iso_h1_stream *h1 = ISO_CONTAINER(task, struct iso_h1_stream, broken);

	if (h1->c->closed)
		return;
	if (!h1->running || !h1->unsaid) {
		iso_sconn_close(h1->c);
		return;
	}
	iso_h1_stream_let_go(h1, ISO_RESET_INTERNAL);
	h1->answered = h1->stuck = h1->unsaid = false;
	iso_h1_stream_answer(h1, 502);
}

/* Nothing but the end of the connection tells an HTTP/1.1 client that an answer is broken. */
static void sink_reset(struct iso_sink *to, enum iso_reset why)
{
	struct iso_h1_stream *h1 = h1_of(to);

	h1->settled = why == ISO_RESET_NONE;
	if (h1->running)
		iso_loop_post(h1->c->server->loop, h1->settled ? &h1->end : &h1->broken);
}

static const struct iso_sink_ops sink_ops = {
	.head = sink_head,
	.data = sink_data,
	.trailers = sink_trailers,
	.writable = sink_writable,
	.reset = sink_reset,
};

void iso_h1_stream_init(struct iso_h1_stream *h1, struct iso_sconn *c)
{
	h1->sink.ops = &sink_ops;
	h1->c = c;
	iso_task_init(&h1->broken, run_broken);
	iso_task_init(&h1->end, run_end);
}

void iso_h1_stream_answer(struct iso_h1_stream *h1, uint16_t status)
{
	struct iso_head head = { .version = ISO_HTTP_11, .status = status, .content_length = 0 };

	h1->keep_alive = false;
	sink_head(&h1->sink, &head, true);
}

/* Heads first, then content: acknowledges what of a piece is content. */
static void acknowledge(struct iso_h1_stream *h1, size_t n)
{
	size_t of_head = h1->head_len < n ? (size_t)h1->head_len : n;

	h1->head_len -= of_head;
	h1->c->content_bytes += n - of_head;
	if (n > of_head && h1->request != NULL)
		h1->request->ops->writable(h1->request, n - of_head);
}

int iso_h1_stream_write(struct iso_h1_stream *h1)
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
