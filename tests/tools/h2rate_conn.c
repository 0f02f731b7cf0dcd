/* One HTTP/2 client connection of h2rate, over TLS or cleartext with prior knowledge. */
#include "h2rate_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void conn_flush(struct conn *conn);

static void conn_close(struct conn *conn, const char *error)
{
	struct client *client = conn->client;
	bool never_ready = conn->state < CONN_READY;

	if (conn->state == CONN_CLOSED)
		return;
	conn->state = CONN_CLOSED;
	if (never_ready)
		client->connect_failures++;
	if (client->slots[conn->slot] == conn)
		client->slots[conn->slot] = NULL;
	close(conn->fd);
	conn->fd = -1;
	while (conn->waiting) {
		struct request *req = conn->waiting;

		conn->waiting = req->next_waiting;
		if (!req->done)
			request_end(client, req, never_ready ? "connect" : error);
	}
	for (size_t i = client->oldest; i < client->due_next && conn->open_streams; i++) {
		struct request *req = &client->requests[i];

		if (req->conn != conn || req->done || !req->stream)
			continue;
		conn->open_streams--;
		request_end(client, req, error);
	}
}

/* ---- nghttp2 callbacks; user data of a stream is its request ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t namelen, const uint8_t *value, size_t valuelen, uint8_t flags, void *arg)
{
	struct request *req = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	(void)arg;
	if (!req || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (namelen == 7 && !memcmp(name, ":status", 7) && valuelen == 3)
		req->status = (uint16_t)((value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0'));
	if (namelen == 17 && !memcmp(name, "x-emulated-region", 17) && valuelen < sizeof(req->region)) {
		memcpy(req->region, value, valuelen);
		req->region[valuelen] = '\0';
	}
	return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct conn *conn = arg;

	(void)session;
	if (frame->hd.type != NGHTTP2_GOAWAY)
		return 0;
	conn->client->goaways++;
	conn->draining = true;
	if (conn->client->slots[conn->slot] == conn)
		conn->client->slots[conn->slot] = NULL;
	return 0;
}

static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int err, void *arg)
{
	struct request *req = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)err;
	(void)arg;
	if (req && frame->hd.type == NGHTTP2_HEADERS)
		req->error = "unsent";
	return 0;
}

static const char *reset_word(uint32_t code)
{
	switch (code) {
	case NGHTTP2_CANCEL:
		return "reset_cancel";
	case NGHTTP2_INTERNAL_ERROR:
		return "reset_internal";
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return "reset_calm";
	case NGHTTP2_NO_ERROR:
		return "reset_no_error";
	default:
		return "reset";
	}
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *arg)
{
	struct request *req = nghttp2_session_get_stream_user_data(session, stream);
	struct conn *conn = arg;

	if (!req)
		return 0;
	nghttp2_session_set_stream_user_data(session, stream, NULL);
	conn->open_streams--;
	if (req->done)
		return 0;
	if (code == NGHTTP2_REFUSED_STREAM || req->error)
		request_refused(conn->client, req);
	else if (code != NGHTTP2_NO_ERROR || req->status < 200)
		request_end(conn->client, req, reset_word(code));
	else
		request_end(conn->client, req, NULL);
	return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t len, uint32_t *flags,
			 nghttp2_data_source *source, void *arg)
{
	struct request *req = source->ptr;
	size_t n = req->body_len - req->body_sent;

	(void)session;
	(void)stream;
	(void)arg;
	if (n > len)
		n = len;
	memcpy(buf, req->body + req->body_sent, n);
	req->body_sent += n;
	if (req->body_sent == req->body_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

void conn_setup(struct client *client)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb))
		abort();
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	client->callbacks = cb;
}

/* ---- Requests ---- */

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

