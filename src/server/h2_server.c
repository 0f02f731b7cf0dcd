/*
 * The HTTP/2 codec of a downstream connection: nghttp2's server session between our transport and the
 * streams. Thread: the connection's loop. Invariant: a stream's user data is its iso_h2_stream until
 * on_stream_close.
 */
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdlib.h>

#include "h2_stream_priv.h"
#include "iso/http/h2_nv.h"

enum {
	STREAM_WINDOW = 256 * 1024,
	CONNECTION_WINDOW = 1 << 20,
	SECOND_GOAWAY_US = 500 * 1000, /* RFC 9113 section 6.8: after at least one round trip */
};

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct iso_h2_stream *stream_of(nghttp2_session *session, int32_t stream_id)
{
	return stream_id == 0 ? NULL : nghttp2_session_get_stream_user_data(session, stream_id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_sconn *c = user;
	struct iso_h2_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	s = iso_h2_stream_new(c, frame->hd.stream_id);
	if (s == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t namelen, const uint8_t *value, size_t valuelen, uint8_t flags, void *user)
{
	struct iso_h2_stream *s = stream_of(session, frame->hd.stream_id);

	(void)user;
	if (s == NULL)
		return 0;
	return iso_h2_stream_header(s, iso_slice(name, namelen), iso_slice(value, valuelen), flags) == ISO_OK
		       ? 0
		       : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_h2_stream *s = stream_of(session, frame->hd.stream_id);
	bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	(void)user;
	if (s == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		iso_h2_stream_request(s, end);
	else if (frame->hd.type == NGHTTP2_HEADERS)
		iso_h2_stream_trailers(s);
	else if (frame->hd.type == NGHTTP2_DATA && end)
		iso_h2_stream_body_end(s);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
		   size_t len, void *user)
{
	struct iso_sconn *c = user;
	struct iso_h2_conn *h2 = c->codec;
	struct iso_h2_stream *s = stream_of(session, stream_id);

	(void)flags;
	if (s == NULL || s->request == NULL) {
		nghttp2_session_consume(session, stream_id, len);
		return 0;
	}
	return iso_h2_stream_body(s, h2->chunk, h2->chunk_at, data, len) == ISO_OK
		       ? 0
		       : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
	struct iso_h2_stream *s = stream_of(session, stream_id);

	(void)user;
	if (s != NULL) {
		nghttp2_session_set_stream_user_data(session, stream_id, NULL);
		iso_h2_stream_closed(s, error_code);
	}
	return 0;
}

/* Our answer is out and the client still sends: tell it to stop, without harm (RFC 9113 section 8.1). */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_h2_stream *s;

	(void)user;
	if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	s = stream_of(session, frame->hd.stream_id);
	if (s != NULL && !s->request_end)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t length,
		     nghttp2_data_source *source, void *user)
{
	struct iso_sconn *c = user;
	struct iso_h2_stream *s = stream_of(session, frame->hd.stream_id);

	(void)source;
	if (iso_transport_room(&c->t) == 0)
		return NGHTTP2_ERR_WOULDBLOCK;
	if (s == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return iso_h2_stream_send(s, header, length) == ISO_OK ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void make_static(void)
{
	if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&options) != 0)
		return;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
	nghttp2_option_set_no_auto_window_update(options, 1);
}

static int h2_init(struct iso_sconn *c)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->server->limits.streams },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->server->limits.header_bytes },
		/* RFC 9113 section 5.3.2: the old tree of priorities is not kept; RFC 9218's are taken. */
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	struct iso_h2_conn *h2;

	pthread_once(&once, make_static);
	h2 = callbacks != NULL && options != NULL ? calloc(1, sizeof(*h2)) : NULL;
	if (h2 == NULL)
		return ISO_ENOMEM;
	c->codec = h2;
	iso_list_init(&h2->streams);
	iso_h2_mem_init(&h2->mem);
	if (nghttp2_session_server_new3(&h2->session, callbacks, c, options, &h2->mem.mem) != 0)
		return ISO_ENOMEM;
	iso_h2_mem_made(&h2->mem);
	if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
				    sizeof(settings) / sizeof(settings[0])) != 0 ||
	    nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) != 0)
		return ISO_ENOMEM;
	iso_transport_dirty(&c->t);
	return ISO_OK;
}

