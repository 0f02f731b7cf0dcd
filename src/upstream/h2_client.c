/*
 * The HTTP/2 codec of a connection to a region: nghttp2's client session between our transport and the
 * attempts. Thread: the connection's loop. Invariant: a stream's user data is its attempt, or NULL once the
 * attempt is over; bytes of a stream without an attempt are given back at once.
 */
#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdlib.h>

#include "iso/http/h2_mem.h"
#include "iso/http/h2_nv.h"
#include "iso/http/h2_window.h"
#include "h2_feed_priv.h"

enum {
	STREAM_WINDOW = 1 << 20,      /* 40 Mbit/s at 200 ms round trip, per stream */
	PRESSED_WINDOW = 64 * 1024,   /* while bodies hold half of the memory they may */
	CONNECTION_WINDOW = 16 << 20, /* given back at once: it bounds what is on the way */
	DATA_MAX = ISO_CHUNK_BYTES - ISO_H2_FRAME_HEADER, /* frame header and payload fill one TLS record */
	COPY_BELOW = 1024,       /* a smaller piece is not worth keeping its chunk alive */
	HEADERS_MAX = 64 * 1024, /* decoded, of all heads of one answer, and of its trailers */
	FIELDS_MAX = 200,
	FIELD_OVERHEAD = 32, /* RFC 9113 section 6.5.2 */
};

struct h2 {
	nghttp2_session *session;
	struct iso_h2_mem mem;
	struct iso_h2_window window;
	struct iso_h2_feed feed;
	struct iso_chunk *chunk; /* of the running input */
	const uint8_t *chunk_at; /* where that input begins */
};

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct iso_attempt *attempt_of(nghttp2_session *session, int32_t stream_id)
{
	return stream_id == 0 ? NULL : nghttp2_session_get_stream_user_data(session, stream_id);
}

static nghttp2_session *session_of(const struct iso_uconn *c)
{
	return ((struct h2 *)c->codec)->session;
}

/* Lets go of an attempt that is over and gives its unread bytes back. */
static void forget(struct iso_uconn *c, struct iso_attempt *a)
{
	nghttp2_session *session = session_of(c);

	nghttp2_session_set_stream_user_data(session, a->stream_id, NULL);
	if (a->unconsumed > 0)
		nghttp2_session_consume_stream(session, a->stream_id, a->unconsumed);
	a->unconsumed = 0;
	iso_transport_dirty(&c->t);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
	struct iso_uconn *c = user;
	struct iso_h2_window *window = &((struct h2 *)c->codec)->window;

	if (hd->type != NGHTTP2_PING)
		iso_uconn_progress(c);
	if (hd->type != NGHTTP2_SETTINGS || hd->length == 0)
		return 0;
	iso_h2_window_begin(window, session);
	for (struct iso_list *l = c->attempts.next; l != &c->attempts; l = l->next)
		iso_h2_window_stream(window, session, ISO_CONTAINER(l, struct iso_attempt, link)->stream_id);
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_attempt *a = attempt_of(session, frame->hd.stream_id);
	struct iso_uconn *c = user;

	if (a == NULL)
		return 0;
	iso_h2_head_init(&a->response);
	if (a->got_final)
		a->head_bytes = 0; /* trailers have as much */
	if (iso_chunk_pool_pressed(&c->t.loop->chunks))
		nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						      PRESSED_WINDOW);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t namelen, const uint8_t *value, size_t valuelen, uint8_t flags, void *user)
{
	struct iso_attempt *a = attempt_of(session, frame->hd.stream_id);

	(void)user;
	if (a == NULL)
		return 0;
	a->head_bytes += (uint32_t)(namelen + valuelen) + FIELD_OVERHEAD;
	if (a->head_bytes > HEADERS_MAX || a->response.fields.n >= FIELDS_MAX ||
	    iso_h2_take_header(&a->response, a->spec.arena, iso_slice(name, namelen),
			       iso_slice(value, valuelen), flags) != ISO_OK)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
	return 0;
}

/*
 * The whole response is here: the attempt ends now, whatever is left of the request. A tunnel's other
 * direction goes on: on_stream_close ends that.
 */
static void finish(struct iso_uconn *c, struct iso_attempt *a)
{
	nghttp2_session *session = session_of(c);

	a->response_done = true;
	if (a->response.tunnel && nghttp2_session_get_stream_local_close(session, a->stream_id) == 0)
		return;
	forget(c, a);
	if (nghttp2_session_get_stream_local_close(session, a->stream_id) == 0)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, a->stream_id, NGHTTP2_NO_ERROR);
	iso_attempt_end(a, ISO_OUTCOME_OK, ISO_EXECUTED_YES);
}

