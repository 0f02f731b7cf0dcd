/*
 * HTTP/2 streams: see h2_stream_priv.h. Thread: the connection's loop.
 */
#include "h2_stream_priv.h"

#include "iso/http/h2_nv.h"
#include "iso/http/uri.h"

enum {
	ARENA_MAX = 512 * 1024,
	COPY_BELOW = 1024,
	FRAME_HEADER = 9,
	DATA_MAX = ISO_CHUNK_BYTES - FRAME_HEADER, /* header and payload fill one TLS record */
	BOMB_FACTOR = 4,     /* beyond the limit by this, decoding stops; up to it the client gets its 431 */
	FIELD_OVERHEAD = 32, /* RFC 9113 section 6.5.2: each field counts this much more */
};

static struct iso_h2_conn *h2_of(const struct iso_h2_stream *s)
{
	return s->c->codec;
}

static void stream_free(struct iso_h2_stream *s)
{
	struct iso_arena arena = s->arena;

	iso_list_remove(&s->link);
	iso_buf_done(&s->out);
	iso_arena_done(&arena); /* s is gone with it */
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t length,
			 uint32_t *data_flags, nghttp2_data_source *source, void *user)
{
	struct iso_h2_stream *s = source->ptr;
	size_t n = s->out.bytes < DATA_MAX ? s->out.bytes : DATA_MAX;

	(void)buf;
	(void)user;
	if (n > length)
		n = length;
	if (n == 0 && !s->out_end) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (s->out_end && n == s->out.bytes) {
		*data_flags |= NGHTTP2_DATA_FLAG_EOF;
		if (s->trailers_out != NULL && s->trailers_out->n > 0) {
			nghttp2_nv nv[ISO_H2_NV_MAX];
			size_t count;

			if (iso_h2_nv_fields(s->trailers_out, nv, &count) == ISO_OK) {
				*data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
				nghttp2_submit_trailer(session, stream_id, nv, count);
			}
		}
	}
	return (ssize_t)n;
}

static void abort_stream(struct iso_h2_stream *s, uint32_t code)
{
	nghttp2_submit_rst_stream(h2_of(s)->session, NGHTTP2_FLAG_NONE, s->id, code);
	iso_transport_dirty(&s->c->t);
}

static struct iso_h2_stream *stream_of(struct iso_sink *sink)
{
	return ISO_CONTAINER(sink, struct iso_h2_stream, sink);
}

static void sink_head(struct iso_sink *to, const struct iso_head *head, bool end)
{
	struct iso_h2_stream *s = stream_of(to);
	nghttp2_data_provider provider = { .source.ptr = s, .read_callback = read_body };
	nghttp2_nv nv[ISO_H2_NV_MAX];
	char status[4];
	size_t n;
	int err = -1;

	if (s->over || s->answered)
		return;
	if (iso_h2_nv_response(head, status, nv, &n) == ISO_OK) {
		if (head->status < 200)
			err = nghttp2_submit_headers(h2_of(s)->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, n,
						     NULL);
		else
			err = nghttp2_submit_response(h2_of(s)->session, s->id, nv, n,
						      end ? NULL : &provider);
	}
	if (head->status >= 200)
		s->answered = true;
	s->tunnel = head->tunnel;
	if (err < 0)
		abort_stream(s, NGHTTP2_INTERNAL_ERROR);
	s->out_end = end && head->status >= 200;
	iso_transport_dirty(&s->c->t);
}

static void wake(struct iso_h2_stream *s)
{
	if (s->deferred) {
		s->deferred = false;
		nghttp2_session_resume_data(h2_of(s)->session, s->id);
	}
	iso_transport_dirty(&s->c->t);
}

