/*
 * For the tests of transports: one transport on a loop, whose ops keep what they saw, and a peer that is a
 * plain descriptor. The loop turns each millisecond, so that a condition on the peer's side is seen, too.
 */
#ifndef ISO_TEST_NET_TRANSPORT_RIG_H
#define ISO_TEST_NET_TRANSPORT_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/loop_guard.h"
#include "iso/net/transport.h"

enum { RIG_BYTES = 2 * 1024 * 1024 };

/* Where the owner ends the transport. */
enum rig_end { END_NOWHERE, END_IN_READY, END_IN_INPUT, END_IN_FILL, END_IN_CLOSED };

struct rig {
	struct guarded_loop g;
	struct iso_timer tick;
	struct iso_transport t;
	int peer;
	enum rig_end end_in;
	bool starting; /* no callback may fire */
	int readies, inputs, fills, closes, last_err;
	int after_end; /* callbacks after iso_transport_done */
	bool ended;
	size_t take_max;           /* bytes that one input takes */
	size_t got_n;              /* what input took, in order */
	size_t send_n, sent_n;     /* of `bytes`, through fill */
	size_t piece;              /* of one iso_transport_write */
	uint64_t accepted, queued; /* kept when it ended */
	int write_err;
	bool (*until)(void);
	uint8_t *bytes, *got, *read; /* the pattern; what input took; what the peer read */
	size_t read_n;
};

static struct rig r;

static inline void rig_end(void)
{
	r.accepted = r.t.accepted;
	r.queued = r.t.queued;
	iso_transport_done(&r.t);
	r.ended = true;
}

static inline void rig_called(enum rig_end where)
{
	assert_false(r.starting);
	r.after_end += r.ended;
	if (r.end_in == where)
		rig_end();
}

static inline void rig_ready(struct iso_transport *t)
{
	assert_ptr_equal(t, &r.t);
	assert_int_equal(r.inputs + r.closes, 0);
	r.readies++;
	rig_called(END_IN_READY);
}

static inline size_t rig_input(struct iso_transport *t, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	size_t take = n < r.take_max ? n : r.take_max;

	assert_ptr_equal(t, &r.t);
	assert_true(n > 0);
	assert_true(bytes >= chunk->bytes && bytes + n <= chunk->bytes + ISO_CHUNK_BYTES);
	assert_int_equal(r.closes, 0);
	r.inputs++;
	assert_true(r.got_n + take <= RIG_BYTES);
	memcpy(r.got + r.got_n, bytes, take);
	r.got_n += take;
	rig_called(END_IN_INPUT);
	return take;
}

static inline void rig_fill(struct iso_transport *t)
{
	size_t room;

	assert_ptr_equal(t, &r.t);
	r.fills++;
	assert_true(iso_transport_room(t) > 0); /* it is not asked in vain */
	while (r.sent_n < r.send_n && (room = iso_transport_room(t)) > 0) {
		size_t n = r.send_n - r.sent_n;

		n = n < room ? n : room;
		n = n < r.piece ? n : r.piece;
		r.write_err = iso_transport_write(t, r.bytes + r.sent_n, n);
		if (r.write_err != ISO_OK)
			break;
		r.sent_n += n;
	}
	rig_called(END_IN_FILL);
}

static inline void rig_closed(struct iso_transport *t, int err)
{
	assert_ptr_equal(t, &r.t);
	assert_int_not_equal(err, ISO_OK);
	r.closes++;
	r.last_err = err;
	rig_called(END_IN_CLOSED);
}

static const struct iso_transport_ops rig_ops = { rig_ready, rig_input, rig_fill, rig_closed };

static inline void rig_turn_ended(void *arg)
{
	(void)arg;
	if (r.until != NULL && r.until())
		iso_loop_stop(&r.g.loop);
}

static inline void rig_tick(struct iso_timer *timer)
{
	iso_timer_set(&r.g.loop.wheel, timer, r.g.loop.now_us + 1000);
}

static inline int rig_setup(void **state)
{
	uint8_t *bytes[] = { malloc(RIG_BYTES), malloc(RIG_BYTES), malloc(RIG_BYTES) };

	(void)state;
	memset(&r, 0, sizeof(r));
	guarded_init(&r.g);
	r.bytes = bytes[0];
	r.got = bytes[1];
	r.read = bytes[2];
	for (uint32_t i = 0; i < RIG_BYTES; i++)
		r.bytes[i] = (uint8_t)(i ^ (i >> 8) * 31 ^ (i >> 16) * 7);
	r.peer = -1;
	r.take_max = SIZE_MAX;
	r.piece = 1000;
	r.g.loop.hooks.end = rig_turn_ended;
	iso_timer_init(&r.tick, rig_tick);
	iso_timer_set(&r.g.loop.wheel, &r.tick, iso_clock_mono_us());
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	iso_transport_done(&r.t);
	if (r.peer >= 0)
		close(r.peer);
	r.until = NULL;
	iso_loop_run_leftovers(&r.g.loop);
	iso_timer_clear(&r.g.loop.wheel, &r.tick);
	guarded_done(&r.g); /* asserts that every chunk has come back */
	free(r.bytes);
	free(r.got);
	free(r.read);
	return 0;
}

static inline void rig_until(bool (*condition)(void))
{
	r.until = condition;
	guarded_run(&r.g);
	r.until = NULL;
}

/* For a while, to see that nothing more happens. */
static inline void rig_rest(void)
{
	guarded_run_for(&r.g, 5000);
}

static inline void nonblocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static inline void rig_accept(struct iso_tls_server *tls)
{
	int fds[2], bytes = 8192;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	/* So small that the kernel takes little: what waits then waits in the transport. */
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	r.peer = fds[1];
	r.starting = true;
	assert_int_equal(iso_transport_accept(&r.t, &r.g.loop, &rig_ops, fds[0], tls), ISO_OK);
	r.starting = false;
}

static inline void rig_send(size_t n)
{
	r.send_n += n;
	iso_transport_dirty(&r.t);
}

static inline void peer_write(const void *bytes, size_t n)
{
	assert_int_equal(send(r.peer, bytes, n, MSG_NOSIGNAL), n);
}

/* What has come, at most n bytes; false: the end or an error. */
static inline bool peer_read(size_t n)
{
	ssize_t got = 1;

	while (n > 0 && got > 0) {
		got = recv(r.peer, r.read + r.read_n, n < RIG_BYTES - r.read_n ? n : RIG_BYTES - r.read_n, 0);
		if (got > 0) {
			r.read_n += (size_t)got;
			n -= (size_t)got;
		}
	}
	return got > 0 || (got < 0 && errno == EAGAIN);
}

/* Conditions. */
static inline bool is_ready(void)
{
	return r.readies > 0;
}

static inline bool is_closed(void)
{
	return r.closes > 0;
}

static inline bool has_ended(void)
{
	return r.ended;
}

static inline bool peer_has_all(void)
{
	return !peer_read(SIZE_MAX) || r.read_n >= r.send_n;
}

static inline bool peer_sees_the_end(void)
{
	return !peer_read(SIZE_MAX);
}

#endif