/* Its response's head may be overwritten by trailers. */
static bool is_tunnel(const struct iso_attempt *a)
{
	return a->spec.head->protocol.len > 0 && a->status / 100 == 2;
}

static void take_headers(struct iso_uconn *c, struct iso_attempt *a, bool end)
{
	bool broken = a->got_final ? is_tunnel(a) /* RFC 9113 section 8.5: DATA and nothing else */
				   : a->response.status < 200 && ++a->interim > ISO_INTERIM_MAX;

	if (broken) {
		enum iso_executed executed = iso_attempt_executed(a, ISO_BREAK_STREAM);

		/* At once: what the same input goes on with is for nobody. */
		forget(c, a);
		nghttp2_submit_rst_stream(session_of(c), NGHTTP2_FLAG_NONE, a->stream_id,
					  NGHTTP2_PROTOCOL_ERROR);
		iso_attempt_end(a, ISO_OUTCOME_PROTOCOL, executed);
		return;
	}
	if (!a->got_final) {
		a->response.tunnel = a->spec.head->protocol.len > 0 && a->response.status / 100 == 2;
		if (a->response.tunnel) /* some proxies leave it in; it belongs to an HTTP/1.1 connection */
			iso_fields_remove_name(&a->response.fields, ISO_SLICE("sec-websocket-accept"));
		iso_attempt_on_head(a, end);
	} else {
		a->spec.ops->trailers(a, &a->response.fields);
	}
	/* The owner may have cancelled it in its callback. */
	if (end && a->conn == c)
		finish(c, a);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_uconn *c = user;
	struct iso_attempt *a = attempt_of(session, frame->hd.stream_id);
	bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (a != NULL)
			take_headers(c, a, end);
		break;
	case NGHTTP2_DATA:
		if (a != NULL && end) {
			struct iso_buf none;

			iso_buf_init(&none);
			iso_attempt_on_data(a, &none, true);
			if (a->conn == c)
				finish(c, a);
		}
		break;
	case NGHTTP2_SETTINGS:
		if (frame->hd.length > 0 && iso_h2_window_burst(&((struct h2 *)c->codec)->window, session))
			return nghttp2_session_terminate_session(session, NGHTTP2_FLOW_CONTROL_ERROR);
		c->extended_connect = nghttp2_session_get_remote_settings(
					      session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
		if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
			iso_uconn_opened(c, nghttp2_session_get_remote_settings(
						    session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
		break;
	case NGHTTP2_GOAWAY:
		if (frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM)
			c->pool->unpinged = true; /* nothing else of what we send unasked costs it anything */
		if (c->streams == 0 && c->state == ISO_UCONN_OPEN)
			iso_pool_learn_idle(c->pool, c->t.loop->now_us - c->idle_since_us);
		iso_uconn_drain(c);
		break;
	case NGHTTP2_PING:
		if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
			iso_uconn_ping_acked(c);
		break;
	default:
		break;
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
		   size_t len, void *user)
{
	struct iso_uconn *c = user;
	struct h2 *h2 = c->codec;
	struct iso_attempt *a = attempt_of(session, stream_id);
	struct iso_buf piece;
	int err;

	(void)flags;
	iso_uconn_progress(c);
	/* Back-pressure is each stream's own: a few answers that nobody reads must not use up the window of
	 * all. */
	nghttp2_session_consume_connection(session, len);
	if (a == NULL) {
		nghttp2_session_consume_stream(session, stream_id, len);
		return 0;
	}
	iso_buf_init(&piece);
	if (len < COPY_BELOW) {
		err = iso_buf_append_copy(&piece, &c->t.loop->chunks, data, len);
	} else {
		/* In front of a payload lies its own frame header, unless it goes on from an earlier input.
		 */
		uint32_t headroom = data - h2->chunk_at >= ISO_H2_FRAME_HEADER ? ISO_H2_FRAME_HEADER
				    : data == h2->chunk->bytes                 ? ISO_CHUNK_HEADROOM
									       : 0;

		err = iso_buf_append_seg(&piece, h2->chunk, h2->chunk->bytes + (data - h2->chunk->bytes),
					 (uint32_t)len, headroom);
	}
	if (err != ISO_OK)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	iso_attempt_on_data(a, &piece, false);
	iso_buf_done(&piece);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
	struct iso_uconn *c = user;
	struct iso_attempt *a = attempt_of(session, stream_id);

	if (a != NULL && a->response_done && error_code == NGHTTP2_NO_ERROR) {
		forget(c, a);
		iso_attempt_end(a, ISO_OUTCOME_OK, ISO_EXECUTED_YES);
	} else if (a != NULL) {
		enum iso_outcome outcome = ISO_OUTCOME_RESET;
		enum iso_break how = ISO_BREAK_STREAM;
		enum iso_executed executed;

		if (error_code == NGHTTP2_REFUSED_STREAM) {
			/* nghttp2 ends streams above GOAWAY's last id in the same way. */
			how = c->state == ISO_UCONN_OPEN ? ISO_BREAK_REFUSED : ISO_BREAK_GOAWAY_ABOVE;
			outcome = c->state == ISO_UCONN_OPEN ? ISO_OUTCOME_REFUSED_STREAM
							     : ISO_OUTCOME_GOAWAY;
			if (how == ISO_BREAK_GOAWAY_ABOVE) /* it will be passed over on both sides */
				iso_h2_closed_reset(&((struct h2 *)c->codec)->feed.closed, stream_id);
		} else if (error_code == NGHTTP2_PROTOCOL_ERROR || error_code == NGHTTP2_INTERNAL_ERROR) {
			outcome = ISO_OUTCOME_PROTOCOL;
		}
		executed = iso_attempt_executed(a, how);
		forget(c, a);
		iso_attempt_end(a, outcome, executed);
	}
	iso_uconn_stream_ended(c);
	return 0;
}

static int before_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_attempt *a;

	(void)user;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	a = attempt_of(session, frame->hd.stream_id);
	if (a != NULL)
		iso_attempt_on_sent(a);
	return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_uconn *c = user;

	(void)session;
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		iso_h2_closed_reset(&((struct h2 *)c->codec)->feed.closed, frame->hd.stream_id);
	return 0;
}

/* A request that nghttp2 will not send after all (GOAWAY, no more ids). */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user)
{
	struct iso_uconn *c = user;
	struct iso_attempt *a;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	a = attempt_of(session, frame->hd.stream_id);
	if (error != NGHTTP2_ERR_STREAM_CLOSING) /* which only says that it was cancelled before */
		iso_uconn_drain(c);
	if (a != NULL) {
		forget(c, a);
		iso_attempt_end(a, ISO_OUTCOME_GOAWAY, ISO_EXECUTED_NO);
	}
	return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t length,
			 uint32_t *data_flags, nghttp2_data_source *source, void *user)
{
	struct iso_attempt *a = attempt_of(session, stream_id);
	size_t n;

	(void)buf;
	(void)source;
	(void)user;
	if (a == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = a->body.bytes < DATA_MAX ? a->body.bytes : DATA_MAX;
	if (n > length)
		n = length;
	if (n == 0 && !a->body_end) {
		a->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (a->body_end && n == a->body.bytes) {
		*data_flags |= NGHTTP2_DATA_FLAG_EOF;
		if (a->trailers != NULL && a->trailers->n > 0) {
			nghttp2_nv nv[ISO_H2_NV_MAX];
			size_t count;

			if (iso_h2_nv_fields(a->trailers, nv, &count) == ISO_OK) {
				*data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
				nghttp2_submit_trailer(session, stream_id, nv, count);
			}
		}
	}
	return (ssize_t)n;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t length,
		     nghttp2_data_source *source, void *user)
{
	struct iso_uconn *c = user;
	struct iso_attempt *a = attempt_of(session, frame->hd.stream_id);
	int err;

	(void)source;
	if (iso_transport_room(&c->t) == 0)
		return NGHTTP2_ERR_WOULDBLOCK;
	if (a == NULL) /* cancelled between read_body and here: RST_STREAM is on its way, the frame must not
			  be */
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (length > 0)
		err = iso_transport_write_body(&c->t, header, ISO_H2_FRAME_HEADER, &a->body, length);
	else
		err = iso_transport_write(&c->t, header, ISO_H2_FRAME_HEADER);
	if (err != ISO_OK)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (length > 0)
		a->spec.ops->writable(a, length);
	return 0;
}

static void make_static(void)
{
	if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&options) != 0)
		return;
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_before_frame_send_callback(callbacks, before_frame_send);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
	nghttp2_option_set_no_auto_window_update(options, 1);
	nghttp2_option_set_peer_max_concurrent_streams(options, 100);
}

static int h2_init(struct iso_uconn *c)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADERS_MAX },
	};
	struct h2 *h2;

	pthread_once(&once, make_static);
	if (callbacks == NULL || options == NULL)
		return ISO_ENOMEM;
	h2 = calloc(1, sizeof(*h2));
	if (h2 == NULL)
		return ISO_ENOMEM;
	c->codec = h2;
	iso_h2_mem_init(&h2->mem);
	iso_h2_feed_init(&h2->feed);
	if (nghttp2_session_client_new3(&h2->session, callbacks, c, options, &h2->mem.mem) != 0)
		return ISO_ENOMEM;
	iso_h2_mem_made(&h2->mem);
	if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
				    sizeof(settings) / sizeof(settings[0])) != 0 ||
	    nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) != 0)
		return ISO_ENOMEM;
	iso_transport_dirty(&c->t);
	return ISO_OK;
}