static void submit(struct conn *conn, struct request *req)
{
	const struct options *opt = &conn->client->opt;
	nghttp2_data_provider body = { .source.ptr = req, .read_callback = read_body };
	char length[24];
	nghttp2_nv nv[8];
	size_t n = 0;

	snprintf(length, sizeof(length), "%zu", req->body_len);
	nv[n++] = field(":method", req->post ? "POST" : "GET");
	nv[n++] = field(":scheme", opt->cleartext ? "http" : "https");
	nv[n++] = field(":authority", opt->authority);
	nv[n++] = field(":path", req->post ? opt->post_path : opt->get_path);
	nv[n++] = field("user-agent", "h2rate");
	nv[n++] = field("x-request-id", req->id);
	if (req->post) {
		nv[n++] = field("content-type", "application/json");
		nv[n++] = field("content-length", length);
	}
	req->body_sent = 0;
	req->status = 0;
	req->sent_us = now_us(conn->client);
	req->stream = nghttp2_submit_request(conn->session, NULL, nv, n, req->post ? &body : NULL, req);
	if (req->stream < 0) {
		req->stream = 0;
		request_refused(conn->client, req);
		return;
	}
	conn->open_streams++;
}

void conn_take(struct conn *conn, struct request *req)
{
	req->conn = conn;
	req->stream = 0;
	if (conn->state == CONN_READY) {
		submit(conn, req);
		conn_flush(conn);
		return;
	}
	req->next_waiting = NULL;
	*conn->waiting_tail = req;
	conn->waiting_tail = &req->next_waiting;
}

void conn_cancel(struct conn *conn, struct request *req)
{
	if (conn->state != CONN_READY || !req->stream)
		return;
	nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, req->stream, NGHTTP2_CANCEL);
	conn_flush(conn);
}

/* ---- Bytes ---- */

static void watch(struct conn *conn, bool want_write)
{
	struct epoll_event ev = { .events = EPOLLIN | (want_write ? EPOLLOUT : 0u), .data.ptr = conn };

	if (conn->want_write == want_write)
		return;
	conn->want_write = want_write;
	epoll_ctl(conn->client->epoll, EPOLL_CTL_MOD, conn->fd, &ev);
}

static bool fill_out(struct conn *conn)
{
	conn->out_at = conn->out_len = 0;
	while (conn->out_len < 65536) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(conn->session, &data);

		if (n <= 0)
			return n == 0;
		if (conn->out_len + (size_t)n > conn->out_cap) {
			conn->out_cap = conn->out_len + (size_t)n + 65536;
			conn->out = realloc(conn->out, conn->out_cap);
			if (!conn->out)
				abort();
		}
		memcpy(conn->out + conn->out_len, data, (size_t)n);
		conn->out_len += (size_t)n;
	}
	return true;
}

/* Bytes written, 0: try again later, -1: broken. */
static ssize_t write_some(struct conn *conn)
{
	const uint8_t *data = conn->out + conn->out_at;
	size_t len = conn->out_len - conn->out_at;
	ssize_t n;

	if (!conn->ssl) {
		n = send(conn->fd, data, len, MSG_NOSIGNAL);
		return n >= 0 ? n : errno == EAGAIN ? 0 : -1;
	}
	ERR_clear_error();
	n = SSL_write(conn->ssl, data, (int)len);
	if (n > 0)
		return n;
	return SSL_get_error(conn->ssl, (int)n) == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void conn_flush(struct conn *conn)
{
	while (conn->state == CONN_READY) {
		ssize_t n;

		if (conn->out_at == conn->out_len && !fill_out(conn)) {
			conn_close(conn, "protocol");
			return;
		}
		if (conn->out_at == conn->out_len) {
			watch(conn, false);
			return;
		}
		n = write_some(conn);
		if (n < 0) {
			conn_close(conn, "closed");
		} else if (n == 0) {
			watch(conn, true);
			return;
		} else {
			conn->out_at += (size_t)n;
		}
	}
}

/* Bytes read, 0: nothing there, -1: closed or broken. */
static ssize_t read_some(struct conn *conn, uint8_t *buf, size_t cap)
{
	ssize_t n;

	if (!conn->ssl) {
		n = recv(conn->fd, buf, cap, 0);
		return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
	}
	ERR_clear_error();
	n = SSL_read(conn->ssl, buf, (int)cap);
	if (n > 0)
		return n;
	return SSL_get_error(conn->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static void conn_read(struct conn *conn)
{
	static uint8_t buf[65536];

	while (conn->state == CONN_READY) {
		ssize_t n = read_some(conn, buf, sizeof(buf));

		if (n < 0) {
			conn_close(conn, "closed");
			return;
		}
		if (n == 0)
			break;
		if (nghttp2_session_mem_recv(conn->session, buf, (size_t)n) < 0) {
			conn_close(conn, "protocol");
			return;
		}
	}
	conn_flush(conn);
}

/* ---- Opening ---- */

static void conn_ready(struct conn *conn)
{
	nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
					      { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20 } };

	if (nghttp2_session_client_new(&conn->session, conn->client->callbacks, conn))
		abort();
	nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings, 2);
	nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0, 1 << 24);
	conn->state = CONN_READY;
	while (conn->waiting) {
		struct request *req = conn->waiting;

		conn->waiting = req->next_waiting;
		if (!req->done)
			submit(conn, req);
	}
	conn->waiting_tail = &conn->waiting;
	conn_flush(conn);
}

