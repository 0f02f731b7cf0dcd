/*
 * The HTTP/1.1 codec of a connection to a region: one attempt at a time. Thread: the connection's loop.
 */
#include <assert.h>
#include <stdlib.h>

#include "iso/http/h1_parse.h"
#include "iso/http/h1_write.h"
#include "iso/http/hop.h"
#include "iso/http/websocket.h"
#include "uconn_priv.h"

enum {
	HEAD_MAX = 64 * 1024,
	FIELDS_MAX = 200,
	COPY_BELOW = 1024,
	UNCONSUMED_MAX = 256 * 1024, /* response bytes the owner may hold before we stop reading */
	DATA_MAX = ISO_CHUNK_BYTES,
};

struct h1 {
	struct iso_h1_parser parser;
	struct iso_uconn *c;
	struct iso_attempt *a;     /* NULL: idle */
	struct iso_chunk *chunk;   /* of the running input */
	bool chunked;              /* how the request's content goes out */
	bool head_sent, body_sent; /* the request */
	bool reusable, complete;   /* the response */
	bool tunnel, tunnelling;   /* one is asked for; it is open */
	char key[ISO_WEBSOCKET_KEY];
};

static struct h1 *h1_of(const struct iso_uconn *c)
{
	return c->codec;
}

static struct h1 *parser_owner(struct iso_h1_parser *p)
{
	return ISO_CONTAINER(p, struct h1, parser);
}

static void on_head(struct iso_h1_parser *p, struct iso_head *head)
{
	struct h1 *h1 = parser_owner(p);
	bool final = head->status >= 200;
	bool end = final &&
		   (!iso_status_has_body(head->status, p->request_method) || head->content_length == 0);

	if (h1->a == NULL)
		return;
	if (head->status == 101) {
		h1->complete = true; /* the parser's work; h1_input goes on */
		h1->tunnelling = iso_websocket_take_response(head, iso_slice(h1->key, sizeof(h1->key)));
		if (!h1->tunnelling)
			return;
		h1->c->t.bare_fin = true; /* frames tell where they end: a lost close_notify hides nothing */
		head->status = 200;       /* as over HTTP/2 */
		head->tunnel = true;
		iso_transport_dirty(&h1->c->t); /* what the client has said already may go now */
		head->content_length = -1;
		end = false;
	} else if (final && h1->tunnel) {
		h1->body_sent = true; /* refused: there is no content to come */
	}
	if (final)
		h1->reusable = p->keep_alive && (end || head->content_length >= 0 || p->chunked);
	h1->a->response = *head;
	iso_attempt_on_head(h1->a, end);
}

static void on_body(struct iso_h1_parser *p, const uint8_t *bytes, size_t n)
{
	struct h1 *h1 = parser_owner(p);
	struct iso_attempt *a = h1->a;
	struct iso_buf piece;
	int err;

	if (a == NULL)
		return;
	iso_buf_init(&piece);
	if (n < COPY_BELOW)
		err = iso_buf_append_copy(&piece, &h1->c->t.loop->chunks, bytes, n);
	else
		err = iso_buf_append_seg(&piece, h1->chunk, h1->chunk->bytes + (bytes - h1->chunk->bytes),
					 (uint32_t)n, bytes == h1->chunk->bytes ? ISO_CHUNK_HEADROOM : 0);
	if (err != ISO_OK) {
		iso_uconn_close(h1->c, ISO_OUTCOME_OVERLOAD);
		return;
	}
	iso_attempt_on_data(a, &piece, false);
	iso_buf_done(&piece);
}

static void on_trailers(struct iso_h1_parser *p, const struct iso_fields *trailers)
{
	struct h1 *h1 = parser_owner(p);

	if (h1->a != NULL) {
		h1->a->response_done = true;
		h1->a->spec.ops->trailers(h1->a, trailers);
	}
}

static void on_complete(struct iso_h1_parser *p)
{
	parser_owner(p)->complete = true;
}

static const struct iso_h1_ops parser_ops = {
	.head = on_head,
	.body = on_body,
	.trailers = on_trailers,
	.complete = on_complete,
};

static int h1_init(struct iso_uconn *c)
{
	static const struct iso_h1_limits limits = { HEAD_MAX, FIELDS_MAX };
	struct h1 *h1 = calloc(1, sizeof(*h1));

	if (h1 == NULL)
		return ISO_ENOMEM;
	h1->c = c;
	iso_h1_parser_init(&h1->parser, true, &parser_ops, &limits);
	c->codec = h1;
	iso_uconn_opened(c, 1);
	return ISO_OK;
}

static void h1_start(struct iso_uconn *c, struct iso_attempt *a)
{
	struct h1 *h1 = h1_of(c);

	assert(h1->a == NULL);
	h1->a = a;
	h1->head_sent = h1->body_sent = h1->reusable = h1->complete = h1->tunnelling = false;
	h1->tunnel = a->spec.head->protocol.len > 0;
	/* gRPC is defined over HTTP/2 alone: its trailers would be lost in many places on the way. */
	if (iso_head_is_grpc(a->spec.head)) {
		iso_list_remove(&a->link);
		h1->a = NULL;
		a->conn = NULL;
		iso_attempt_end_later(a, ISO_OUTCOME_OVERLOAD, ISO_EXECUTED_NO); /* no fault of the region's
										  */
		iso_uconn_stream_ended(c);
		return;
	}
	iso_h1_parser_begin(&h1->parser, a->spec.arena, a->spec.head->method_id);
	h1->parser.upgrade = h1->tunnel;
	iso_transport_dirty(&c->t);
}

