/*
 * The life and the reading half of a transport. Thread: its loop.
 * Edge-triggered readiness, registered once: `kernel` remembers what it said last. A
 * recv that fills less than it could has emptied the socket; EV_CLOSED says when an end follows those bytes.
 */
#include "iso/net/transport.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <linux/sockios.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "iso/net/tls.h"
#include "transport_priv.h"

enum {
	READS_MAX = 4,               /* recv calls of one transport before others have theirs */
	INPUT_MIN = 2048,            /* less room than this in the input chunk: take a new one */
	USER_TIMEOUT_MS = 10 * 1000, /* TCP_USER_TIMEOUT upstream: unacknowledged data this old is a dead path
				      */
};

static _Thread_local char why[200];

const char *iso_transport_why(void)
{
	return why;
}

void iso_transport_note_errno(const char *what, int errnum)
{
	char text[100];

	snprintf(why, sizeof(why), "%s: %s", what, strerror_r(errnum, text, sizeof(text)));
}

void iso_transport_note_text(const char *text)
{
	snprintf(why, sizeof(why), "%s", text);
}

void iso_transport_fail(struct iso_transport *t, int err)
{
	if (t->state == ISO_T_DEAD)
		return;
	t->state = ISO_T_DEAD;
	t->pending_err = err;
	iso_task_cancel(&t->again); /* what waits for later turns need not */
	iso_loop_post(t->loop, &t->again);
}

/* Calls an op that may end the transport; false: it did, and t must not be touched. */
static bool call_closed(struct iso_transport *t, int err)
{
	bool gone = false;

	t->gone = &gone;
	t->ops->closed(t, err);
	if (!gone)
		t->gone = NULL;
	return !gone;
}

static bool call_ready(struct iso_transport *t)
{
	bool gone = false;

	t->state = ISO_T_OPEN;
	t->ready_us = t->loop->now_us;
	t->gone = &gone;
	t->ops->ready(t);
	if (!gone)
		t->gone = NULL;
	return !gone;
}

/* Gives n bytes of `chunk` to the owner; what it leaves goes to the end of t->plain. False: t is gone. */
static bool deliver(struct iso_transport *t, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	bool gone = false;
	size_t used;

	if (t->finishing)
		return true; /* lingering: what still comes is thrown away */
	t->gone = &gone;
	used = t->ops->input(t, chunk, bytes, n);
	if (gone)
		return false;
	t->gone = NULL;
	assert(used <= n);
	if (used < n) {
		t->paused = true;
		if (iso_buf_append_seg(&t->plain, chunk, bytes + used, (uint32_t)(n - used), 0) != ISO_OK)
			iso_transport_fail(t, ISO_ENOMEM);
	}
	return true;
}

/* The chunk that the next record is decrypted into, with some room; NULL: no memory. */
static struct iso_chunk *input_chunk(struct iso_loop *loop)
{
	struct iso_chunk *chunk = loop->input_chunk;

	if (chunk != NULL && chunk->refs == 1)
		chunk->used = 0; /* nobody kept anything of it */
	if (chunk != NULL && ISO_CHUNK_BYTES - chunk->used >= INPUT_MIN)
		return chunk;
	iso_chunk_unref(chunk);
	loop->input_chunk = iso_chunk_acquire(&loop->chunks);
	return loop->input_chunk;
}

/* Decrypts and delivers the records in wire_in. False: t is gone. */
static bool read_records(struct iso_transport *t)
{
	while (!t->paused && t->state == ISO_T_OPEN) {
		struct iso_chunk *chunk = input_chunk(t->loop);
		uint8_t *at;
		size_t n = 0;
		int err;

		if (chunk == NULL) {
			iso_transport_fail(t, ISO_ENOMEM);
			return true;
		}
		at = chunk->bytes + chunk->used;
		err = iso_tls_io_read(t, at, ISO_CHUNK_BYTES - chunk->used, &n);
		if (err == ISO_EAGAIN)
			return true;
		if (err == ISO_EEOF) {
			t->eof = true;
			return true;
		}
		if (err != ISO_OK) {
			iso_transport_fail(t, err);
			return true;
		}
		chunk->used += (uint32_t)n;
		iso_chunk_ref(chunk); /* the loop may change its input chunk while the owner works */
		if (!deliver(t, chunk, at, n)) {
			iso_chunk_unref(chunk);
			return false;
		}
		iso_chunk_unref(chunk);
	}
	return true;
}

