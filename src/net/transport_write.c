/*
 * The writing half of a transport: small frames are gathered in the loop's stage until they fill a TLS
 * record, large pieces go to TLS where they lie, and what comes out leaves in one sendmsg per turn. Thread:
 * the transport's loop. Invariant: between turns the stage belongs to nobody.
 */
#include <assert.h>
#include <errno.h>
#include <sys/uio.h>

#include "transport_priv.h"

enum {
	RECORD_MAX = ISO_CHUNK_BYTES, /* plaintext of one TLS record (RFC 8446 section 5.1) */
	OUT_MAX = 128 * 1024,         /* wire bytes of one connection that wait for the kernel */
	IN_PLACE_MIN = 4096,          /* below, a copy is cheaper than a record of its own */
	ROUNDS_MAX = 4,               /* fill-and-send rounds in a turn before others get theirs */
	IOV_MAX_HERE = 16,
};

int iso_transport_queue(struct iso_transport *t, const void *bytes, size_t n)
{
	const uint8_t *from = bytes;
	size_t left = n;

	while (left > 0) {
		struct iso_chunk *tail = t->out_tail;
		size_t take;

		if (tail == NULL || tail->used == ISO_CHUNK_BYTES) {
			struct iso_chunk *chunk = iso_chunk_acquire(&t->loop->chunks);

			if (chunk == NULL)
				return ISO_ENOMEM; /* the stream of records is broken now: the caller fails it
						    */
			chunk->next = NULL;
			if (tail == NULL)
				t->out = chunk;
			else
				tail->next = chunk;
			t->out_tail = tail = chunk;
		}
		take = ISO_CHUNK_BYTES - tail->used;
		if (take > left)
			take = left;
		memcpy(tail->bytes + tail->used, from, take);
		tail->used += (uint32_t)take;
		from += take;
		left -= take;
	}
	t->queued += n;
	return ISO_OK;
}

static int put(struct iso_transport *t, const void *bytes, size_t n)
{
	int err = t->ssl != NULL ? iso_tls_io_write(t, bytes, n) : iso_transport_queue(t, bytes, n);

	if (err != ISO_OK)
		iso_transport_fail(t, err);
	return err;
}

static int put_stage(struct iso_transport *t)
{
	uint32_t n = t->staged;

	t->staged = 0;
	return n == 0 ? ISO_OK : put(t, t->loop->stage, n);
}

size_t iso_transport_room(const struct iso_transport *t)
{
	uint64_t used = t->queued - t->accepted + t->staged;

	return t->state != ISO_T_OPEN || used >= OUT_MAX ? 0 : (size_t)(OUT_MAX - used);
}

int iso_transport_write(struct iso_transport *t, const void *bytes, size_t n)
{
	const uint8_t *from = bytes;

	if (t->state != ISO_T_OPEN)
		return ISO_ERESET;
	while (n > 0) {
		size_t take = RECORD_MAX - t->staged;
		int err;

		if (take > n)
			take = n;
		memcpy(t->loop->stage + t->staged, from, take);
		t->staged += (uint32_t)take;
		from += take;
		n -= take;
		if (t->staged == RECORD_MAX && (err = put_stage(t)) != ISO_OK)
			return err;
	}
	return ISO_OK;
}

int iso_transport_write_body(struct iso_transport *t, const void *header, size_t header_len,
			     struct iso_buf *body, size_t len)
{
	struct iso_seg *seg = iso_buf_front(body);
	int err;

	assert(len <= body->bytes && header_len <= ISO_CHUNK_HEADROOM);
	if (t->state != ISO_T_OPEN)
		return ISO_ERESET;
	if (len >= IN_PLACE_MIN && seg->len >= len && seg->headroom >= header_len &&
	    header_len + len <= RECORD_MAX) {
		err = put_stage(t);
		if (err != ISO_OK)
			return err;
		if (header_len > 0)
			memcpy(seg->ptr - header_len, header, header_len);
		err = put(t, seg->ptr - header_len, header_len + len);
		iso_buf_consume(body, len);
		return err;
	}
	err = iso_transport_write(t, header, header_len);
	while (err == ISO_OK && len > 0) {
		size_t take;

		seg = iso_buf_front(body);
		take = seg->len < len ? seg->len : len;
		err = iso_transport_write(t, seg->ptr, take);
		iso_buf_consume(body, take);
		len -= take;
	}
	return err;
}