static void h1_body(struct iso_uconn *c, struct iso_attempt *a)
{
	(void)a;
	iso_transport_dirty(&c->t);
}

static void h1_consumed(struct iso_uconn *c, struct iso_attempt *a, size_t n)
{
	(void)n;
	if (a->unconsumed <= UNCONSUMED_MAX / 2)
		iso_transport_resume(&c->t);
}

/* A response that is under way cannot be skipped: the connection goes with it. */
static void h1_cancel(struct iso_uconn *c, struct iso_attempt *a)
{
	struct h1 *h1 = h1_of(c);

	iso_list_remove(&a->link);
	h1->a = NULL;
	if (c->state != ISO_UCONN_CLOSED) {
		c->streams--;
		iso_uconn_close(c, ISO_OUTCOME_CANCELLED);
	}
}

/* The response is whole: the owner hears of it, and the connection is idle or done with. */
static void finish(struct iso_uconn *c)
{
	struct h1 *h1 = h1_of(c);
	struct iso_attempt *a = h1->a;
	bool reuse = h1->reusable && h1->body_sent && !c->t.eof;

	h1->a = NULL;
	h1->complete = false;
	if (a == NULL)
		return;
	if (!a->response_done && a->got_final &&
	    !(!iso_status_has_body(a->status, a->spec.head->method_id) || a->response.content_length == 0)) {
		struct iso_buf none;

		iso_buf_init(&none);
		a->response_done = true;
		iso_attempt_on_data(a, &none, true);
	}
	if (a->conn == c) { /* unless the owner cancelled it in its callback */
		iso_list_remove(&a->link);
		iso_attempt_end(a, ISO_OUTCOME_OK, ISO_EXECUTED_YES);
	}
	if (c->state == ISO_UCONN_CLOSED)
		return;
	if (!reuse) {
		c->state = ISO_UCONN_DRAINING;
		c->streams--;
		iso_uconn_close(c, ISO_OUTCOME_CANCELLED);
		return;
	}
	iso_uconn_stream_ended(c);
}

/* A direction of the tunnel has ended: the other one goes on, and with both the connection is done with. */
static void tunnel_ended(struct iso_uconn *c)
{
	struct h1 *h1 = h1_of(c);
	struct iso_attempt *a = h1->a;

	if (a == NULL || !a->response_done || !h1->body_sent)
		return;
	h1->a = NULL;
	iso_list_remove(&a->link);
	c->streams--;
	iso_uconn_finish(c, ISO_OUTCOME_CANCELLED);
	iso_attempt_end(a, ISO_OUTCOME_OK, ISO_EXECUTED_YES);
}

static void on_tunnel(struct h1 *h1, struct iso_chunk *chunk, const uint8_t *bytes, size_t n)
{
	h1->chunk = chunk;
	on_body(&h1->parser, bytes, n);
	h1->chunk = NULL;
}

static size_t h1_input(struct iso_uconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	struct h1 *h1 = h1_of(c);
	size_t used = 0;
	int err;

	iso_uconn_progress(c);
	if (h1->a == NULL || iso_attempt_written(h1->a) == ISO_WRITTEN_NOTHING) {
		/* Bytes that answer nothing: a 408 before the close, or another request's answer that came
		 * too early (RFC 9112 section 9.2). */
		iso_uconn_close(c, ISO_OUTCOME_PROTOCOL);
		return n;
	}
	if (h1->a->unconsumed > UNCONSUMED_MAX)
		return 0; /* the owner has enough: the region waits until it has freed some */
	if (h1->tunnelling) {
		on_tunnel(h1, chunk, bytes, n);
		return n;
	}
	h1->chunk = chunk;
	err = iso_h1_parser_feed(&h1->parser, bytes, n, &used);
	h1->chunk = NULL;
	if (c->state == ISO_UCONN_CLOSED)
		return n;
	if (err != ISO_OK) {
		iso_uconn_close(c, err == ISO_ENOMEM ? ISO_OUTCOME_OVERLOAD : ISO_OUTCOME_PROTOCOL);
		return n;
	}
	if (!h1->complete)
		return used;
	if (h1->parser.head.status == 101 || h1->tunnelling) {
		if (!h1->tunnelling)
			iso_uconn_close(c, ISO_OUTCOME_PROTOCOL); /* a 101 for something else */
		else if (used < n) /* the region's first bytes came with its head */
			on_tunnel(h1, chunk, bytes + used, n - used);
		return n;
	}
	if (used < n)
		h1->reusable = false; /* more than was asked for: not to be read as the next answer */
	finish(c);
	return n;
}