/* Feeds wire_in to the handshake and, once that is done, to the records. False: t is gone. */
static bool read_tls(struct iso_transport *t)
{
	if (t->state == ISO_T_HANDSHAKE) {
		int err = iso_tls_io_handshake(t);

		iso_transport_dirty(t);
		if (err == ISO_EAGAIN)
			return true;
		if (err != ISO_OK) {
			iso_transport_fail(t, err == ISO_EEOF ? ISO_ERESET : err);
			return true;
		}
		if (!call_ready(t))
			return false;
	}
	return read_records(t);
}

/* What was left over when the owner paused. False: t is gone. */
static bool read_leftovers(struct iso_transport *t)
{
	while (!t->paused && t->plain.bytes > 0 && t->state == ISO_T_OPEN) {
		struct iso_seg seg = *iso_buf_front(&t->plain);
		bool here;

		iso_chunk_ref(seg.chunk);
		iso_buf_consume(&t->plain, seg.len);
		if (t->plain.bytes > 0) { /* keep the order if the owner leaves some of it: one segment at a
					     time */
			struct iso_buf rest = t->plain;

			iso_buf_init(&t->plain);
			here = deliver(t, seg.chunk, seg.ptr, seg.len);
			if (here && iso_buf_move(&t->plain, &rest) != ISO_OK)
				iso_transport_fail(t, ISO_ENOMEM);
			iso_buf_done(&rest);
		} else {
			here = deliver(t, seg.chunk, seg.ptr, seg.len);
		}
		iso_chunk_unref(seg.chunk);
		if (!here)
			return false;
	}
	/* A record that OpenSSL holds already. */
	if (t->ssl != NULL && !t->paused && !t->truncated && !read_records(t))
		return false;
	while (!t->paused && t->parked.bytes > 0 && t->state != ISO_T_DEAD) {
		struct iso_seg *seg = iso_buf_front(&t->parked);
		size_t len = seg->len;

		t->wire_in = iso_slice(seg->ptr, len);
		if (!read_tls(t))
			return false;
		iso_buf_consume(&t->parked, len - t->wire_in.len);
		t->wire_in.len = 0;
	}
	return true;
}

/* One recv under TLS. Sets readable; *ret_here false: t is gone. */
static int recv_tls(struct iso_transport *t, bool *ret_here)
{
	ssize_t n = recv(t->fd, t->loop->scratch, ISO_SCRATCH_BYTES, 0);

	*ret_here = true;
	if (n <= 0)
		return n == 0 ? ISO_EEOF : iso_err_from_errno(errno);
	if (n < ISO_SCRATCH_BYTES)
		t->kernel.readable = t->kernel.hup || t->kernel.unsure;
	t->last_rx_us = t->loop->now_us;
	t->wire_in = iso_slice(t->loop->scratch, (size_t)n);
	*ret_here = read_tls(t);
	if (*ret_here && t->wire_in.len > 0 && t->state != ISO_T_DEAD && !t->eof &&
	    iso_buf_append_copy(&t->parked, &t->loop->chunks, t->wire_in.ptr, t->wire_in.len) != ISO_OK)
		iso_transport_fail(t, ISO_ENOMEM);
	if (*ret_here)
		t->wire_in.len = 0;
	return ISO_OK;
}

/* One recv in clear, straight into the input chunk. */
static int recv_clear(struct iso_transport *t, bool *ret_here)
{
	struct iso_chunk *chunk = input_chunk(t->loop);
	uint8_t *at;
	size_t room;
	ssize_t n;

	*ret_here = true;
	if (chunk == NULL)
		return ISO_ENOMEM;
	at = chunk->bytes + chunk->used;
	room = ISO_CHUNK_BYTES - chunk->used;
	n = recv(t->fd, at, room, 0);
	if (n <= 0)
		return n == 0 ? ISO_EEOF : iso_err_from_errno(errno);
	if ((size_t)n < room)
		t->kernel.readable = t->kernel.hup || t->kernel.unsure;
	t->last_rx_us = t->loop->now_us;
	chunk->used += (uint32_t)n;
	iso_chunk_ref(chunk);
	*ret_here = deliver(t, chunk, at, (size_t)n);
	iso_chunk_unref(chunk);
	return ISO_OK;
}

