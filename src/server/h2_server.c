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
	QUEUE_MAX = 2000, /* frames that wait to be sent: nobody reads them, and only floods make so many */
	SECOND_GOAWAY_US = 500 * 1000, /* RFC 9113 section 6.8: after at least one round trip */
};

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct iso_h2_stream *stream_of(nghttp2_session *session, int32_t stream_id)
{
	return stream_id == 0 ? NULL : nghttp2_session_get_stream_user_data(session, stream_id);
}

/* Leaves the session from inside a callback; what follows is done when it has returned. */
static int leave(struct iso_h2_conn *h2, enum iso_cut cut, uint32_t goaway_code)
{
	if (h2->cut == ISO_CUT_NONE) {
		h2->cut = cut;
		h2->goaway_code = goaway_code;
	}
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void watch_windows(struct iso_h2_conn *h2)
{
	iso_h2_window_begin(&h2->window, h2->session);
	for (struct iso_list *l = h2->streams.next; l != &h2->streams; l = l->next)
		iso_h2_window_stream(&h2->window, h2->session,
				     ISO_CONTAINER(l, struct iso_h2_stream, link)->id);
}

/*
 * Before a frame's payload is looked at. nghttp2 forgets closed streams and passes over what comes for them;
 * RFC 9113 sections 5.1 and 5.1.1 call it a connection error.
 */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
	struct iso_sconn *c = user;
	struct iso_h2_conn *h2 = c->codec;
	bool head = hd->type == NGHTTP2_HEADERS;

	if ((head || hd->type == NGHTTP2_DATA) &&
	    nghttp2_session_find_stream(session, hd->stream_id) == NULL &&
	    iso_h2_guard_is_late(&h2->guard, hd->stream_id))
		return leave(h2, ISO_CUT_PROTOCOL, NGHTTP2_STREAM_CLOSED);
	if (hd->type == NGHTTP2_SETTINGS && hd->length > 0)
		watch_windows(h2);
	if (head || hd->type == NGHTTP2_CONTINUATION)
		h2->in_head = true;
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_sconn *c = user;
	struct iso_h2_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	iso_h2_guard_opened(&((struct iso_h2_conn *)c->codec)->guard, frame->hd.stream_id);
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
	struct iso_sconn *c = user;
	int err;

	if (s == NULL)
		return 0;
	if (iso_h2_stream_is_bomb(s))
		return leave(c->codec, ISO_CUT_HEADER_MEMORY, NGHTTP2_ENHANCE_YOUR_CALM);
	err = iso_h2_stream_header(s, iso_slice(name, namelen), iso_slice(value, valuelen), flags);
	if (err == ISO_OK)
		return 0;
	if (err != ISO_ENOMEM) /* the client's fault */
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
					  NGHTTP2_PROTOCOL_ERROR);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* The client has made us do something for nothing. */
static int note_error(struct iso_sconn *c)
{
	struct iso_h2_conn *h2 = c->codec;
	enum iso_cut cut = iso_h2_guard_error(&h2->guard, &c->server->limits, c->server->loop->now_us);

	return cut != ISO_CUT_NONE ? leave(h2, cut, NGHTTP2_ENHANCE_YOUR_CALM) : 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_h2_stream *s = stream_of(session, frame->hd.stream_id);
	bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	struct iso_sconn *c = user;
	struct iso_h2_conn *h2 = c->codec;

	h2->greeted = true;
	if (frame->hd.type == NGHTTP2_HEADERS)
		h2->in_head = false;
	if (frame->hd.type == NGHTTP2_SETTINGS && frame->hd.length > 0 &&
	    iso_h2_window_burst(&h2->window, session))
		return leave(h2, ISO_CUT_PROTOCOL, NGHTTP2_FLOW_CONTROL_ERROR);
	if (s == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		bool too_large = s->too_large;

		iso_h2_stream_request(s, end);
		return too_large ? note_error(c) : 0;
	}
	if (frame->hd.type == NGHTTP2_HEADERS)
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
	c->body_bytes += len;
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

/* nghttp2 refuses streams beyond the limit by itself: that is work too. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int lib_error, void *user)
{
	(void)session;
	(void)frame;
	return lib_error == NGHTTP2_ERR_REFUSED_STREAM ? note_error(user) : 0;
}

/* A stream that the client's own frames have broken costs as much as one that it resets. */
static int note_reset(struct iso_sconn *c, int32_t stream_id, uint32_t code)
{
	struct iso_h2_conn *h2 = c->codec;

	iso_h2_guard_sent_reset(&h2->guard, stream_id);
	if (h2->cut != ISO_CUT_NONE || (code != NGHTTP2_PROTOCOL_ERROR &&
					code != NGHTTP2_FLOW_CONTROL_ERROR && code != NGHTTP2_STREAM_CLOSED))
		return 0;
	return note_error(c);
}

/* Our answer is out and the client still sends: tell it to stop, without harm (RFC 9113 section 8.1). */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct iso_sconn *c = user;
	struct iso_h2_conn *h2 = c->codec;
	struct iso_h2_stream *s;

	if (frame->hd.type == NGHTTP2_RST_STREAM)
		return note_reset(c, frame->hd.stream_id, frame->rst_stream.error_code);
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
	    h2->cut == ISO_CUT_NONE)
		iso_sconn_count_cut(c, ISO_CUT_PROTOCOL);
	if (frame->hd.type == NGHTTP2_DATA)
		iso_h2_guard_sent_data(&h2->guard);
	if (frame->hd.type == NGHTTP2_HEADERS)
		c->content_bytes += ISO_H2_FRAME_HEADER + frame->hd.length;
	if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	s = stream_of(session, frame->hd.stream_id);
	if (s != NULL && !s->request_end && !s->tunnel)
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
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
	nghttp2_option_set_no_auto_window_update(options, 1);
}