static void drop_sent(struct iso_transport *t, size_t n)
{
	t->accepted += n;
	n += t->out_first;
	while (t->out != NULL && n >= t->out->used) {
		struct iso_chunk *chunk = t->out;

		n -= chunk->used;
		t->out = chunk->next;
		iso_chunk_unref(chunk);
	}
	if (t->out == NULL)
		t->out_tail = NULL;
	t->out_first = (uint32_t)n;
}

/* One sendmsg of what waits. ISO_OK (all or some gone), ISO_EAGAIN (the kernel is full), or an error. */
static int send_out(struct iso_transport *t)
{
	struct iovec iov[IOV_MAX_HERE];
	struct msghdr msg = { .msg_iov = iov };
	uint32_t skip = t->out_first;
	ssize_t n;

	for (struct iso_chunk *chunk = t->out; chunk != NULL && msg.msg_iovlen < IOV_MAX_HERE;
	     chunk = chunk->next) {
		iov[msg.msg_iovlen].iov_base = chunk->bytes + skip;
		iov[msg.msg_iovlen].iov_len = chunk->used - skip;
		msg.msg_iovlen++;
		skip = 0;
	}
	do {
		n = sendmsg(t->fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		int errnum = errno;

		if (errnum == EAGAIN || errnum == EWOULDBLOCK) {
			t->kernel.writable = false;
			return ISO_EAGAIN;
		}
		iso_transport_note_errno("send", errnum);
		return iso_err_from_errno(errnum);
	}
	drop_sent(t, (size_t)n);
	return ISO_OK;
}

/* After the last byte: close_notify, then FIN. The peer's own end is waited for by the reading half. */
static void end_direction(struct iso_transport *t)
{
	if (t->ssl != NULL && !t->shut) {
		t->shut = true;
		iso_tls_io_close_notify(t);
		while (t->out != NULL && t->kernel.writable)
			if (send_out(t) != ISO_OK)
				break;
		if (t->out != NULL)
			return;
	}
	t->shut = t->fin = true;
	shutdown(t->fd, SHUT_WR);
	if (t->eof)
		iso_loop_post(t->loop, &t->again);
}

static bool fill_once(struct iso_transport *t)
{
	bool gone = false;

	if (t->state != ISO_T_OPEN || t->shut || iso_transport_room(t) == 0)
		return true;
	t->staged = 0;
	t->gone = &gone;
	t->ops->fill(t);
	if (gone)
		return false;
	t->gone = NULL;
	t->starved = iso_transport_room(t) == 0;
	if (t->state == ISO_T_OPEN)
		(void)put_stage(t); /* a failure has been noted in the transport */
	t->staged = 0;
	return true;
}

void iso_transport_flush(struct iso_transport *t)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		if (t->state == ISO_T_NONE || t->state == ISO_T_CONNECTING)
			return;
		if (!fill_once(t))
			return;
		while (t->out != NULL && t->kernel.writable && t->state != ISO_T_DEAD) {
			int err = send_out(t);

			if (err != ISO_OK && err != ISO_EAGAIN)
				iso_transport_fail(t, err);
		}
		if (t->state == ISO_T_DEAD || t->out != NULL)
			return; /* writable again: on_event brings us back */
		if (!t->starved)
			break;
	}
	if (t->starved) {
		iso_task_cancel(&t->again);             /* reading may wait for longer than writing does */
		iso_loop_post_next(t->loop, &t->again); /* others first; `again` makes it dirty */
	} else if ((t->finishing || t->ending) && t->out == NULL && !t->fin) /* once: a shutdown is an event
									      */
		end_direction(t);
}