/* Reads until the socket is empty, the owner has enough or it is the others' turn. False: t is gone. */
static bool read_socket(struct iso_transport *t)
{
	int reads_max = t->ssl != NULL ? READS_MAX : READS_MAX * 4; /* clear reads are 16 KiB at most */

	for (int i = 0; t->kernel.readable && !t->paused && !t->eof && t->state != ISO_T_DEAD; i++) {
		bool here;
		int err;

		if (i == reads_max) {
			if (t->patient)
				iso_loop_post_later(t->loop, &t->again);
			else
				iso_loop_post_next(t->loop, &t->again);
			return true;
		}
		err = t->ssl != NULL ? recv_tls(t, &here) : recv_clear(t, &here);
		if (!here)
			return false;
		if (err == ISO_EEOF) {
			t->truncated = t->ssl != NULL;
			t->eof = true;
		} else if (err == ISO_EAGAIN) {
			t->kernel.readable = t->kernel.unsure = false;
		} else if (err != ISO_OK) {
			iso_transport_note_errno("recv", errno);
			iso_transport_fail(t, err);
		}
	}
	return true;
}

/* The peer's end, or that of both directions. False: t is gone. */
static bool tell_end(struct iso_transport *t)
{
	if (!t->eof || t->paused || t->state != ISO_T_OPEN)
		return true;
	if (t->finishing) {
		if (!t->fin || t->over_told)
			return true;
		t->over_told = t->eof_told = true;
		return call_closed(t, ISO_EEOF);
	}
	if (t->eof_told)
		return true;
	if (t->truncated && !t->bare_fin) {
		iso_transport_note_text("the peer closed the connection without close_notify");
		iso_transport_fail(t, ISO_ERESET);
		return true;
	}
	t->eof_told = true;
	return call_closed(t, ISO_EEOF);
}

static void drive(struct iso_transport *t)
{
	if (t->state == ISO_T_NONE || t->state == ISO_T_CONNECTING)
		return;
	if (t->state == ISO_T_OPEN && t->ready_us == 0 && !call_ready(t))
		return;
	if (t->state != ISO_T_DEAD && (!read_leftovers(t) || !read_socket(t)))
		return;
	if (t->eof && !t->paused && t->state == ISO_T_HANDSHAKE)
		iso_transport_fail(t, ISO_ERESET);
	if (!tell_end(t))
		return;
	if (t->state == ISO_T_DEAD && t->pending_err != ISO_OK) {
		int err = t->pending_err;

		t->pending_err = ISO_OK;
		(void)call_closed(t, err);
		return;
	}
	if (t->starved || t->finishing)
		iso_transport_dirty(t);
}

static void run_again(struct iso_task *task)
{
	drive(ISO_CONTAINER(task, struct iso_transport, again));
}

static void on_connected(struct iso_transport *t)
{
	int errnum = 0;
	socklen_t len = sizeof(errnum);

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) != 0)
		errnum = errno;
	t->state = t->ssl != NULL ? ISO_T_HANDSHAKE : ISO_T_OPEN;
	if (errnum != 0) {
		iso_transport_note_errno("connect", errnum);
		iso_transport_fail(t, iso_err_from_errno(errnum));
		return;
	}
	t->connected_us = t->loop->now_us;
	if (t->ssl != NULL)
		(void)read_tls(t); /* makes the ClientHello; there is nothing to read yet */
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct iso_transport *t = arg;

	(void)fd;
	iso_loop_enter(t->loop);
	if (what & EV_CLOSED)
		t->kernel.hup = t->kernel.readable = true;
	/* libevent tells an error as readable and writable, no more: behind the bytes of a short recv may be
	 * a reset. */
	if ((what & EV_READ) && (what & EV_WRITE))
		t->kernel.unsure = true;
	if (what & EV_READ)
		t->kernel.readable = true;
	if (what & EV_WRITE) {
		t->kernel.writable = true;
		if (t->state == ISO_T_CONNECTING)
			on_connected(t);
		else if (t->out != NULL || t->starved)
			iso_transport_dirty(t);
	}
	/* A client that hangs up hardly ever waits for anything. */
	if (t->patient || (t->served && t->kernel.hup))
		iso_loop_post_later(t->loop, &t->again);
	else
		drive(t);
}