static int write_head(struct iso_uconn *c, struct h1 *h1)
{
	struct iso_attempt *a = h1->a;
	struct iso_head head = *a->spec.head;
	bool empty = a->body_end && a->body.bytes == 0 && a->trailers == NULL;
	size_t n;
	int err;

	iso_fields_remove(&head.fields, ISO_FIELD_TE); /* hop-by-hop over HTTP/1.1 */
	err = iso_hop_join_cookies(&head.fields, a->spec.arena);
	if (err != ISO_OK)
		return err;
	if (empty && head.content_length < 0 &&
	    (head.method_id == ISO_METHOD_POST || head.method_id == ISO_METHOD_PUT ||
	     head.method_id == ISO_METHOD_PATCH))
		head.content_length = 0; /* RFC 9110 section 8.6 */
	h1->chunked = !empty && head.content_length < 0 && !h1->tunnel;
	if (h1->tunnel) {
		uint64_t random[2] = { iso_rng_next(&c->t.loop->rng), iso_rng_next(&c->t.loop->rng) };

		iso_fields_remove_name(&head.fields, ISO_SLICE("sec-websocket-key")); /* of an h2 client's:
											 ours counts */
		iso_websocket_key(random, h1->key);
		err = iso_websocket_add_fields(&head.fields, a->spec.arena, ISO_SLICE("sec-websocket-key"),
					       iso_slice(h1->key, sizeof(h1->key)));
		if (err != ISO_OK)
			return err;
	}
	/* The scratch is free during a flush. */
	err = iso_h1_write_head(&head, h1->chunked, false, (char *)c->t.loop->scratch, HEAD_MAX, &n);
	if (err != ISO_OK)
		return err;
	iso_attempt_on_sent(a);
	h1->head_sent = true;
	return iso_transport_write(&c->t, c->t.loop->scratch, n);
}

static int write_piece(struct iso_uconn *c, struct h1 *h1, size_t n)
{
	char header[ISO_H1_CHUNK_HEADER_MAX];
	size_t header_len = h1->chunked ? iso_h1_write_chunk_header(n, header) : 0;
	int err = iso_transport_write_body(&c->t, header, header_len, &h1->a->body, n);

	if (err == ISO_OK && h1->chunked)
		err = iso_transport_write(&c->t, "\r\n", 2);
	return err;
}

static void h1_fill(struct iso_uconn *c)
{
	struct h1 *h1 = h1_of(c);
	struct iso_attempt *a = h1->a;
	int err = ISO_OK;

	if (a == NULL || h1->body_sent)
		return;
	if (!h1->head_sent)
		err = write_head(c, h1);
	if (h1->tunnel && !h1->tunnelling && err == ISO_OK)
		return; /* nothing goes before the 101 */
	while (err == ISO_OK && a->body.bytes > 0 && iso_transport_room(&c->t) > 0) {
		size_t n = a->body.bytes < DATA_MAX ? a->body.bytes : DATA_MAX;

		err = write_piece(c, h1, n);
		if (err == ISO_OK)
			a->spec.ops->writable(a, n);
		if (h1->a != a || c->state == ISO_UCONN_CLOSED)
			return;
	}
	if (err == ISO_OK && a->body_end && a->body.bytes == 0) {
		size_t n = 0;

		h1->body_sent = true;
		if (h1->tunnelling) {
			iso_transport_end(&c->t);
			tunnel_ended(c);
			return;
		}
		if (h1->chunked) {
			err = iso_h1_write_last_chunk(a->trailers, (char *)c->t.loop->scratch, HEAD_MAX, &n);
			if (err == ISO_OK)
				err = iso_transport_write(&c->t, c->t.loop->scratch, n);
		}
	}
	if (err != ISO_OK)
		iso_uconn_close(c, err == ISO_EBAD || err == ISO_ELIMIT ? ISO_OUTCOME_PROTOCOL
									: ISO_OUTCOME_RESET);
}

static bool h1_eof(struct iso_uconn *c)
{
	struct h1 *h1 = h1_of(c);
	struct iso_attempt *a = h1->a;
	struct iso_buf none;

	if (a == NULL)
		return false;
	h1->reusable = false;
	if (!h1->tunnelling) {
		if (iso_h1_parser_eof(&h1->parser) == ISO_OK && h1->complete)
			finish(c);
		return false;
	}
	iso_buf_init(&none);
	a->response_done = true;
	iso_attempt_on_data(a, &none, true);
	if (h1->a == a)
		tunnel_ended(c);
	return true;
}

static bool h1_ping(struct iso_uconn *c)
{
	(void)c; /* HTTP/1.1 has none */
	return false;
}

static void h1_done(struct iso_uconn *c)
{
	free(c->codec);
	c->codec = NULL;
}

const struct iso_client_ops iso_h1_client_ops = {
	.init = h1_init,
	.start = h1_start,
	.body = h1_body,
	.consumed = h1_consumed,
	.cancel = h1_cancel,
	.input = h1_input,
	.fill = h1_fill,
	.eof = h1_eof,
	.ping = h1_ping,
	.done = h1_done,
};