static void h2_start(struct iso_uconn *c, struct iso_attempt *a)
{
	nghttp2_data_provider provider = { .read_callback = read_body };
	nghttp2_nv nv[ISO_H2_NV_MAX];
	bool body = !(a->body_end && a->body.bytes == 0 && a->trailers == NULL);
	size_t n;

	a->stream_id = 0;
	if (iso_h2_nv_request(a->spec.head, nv, &n) == ISO_OK)
		a->stream_id = nghttp2_submit_request(session_of(c), NULL, nv, n, body ? &provider : NULL, a);
	if (a->stream_id <= 0) {
		/* Out of memory, of ids, or a head beyond the limit: nothing was sent. */
		iso_list_remove(&a->link);
		a->conn = NULL;
		iso_attempt_end_later(a, ISO_OUTCOME_OVERLOAD, ISO_EXECUTED_NO);
		iso_uconn_stream_ended(c);
		return;
	}
	iso_h2_closed_opened(&((struct h2 *)c->codec)->feed.closed, a->stream_id);
	iso_transport_dirty(&c->t);
}

static void h2_body(struct iso_uconn *c, struct iso_attempt *a)
{
	if (!a->deferred)
		return;
	a->deferred = false;
	nghttp2_session_resume_data(session_of(c), a->stream_id);
	iso_transport_dirty(&c->t);
}