static int start(struct iso_transport *t, struct iso_loop *loop, const struct iso_transport_ops *ops, int fd)
{
	memset(t, 0, sizeof(*t));
	t->loop = loop;
	t->ops = ops;
	t->fd = fd;
	t->started_us = t->last_rx_us = loop->now_us;
	iso_list_init(&t->dirty_link);
	iso_task_init(&t->again, run_again);
	t->event = event_new(loop->base, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_event,
			     t);
	if (t->event == NULL || event_add(t->event, NULL) != 0)
		return ISO_ENOMEM;
	return ISO_OK;
}

int iso_transport_connect(struct iso_transport *t, struct iso_loop *loop, const struct iso_transport_ops *ops,
			  const struct iso_sockaddr *to, struct iso_tls_client *tls, const char *sni)
{
	int fd = socket(to->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, user_timeout = USER_TIMEOUT_MS;
	int err;

	memset(t, 0, sizeof(*t));
	if (fd < 0)
		return iso_err_from_errno(errno);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
	if (connect(fd, &to->u.sa, to->len) != 0 && errno != EINPROGRESS) {
		iso_transport_note_errno("connect", errno);
		err = iso_err_from_errno(errno);
		close(fd);
		return err;
	}
	err = start(t, loop, ops, fd);
	t->state = ISO_T_CONNECTING;
	if (err == ISO_OK && tls != NULL)
		err = iso_tls_io_attach(t, iso_tls_client_ssl(tls, sni), true);
	if (err != ISO_OK)
		iso_transport_done(t);
	return err;
}

int iso_transport_accept(struct iso_transport *t, struct iso_loop *loop, const struct iso_transport_ops *ops,
			 int fd, struct iso_tls_server *tls)
{
	int err = start(t, loop, ops, fd);

	t->state = tls != NULL ? ISO_T_HANDSHAKE : ISO_T_OPEN;
	t->connected_us = loop->now_us;
	t->kernel.writable = t->served = t->patient = true;
	if (err == ISO_OK && tls != NULL)
		err = iso_tls_io_attach(t, iso_tls_server_ssl(tls), false);
	if (err != ISO_OK) {
		iso_transport_done(t);
		return err;
	}
	if (tls == NULL)
		iso_loop_post(loop, &t->again);
	return ISO_OK;
}

uint64_t iso_transport_unacknowledged(const struct iso_transport *t)
{
	int kernel = 0;

	if (ioctl(t->fd, SIOCOUTQ, &kernel) != 0)
		kernel = 0;
	return t->queued - t->accepted + (uint64_t)kernel;
}

void iso_transport_done(struct iso_transport *t)
{
	if (t == NULL || t->state == ISO_T_NONE)
		return;
	t->state = ISO_T_NONE;
	if (t->gone != NULL)
		*t->gone = true;
	iso_tls_io_free(t);
	if (t->event != NULL)
		event_free(t->event);
	t->event = NULL;
	close(t->fd);
	t->fd = -1;
	iso_list_remove(&t->dirty_link);
	iso_task_cancel(&t->again);
	iso_buf_done(&t->parked);
	iso_buf_done(&t->plain);
	while (t->out != NULL) {
		struct iso_chunk *chunk = t->out;

		t->out = chunk->next;
		iso_chunk_unref(chunk);
	}
	t->out_tail = NULL;
}

void iso_transport_finish(struct iso_transport *t)
{
	if (t->state == ISO_T_NONE || t->finishing)
		return;
	t->finishing = true;
	t->paused = false; /* from here on input is thrown away */
	iso_buf_done(&t->plain);
	iso_transport_dirty(t);
	if (t->fin) /* by iso_transport_end: nothing is left to flush */
		iso_loop_post(t->loop, &t->again);
}

void iso_transport_end(struct iso_transport *t)
{
	if (t->state == ISO_T_NONE || t->ending)
		return;
	t->ending = true;
	iso_transport_dirty(t);
}

void iso_transport_dirty(struct iso_transport *t)
{
	if (t->state != ISO_T_NONE && !iso_list_linked(&t->dirty_link))
		iso_list_push_back(&t->loop->dirty, &t->dirty_link);
}

void iso_transport_resume(struct iso_transport *t)
{
	if (t->state == ISO_T_NONE || !t->paused)
		return;
	t->paused = false;
	if (t->patient)
		iso_loop_post_later(t->loop, &t->again);
	else
		iso_loop_post(t->loop, &t->again);
}