static void sink_data(struct iso_sink *to, struct iso_buf *data, bool end)
{
	struct iso_h2_stream *s = stream_of(to);

	if (s->over)
		return;
	if (iso_buf_move(&s->out, data) != ISO_OK) {
		abort_stream(s, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	s->out_end = s->out_end || end;
	if (s->out.bytes > 0 || s->out_end)
		wake(s);
}

static void sink_trailers(struct iso_sink *to, const struct iso_fields *trailers)
{
	struct iso_h2_stream *s = stream_of(to);

	if (s->over)
		return;
	s->trailers_out = trailers;
	s->out_end = true;
	wake(s);
}

static void sink_writable(struct iso_sink *to, size_t freed)
{
	struct iso_h2_stream *s = stream_of(to);
	nghttp2_session *session;

	if (s->over || freed == 0)
		return;
	s->unconsumed -= freed < s->unconsumed ? freed : s->unconsumed;
	session = h2_of(s)->session;
	nghttp2_session_consume(session, s->id, freed);
	if (nghttp2_session_want_write(session))
		iso_transport_dirty(&s->c->t);
}

static void sink_reset(struct iso_sink *to, enum iso_reset why)
{
	struct iso_h2_stream *s = stream_of(to);
	uint32_t code = why == ISO_RESET_REFUSED    ? NGHTTP2_REFUSED_STREAM
			: why == ISO_RESET_CANCEL   ? NGHTTP2_CANCEL
			: why == ISO_RESET_PROTOCOL ? NGHTTP2_PROTOCOL_ERROR
						    : NGHTTP2_INTERNAL_ERROR;

	s->settled = s->settled || why == ISO_RESET_NONE || s->over;
	if (s->over)
		iso_loop_post(s->c->server->loop, &s->end);
	if (s->over || why == ISO_RESET_NONE)
		return;
	iso_buf_done(&s->out); /* a client that does not read would hold it until RST_STREAM could be sent */
	iso_buf_init(&s->out);
	abort_stream(s, code);
}

static void over(struct iso_h2_stream *s, enum iso_reset why)
{
	struct iso_sconn *c = s->c;
	struct iso_sink *request = s->request;

	/* What nobody took is still counted against the connection, which the other streams need. */
	if (s->unconsumed > 0) {
		nghttp2_session_consume_connection(h2_of(s)->session, s->unconsumed);
		iso_transport_dirty(&c->t);
	}
	s->over = true;
	s->request = NULL;
	iso_task_cancel(&s->end);
	if (request != NULL)
		request->ops->reset(request, why);
	stream_free(s);
	iso_sconn_stream_ended(c);
}

/* A tunnel that the client has ended on both sides is over for the handler too. */
static void run_end(struct iso_task *task)
{
	over(ISO_CONTAINER(task, struct iso_h2_stream, end), ISO_RESET_NONE);
}

static const struct iso_sink_ops sink_ops = {
	.head = sink_head,
	.data = sink_data,
	.trailers = sink_trailers,
	.writable = sink_writable,
	.reset = sink_reset,
};

struct iso_h2_stream *iso_h2_stream_new(struct iso_sconn *c, int32_t id)
{
	struct iso_arena arena;
	struct iso_h2_stream *s;

	iso_arena_init(&arena, &c->server->loop->arenas, ARENA_MAX);
	s = iso_arena_zalloc(&arena, sizeof(*s));
	if (s == NULL) {
		iso_arena_done(&arena);
		return NULL;
	}
	s->arena = arena;
	s->sink.ops = &sink_ops;
	s->c = c;
	s->id = id;
	s->began_us = c->server->loop->now_us;
	iso_h2_head_init(&s->head);
	iso_list_init(&s->link);
	iso_task_init(&s->end, run_end);
	iso_list_push_back(&((struct iso_h2_conn *)c->codec)->streams, &s->link);
	iso_sconn_stream_began(c);
	return s;
}

int iso_h2_stream_header(struct iso_h2_stream *s, struct iso_slice name, struct iso_slice value,
			 uint8_t flags)
{
	const struct iso_cfg_limits *limits = &s->c->server->limits;

	s->header_bytes += name.len + value.len + FIELD_OVERHEAD;
	if (s->head_done) {
		if (s->header_bytes > limits->header_bytes || s->trailers_in.n >= limits->header_count)
			return ISO_ELIMIT;
		return iso_fields_add_copy(&s->trailers_in, &s->arena, name, value);
	}
	if (s->header_bytes > limits->header_bytes || s->head.fields.n >= limits->header_count) {
		s->too_large = true;
		return ISO_OK; /* answered when the block is whole: HPACK must stay in step */
	}
	return iso_h2_take_header(&s->head, &s->arena, name, value, flags);
}

bool iso_h2_stream_is_bomb(const struct iso_h2_stream *s)
{
	return s->header_bytes > BOMB_FACTOR * s->c->server->limits.header_bytes;
}

unsigned int iso_h2_stream_waits(const struct iso_h2_stream *s, int32_t unread_max)
{
	const struct iso_field *type = iso_fields_get(&s->head.fields, ISO_FIELD_CONTENT_TYPE);
	bool grpc = type != NULL && iso_slice_starts(type->value, ISO_SLICE("application/grpc"));
	unsigned int waits = s->out.bytes > 0 ? ISO_WAITS_FOR_READER : 0;

	if (s->head_done && !s->request_end && !s->answered && !grpc &&
	    nghttp2_session_get_stream_effective_recv_data_length(h2_of(s)->session, s->id) < unread_max)
		waits |= ISO_WAITS_FOR_BODY;
	return waits;
}

/* An answer of the codec's own, without content. */
static void answer(struct iso_h2_stream *s, uint16_t status)
{
	struct iso_head head;

	iso_h2_head_init(&head);
	head.status = status;
	sink_head(&s->sink, &head, true);
}

/*
 * RFC 9218 section 10 sends the answers of a client that says nothing one after the other. Behind one API
 * each is wanted at once: they take turns, so that a long download does not hold up a short answer.
 */
static void share_fairly(struct iso_h2_stream *s)
{
	static const nghttp2_extpri turns = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1 };

	(void)nghttp2_session_change_extpri_stream_priority(h2_of(s)->session, s->id, &turns, 0);
}

/* RFC 9113 section 8.3.1, as strict as over HTTP/1.1: what goes on must mean one thing. */
static bool target_ok(const struct iso_head *head)
{
	if (head->authority.len > 0 && !iso_uri_authority_ok(head->authority))
		return false;
	if (iso_slice_eq(head->path, ISO_SLICE("*")))
		return head->method_id == ISO_METHOD_OPTIONS;
	return head->path.len > 0 && head->path.ptr[0] == '/' && iso_uri_target_ok(head->path);
}

void iso_h2_stream_request(struct iso_h2_stream *s, bool end)
{
	struct iso_server *server = s->c->server;
	struct iso_request request;

	s->head_done = true;
	s->request_end = end;
	if (s->too_large) {
		answer(s, 431);
		return;
	}
	if (s->head.method_id == ISO_METHOD_CONNECT &&
	    !iso_slice_eq(s->head.protocol, ISO_SLICE("websocket"))) {
		answer(s, 501); /* RFC 8441 section 5 for another protocol */
		return;
	}
	if (s->head.method_id == ISO_METHOD_CONNECT && s->head.content_length > 0) {
		/* It has no content (RFC 9110 section 9.3.6): over HTTP/1.1 the next request would be taken
		 * for it. */
		abort_stream(s, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	if (s->head.method_id == ISO_METHOD_CONNECT) {
		s->head.method_id = ISO_METHOD_GET; /* as everywhere inside */
		s->head.method = ISO_SLICE("GET");
	} else if (s->head.protocol.len > 0) {
		abort_stream(s, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	if (!target_ok(&s->head)) {
		abort_stream(s, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	if (iso_fields_get(&s->head.fields, ISO_FIELD_PRIORITY) == NULL)
		share_fairly(s);
	iso_sconn_describe(s->c, &s->head, &request);
	request.arena = &s->arena;
	request.response = &s->sink;
	request.end = end;
	s->request = server->handler->request(server->handler, &request);
	if (s->request == NULL)
		answer(s, 503);
}

int iso_h2_stream_body(struct iso_h2_stream *s, struct iso_chunk *chunk, const uint8_t *input_at,
		       const uint8_t *data, size_t len)
{
	struct iso_buf piece;
	int err;

	iso_buf_init(&piece);
	if (len < COPY_BELOW)
		err = iso_buf_append_copy(&piece, &s->c->server->loop->chunks, data, len);
	else /* in front of a payload lies its own frame header, unless it goes on from an earlier input */
		err = iso_buf_append_seg(&piece, chunk, chunk->bytes + (data - chunk->bytes), (uint32_t)len,
					 data - input_at >= FRAME_HEADER ? FRAME_HEADER : 0);
	if (err != ISO_OK)
		return err;
	s->unconsumed += len;
	s->request->ops->data(s->request, &piece, false);
	iso_buf_done(&piece);
	return ISO_OK;
}

void iso_h2_stream_body_end(struct iso_h2_stream *s)
{
	struct iso_buf none;

	s->request_end = true;
	if (s->request == NULL)
		return;
	iso_buf_init(&none);
	s->request->ops->data(s->request, &none, true);
}

void iso_h2_stream_trailers(struct iso_h2_stream *s)
{
	s->request_end = true;
	if (s->head.protocol.len > 0) {
		/* RFC 9113 section 8.5. Nothing is whole any more, though both sides may have said their end.
		 */
		s->out_end = false;
		abort_stream(s, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	if (s->request != NULL)
		s->request->ops->trailers(s->request, &s->trailers_in);
}

int iso_h2_stream_send(struct iso_h2_stream *s, const uint8_t *header, size_t length)
{
	int err;

	if (length == 0)
		return iso_transport_write(&s->c->t, header, FRAME_HEADER);
	s->c->content_bytes += length;
	err = iso_transport_write_body(&s->c->t, header, FRAME_HEADER, &s->out, length);
	if (err == ISO_OK && s->request != NULL)
		s->request->ops->writable(s->request, length);
	return err;
}

void iso_h2_stream_closed(struct iso_h2_stream *s, uint32_t error_code)
{
	bool whole = s->answered && s->out_end && s->out.bytes == 0 && error_code == NGHTTP2_NO_ERROR;

	/* What it has sent may still be on its way to the region. */
	if (whole && s->tunnel && !s->settled && s->request != NULL)
		s->over = true;
	else
		over(s, whole ? ISO_RESET_NONE : ISO_RESET_CANCEL);
}

void iso_h2_stream_lost(struct iso_h2_stream *s)
{
	over(s, ISO_RESET_CONNECTION);
}