static bool is_open(void *arg, int32_t stream_id)
{
	return nghttp2_session_find_stream(((struct iso_h2_conn *)arg)->session, stream_id) != NULL;
}

static int h2_init(struct iso_sconn *c)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->server->limits.streams },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->server->limits.header_bytes },
		{ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 }, /* RFC 8441 */
		/* RFC 9113 section 5.3.2: the old tree of priorities is not kept; RFC 9218's are taken. */
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	struct iso_h2_conn *h2;

	pthread_once(&once, make_static);
	h2 = callbacks != NULL && options != NULL ? calloc(1, sizeof(*h2)) : NULL;
	if (h2 == NULL)
		return ISO_ENOMEM;
	c->codec = h2;
	h2->cut = ISO_CUT_NONE;
	iso_list_init(&h2->streams);
	iso_h2_guard_init(&h2->guard, c->server->limits.streams, is_open, h2);
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
	enum iso_cut cut = iso_h2_guard_read(&h2->guard, &c->server->limits, c->server->loop->now_us, bytes,
					     n);
	ssize_t used;

	if (cut != ISO_CUT_NONE) {
		(void)leave(h2, cut, h2->guard.goaway_code);
		iso_sconn_cut(c, cut);
		return n;
	}
	h2->chunk = chunk;
	h2->chunk_at = bytes;
	used = nghttp2_session_mem_recv(h2->session, bytes, n);
	h2->chunk = NULL;
	if (c->closed)
		return n;
	/* nghttp2 has limits of its own: acknowledgements that nobody reads, CONTINUATIONs. */
	if (used == NGHTTP2_ERR_FLOODED)
		(void)leave(h2, ISO_CUT_PING, NGHTTP2_ENHANCE_YOUR_CALM);
	else if (used == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
		(void)leave(h2, ISO_CUT_CONTINUATION, NGHTTP2_ENHANCE_YOUR_CALM);
	if (h2->cut == ISO_CUT_NONE && nghttp2_session_get_outbound_queue_size(h2->session) > QUEUE_MAX)
		(void)leave(h2, ISO_CUT_RESETS, NGHTTP2_ENHANCE_YOUR_CALM);
	if (h2->cut != ISO_CUT_NONE) {
		iso_sconn_cut(c, h2->cut);
		return n;
	}
	if (used < 0) {
		/* Not even a GOAWAY can be made of it (a bad preface, no memory). */
		iso_sconn_close(c);
		return n;
	}
	/* Whatever has begun must come to its end in time: the preface, a header block, a frame beside no
	 * request. */
	if (h2->in_head || !h2->greeted || (c->streams == 0 && iso_h2_guard_in_frame(&h2->guard)))
		iso_sconn_head_began(c);
	else
		iso_sconn_head_ended(c);
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

		if (n < 0 && h2->cut != ISO_CUT_NONE && c->phase == ISO_SCONN_OPEN) {
			iso_sconn_cut(c, h2->cut);
			return;
		}
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

static unsigned int h2_waits_for_client(struct iso_sconn *c, uint64_t by_us)
{
	struct iso_h2_conn *h2 = c->codec;
	/* Heads without content wait there alone: their streams have nothing more to send. */
	unsigned int blocked = iso_transport_is_blocked(&c->t) ? ISO_WAITS_FOR_READER : 0, waits = 0;

	for (struct iso_list *l = h2->streams.next; l != &h2->streams; l = l->next) {
		const struct iso_h2_stream *s = ISO_CONTAINER(l, struct iso_h2_stream, link);

		if (s->began_us <= by_us)
			waits |= blocked | iso_h2_stream_waits(s, STREAM_WINDOW / 2);
	}
	return waits;
}

static void lose_streams(struct iso_h2_conn *h2)
{
	struct iso_list *node;

	while ((node = iso_list_pop_front(&h2->streams)) != NULL) {
		struct iso_h2_stream *s = ISO_CONTAINER(node, struct iso_h2_stream, link);

		nghttp2_session_set_stream_user_data(h2->session, s->id, NULL);
		iso_h2_stream_lost(s);
	}
}

static void h2_cut(struct iso_sconn *c, enum iso_cut cut)
{
	struct iso_h2_conn *h2 = c->codec;
	uint32_t code = h2->cut == cut ? h2->goaway_code : NGHTTP2_ENHANCE_YOUR_CALM;

	h2->cut = cut;
	nghttp2_session_terminate_session(h2->session, code);
	lose_streams(h2);
	iso_sconn_end(c); /* the next fill sends the GOAWAY, and finds that it was the last frame */
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
	iso_h2_guard_done(&h2->guard);
	free(h2);
}

static void h2_done(struct iso_sconn *c)
{
	struct iso_h2_conn *h2 = c->codec;

	if (h2 == NULL)
		return;
	if (h2->conn != NULL)
		iso_timer_clear(&c->server->loop->wheel, &h2->goaway_timer);
	lose_streams(h2);
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
	.waits_for_client = h2_waits_for_client,
	.cut = h2_cut,
	.eof = h2_eof,
	.drain = h2_drain,
	.done = h2_done,
};