static void h2_consumed(struct iso_uconn *c, struct iso_attempt *a, size_t n)
{
	nghttp2_session *session = session_of(c);

	nghttp2_session_consume_stream(session, a->stream_id, n);
	if (nghttp2_session_want_write(session))
		iso_transport_dirty(&c->t);
}

static void h2_cancel(struct iso_uconn *c, struct iso_attempt *a)
{
	forget(c, a);
	iso_list_remove(&a->link);
	if (c->state != ISO_UCONN_CLOSED)
		nghttp2_submit_rst_stream(session_of(c), NGHTTP2_FLAG_NONE, a->stream_id, NGHTTP2_CANCEL);
}

static size_t h2_input(struct iso_uconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	struct h2 *h2 = c->codec;
	bool ok;

	h2->chunk = chunk;
	h2->chunk_at = bytes;
	ok = iso_h2_feed(&h2->feed, c, h2->session, bytes, n);
	h2->chunk = NULL;
	if (c->state == ISO_UCONN_CLOSED)
		return n;
	if (!ok) { /* a GOAWAY may be left to be sent */
		iso_uconn_finish(c, ISO_OUTCOME_PROTOCOL);
		return n;
	}
	if (nghttp2_session_want_write(h2->session))
		iso_transport_dirty(&c->t);
	else if (!nghttp2_session_want_read(h2->session))
		iso_uconn_close(c, ISO_OUTCOME_RESET);
	return n;
}

static void h2_fill(struct iso_uconn *c)
{
	nghttp2_session *session = session_of(c);

	while (iso_transport_room(&c->t) > 0) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(session, &data);

		if (n < 0) {
			iso_uconn_close(c, ISO_OUTCOME_RESET);
			return;
		}
		if (n == 0)
			break;
		if (iso_transport_write(&c->t, data, (size_t)n) != ISO_OK)
			return; /* the transport reports it */
		if (c->state == ISO_UCONN_CLOSED)
			return;
	}
	/* What has just been written says why. */
	if (!nghttp2_session_want_write(session) && !nghttp2_session_want_read(session))
		iso_uconn_finish(c, ISO_OUTCOME_RESET);
}

static bool h2_eof(struct iso_uconn *c)
{
	(void)c;
	return false; /* HTTP/2 has no half-closed connections */
}

static bool h2_ping(struct iso_uconn *c)
{
	if (c->unpinged || c->pool->unpinged ||
	    nghttp2_submit_ping(session_of(c), NGHTTP2_FLAG_NONE, NULL) != 0)
		return false;
	iso_transport_dirty(&c->t);
	return true;
}

static void h2_done(struct iso_uconn *c)
{
	struct h2 *h2 = c->codec;

	if (h2 == NULL)
		return;
	nghttp2_session_del(h2->session);
	iso_h2_feed_done(&h2->feed);
	free(h2);
	c->codec = NULL;
}

const struct iso_client_ops iso_h2_client_ops = {
	.init = h2_init,
	.start = h2_start,
	.body = h2_body,
	.consumed = h2_consumed,
	.cancel = h2_cancel,
	.input = h2_input,
	.fill = h2_fill,
	.eof = h2_eof,
	.ping = h2_ping,
	.done = h2_done,
};