static void handshake(struct conn *conn)
{
	const unsigned char *alpn;
	unsigned alpn_len;
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(conn->ssl);
	if (rc != 1) {
		int err = SSL_get_error(conn->ssl, rc);

		if (err == SSL_ERROR_WANT_READ)
			watch(conn, false);
		else if (err == SSL_ERROR_WANT_WRITE)
			watch(conn, true);
		else
			conn_close(conn, "tls");
		return;
	}
	SSL_get0_alpn_selected(conn->ssl, &alpn, &alpn_len);
	if (alpn_len != 2 || memcmp(alpn, "h2", 2) != 0)
		conn_close(conn, "alpn");
	else
		conn_ready(conn);
}

static void connected(struct conn *conn)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len) || err) {
		conn_close(conn, "connect");
		return;
	}
	if (conn->client->opt.cleartext) {
		conn_ready(conn);
		return;
	}
	conn->ssl = SSL_new(conn->client->tls);
	if (!conn->ssl || !SSL_set_fd(conn->ssl, conn->fd) ||
	    !SSL_set_tlsext_host_name(conn->ssl, conn->client->opt.sni) ||
	    !SSL_set1_host(conn->ssl, conn->client->opt.sni))
		abort();
	SSL_set_connect_state(conn->ssl);
	conn->state = CONN_HANDSHAKE;
	handshake(conn);
}

struct conn *conn_open(struct client *client, unsigned slot)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = conn };
	int on = 1;

	if (!conn)
		abort();
	conn->client = client;
	conn->slot = slot;
	conn->number = client->conns_opened++;
	conn->waiting_tail = &conn->waiting;
	conn->opened_us = now_us(client);
	conn->want_write = true;
	conn->next = client->conns;
	client->conns = conn;
	client->slots[slot] = conn;
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0) {
		perror("h2rate: socket");
		exit(1);
	}
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* A refusal is reported by the first event, never from in here. */
	if (connect(conn->fd, (const struct sockaddr *)&client->opt.address, sizeof(client->opt.address)) &&
	    errno != EINPROGRESS)
		shutdown(conn->fd, SHUT_RDWR);
	epoll_ctl(client->epoll, EPOLL_CTL_ADD, conn->fd, &ev);
	return conn;
}

void conn_event(struct conn *conn, uint32_t events)
{
	switch (conn->state) {
	case CONN_CONNECTING:
		if (events & (EPOLLERR | EPOLLHUP))
			conn_close(conn, "connect");
		else if (events & EPOLLOUT)
			connected(conn);
		break;
	case CONN_HANDSHAKE:
		handshake(conn);
		break;
	case CONN_READY:
		if (events & EPOLLOUT)
			conn_flush(conn);
		conn_read(conn);
		break;
	case CONN_CLOSED:
		break;
	}
}

void conn_sweep(struct client *client)
{
	uint64_t now = now_us(client);

	for (struct conn *conn = client->conns; conn; conn = conn->next) {
		if (conn->state < CONN_READY && now > conn->opened_us + client->opt.timeout_us)
			conn_close(conn, "connect");
		if (conn->state == CONN_READY && conn->draining && conn->open_streams == 0)
			conn_close(conn, "closed");
	}
	for (struct conn **at = &client->conns; *at;) {
		struct conn *conn = *at;

		if (conn->state != CONN_CLOSED) {
			at = &conn->next;
			continue;
		}
		*at = conn->next;
		nghttp2_session_del(conn->session);
		SSL_free(conn->ssl);
		free(conn->out);
		free(conn);
	}
}