/* Whether the session has come to its end: then the connection finishes. */
static void check_end(struct iso_sconn *c)
{
	struct iso_h2_conn *h2 = c->codec;

	if (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session))
		iso_sconn_finish(c);
}

static size_t h2_input(struct iso_sconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	struct iso_h2_conn *h2 = c->codec;
	ssize_t used;

	h2->chunk = chunk;
	h2->chunk_at = bytes;
	used = nghttp2_session_mem_recv(h2->session, bytes, n);
	h2->chunk = NULL;
	if (used < 0) {
		/* Not even a GOAWAY can be made of it (a bad preface, flooding, no memory): cut. */
		iso_sconn_close(c);
		return n;
	}
	if (nghttp2_session_want_write(h2->session))
		iso_transport_dirty(&c->t);
	else
		check_end(c);
	return n;
}

static void h2_fill(struct iso_sconn *c)
{
	struct iso_h2_conn *h2 = c->codec;

	while (iso_transport_room(&c->t) > 0) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(h2->session, &data);

		if (n < 0) {
			iso_sconn_close(c);
			return;
		}
		if (n == 0)
			break;
		if (iso_transport_write(&c->t, data, (size_t)n) != ISO_OK)
			return; /* the transport reports it */
	}
	check_end(c);
}

static void h2_idle(struct iso_sconn *c)
{
	struct iso_h2_conn *h2 = c->codec;

	if (iso_list_empty(&h2->streams) && !nghttp2_session_want_write(h2->session))
		iso_h2_mem_idle(&h2->mem);
}

static void h2_eof(struct iso_sconn *c)
{
	iso_sconn_close(c); /* HTTP/2 has no half-closed connections */
}

static void on_second_goaway(struct iso_timer *timer)
{
	struct iso_h2_conn *h2 = ISO_CONTAINER(timer, struct iso_h2_conn, goaway_timer);
	struct iso_sconn *c = h2->conn;

	nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR, NULL,
			      0);
	iso_transport_dirty(&c->t);
}

/* Two GOAWAYs: the first names the largest id, so that requests under way are still taken. */
static void h2_drain(struct iso_sconn *c)
{
	struct iso_h2_conn *h2 = c->codec;

	if (iso_timer_is_set(&h2->goaway_timer))
		return;
	h2->conn = c;
	iso_timer_init(&h2->goaway_timer, on_second_goaway);
	nghttp2_submit_shutdown_notice(h2->session);
	iso_timer_set(&c->server->loop->wheel, &h2->goaway_timer, c->server->loop->now_us + SECOND_GOAWAY_US);
	iso_transport_dirty(&c->t);
}

static void run_free(struct iso_task *task)
{
	struct iso_h2_conn *h2 = ISO_CONTAINER(task, struct iso_h2_conn, free_task);

	nghttp2_session_del(h2->session);
	free(h2);
}

static void h2_done(struct iso_sconn *c)
{
	struct iso_h2_conn *h2 = c->codec;
	struct iso_list *node;

	if (h2 == NULL)
		return;
	if (h2->conn != NULL)
		iso_timer_clear(&c->server->loop->wheel, &h2->goaway_timer);
	while ((node = iso_list_pop_front(&h2->streams)) != NULL) {
		struct iso_h2_stream *s = ISO_CONTAINER(node, struct iso_h2_stream, link);

		nghttp2_session_set_stream_user_data(h2->session, s->id, NULL);
		iso_h2_stream_lost(s);
	}
	/* nghttp2 may be on the stack. */
	iso_task_init(&h2->free_task, run_free);
	iso_loop_post(c->server->loop, &h2->free_task);
	c->codec = NULL;
}

const struct iso_codec_ops iso_h2_server_ops = {
	.init = h2_init,
	.input = h2_input,
	.fill = h2_fill,
	.idle = h2_idle,
	.eof = h2_eof,
	.drain = h2_drain,
	.done = h2_done,
};
