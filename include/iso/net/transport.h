/*
 * A byte stream over a descriptor that we own, in clear or under TLS, bound to one loop.
 *
 * Reading: one large recv into the loop's scratch, decrypted record by record into a chunk, given to `input`
 * as a range of that chunk, which the owner may keep by taking a reference. Writing: `fill` is called at
 * the end of a turn when the transport is dirty, and once more after what comes later in it; what it writes
 * is gathered into full TLS records, encrypted into pooled chunks and leaves in one send. An idle connection
 * owns no buffer.
 *
 * `queued` and `accepted` are monotone offsets of wire bytes: made for the peer, and taken by the kernel. A
 * request whose first byte was made at `queued` = Q has provably not left while accepted <= Q.
 */
#ifndef ISO_NET_TRANSPORT_H
#define ISO_NET_TRANSPORT_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "iso/net/loop.h"

struct ssl_st;
struct iso_tls_client;
struct iso_tls_server;
struct iso_transport;

struct iso_sockaddr {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} u;
};

enum iso_alpn { ISO_ALPN_NONE, ISO_ALPN_HTTP11, ISO_ALPN_H2 };

/* Called on the loop thread. None of them fires inside start, write, dirty or resume. */
struct iso_transport_ops {
	/* Connected and, under TLS, shaken hands; ->alpn is known. Once. */
	void (*ready)(struct iso_transport *t);
	/*
	 * Plaintext in `chunk` (borrowed: take a reference to keep it). Returns the bytes used; fewer than n
	 * pauses reading until iso_transport_resume, and the rest comes again.
	 */
	size_t (*input)(struct iso_transport *t, struct iso_chunk *chunk, uint8_t *bytes, size_t n);
	/* Write now, at most iso_transport_room bytes or a little over. Called again when room has come back.
	 */
	void (*fill)(struct iso_transport *t);
	/* ISO_EEOF: the peer ended its direction (writing may go on); after iso_transport_finish: both have
	 * ended. Else the transport is dead. At most once each. */
	void (*closed)(struct iso_transport *t, int err);
};

/* What the kernel said last. */
struct iso_readiness {
	bool readable, writable;
	bool hup;    /* the peer's end follows what can be read */
	bool unsure; /* or an error may */
};

struct iso_transport {
	struct iso_loop *loop;
	const struct iso_transport_ops *ops;
	struct event *event;
	struct ssl_st *ssl;
	struct iso_list dirty_link;
	struct iso_task again;            /* reading or flushing continues, at once or later */
	struct iso_buf parked;            /* wire bytes that came but were not asked for yet */
	struct iso_buf plain;             /* decrypted bytes that the owner has not taken yet */
	struct iso_chunk *out, *out_tail; /* encrypted (or clear) bytes for the kernel; used is the fill */
	struct iso_readiness kernel;
	struct iso_slice wire_in; /* what of the scratch the BIO has not handed to OpenSSL yet */
	uint64_t queued, accepted;
	uint64_t last_rx_us;                         /* loop time of the last byte from the peer */
	uint64_t started_us, connected_us, ready_us; /* for measuring; 0: not yet */
	uint32_t out_first;                          /* bytes of `out` that are sent already */
	uint32_t staged;                             /* plaintext in the loop's stage: ours while fill runs */
	int fd;
	enum iso_alpn alpn;
	uint8_t state;
	bool *gone;      /* set to true by done while a callback of ours is on the stack */
	int pending_err; /* reported by `closed` from the run queue */
	bool paused, eof, eof_told, truncated, starved, finishing, shut, fin;
	bool ending; /* our direction is to end with what has been written */
	bool over_told;
	bool served;   /* accepted, not connected */
	bool patient;  /* the owner's: what the peer sends is read when others have had theirs */
	bool bare_fin; /* the owner takes a FIN without close_notify for an end, and not for a break */
	bool resumed_session;
};

/*
 * Starts a non-blocking connect. tls NULL: clear. sni: the name sent and verified (NULL or an IP literal:
 * none sent, the IP verified). The result comes by `ready` or `closed`; there is no timeout in here: the
 * owner's timer calls iso_transport_done. On an error nothing was started.
 */
ISO_MUST_USE int iso_transport_connect(struct iso_transport *t, struct iso_loop *loop,
				       const struct iso_transport_ops *ops, const struct iso_sockaddr *to,
				       struct iso_tls_client *tls, const char *sni);
/* Wire bytes that were made and that the peer has not acknowledged, here or in the kernel. */
uint64_t iso_transport_unacknowledged(const struct iso_transport *t);
/*
 * Takes an accepted, non-blocking fd (closed on error too). tls NULL: clear; `ready` comes in this turn. It
 * is patient until its owner says otherwise: others go before its handshake.
 */
ISO_MUST_USE int iso_transport_accept(struct iso_transport *t, struct iso_loop *loop,
				      const struct iso_transport_ops *ops, int fd,
				      struct iso_tls_server *tls);
/* Closes at once; no callback after it. Fine on zeroed and on done transports. May be called from callbacks.
 */
void iso_transport_done(struct iso_transport *t);
/* Flushes, sends close_notify and FIN, then `closed` comes with ISO_EEOF or an error; the owner then calls
 * done. */
void iso_transport_finish(struct iso_transport *t);
/*
 * Ends our direction once all that has been written is gone: close_notify (which leaves the other direction
 * open, RFC 8446 section 6.1; OpenSSL does so for TLS 1.2 as well) and FIN. `fill` is not called any more,
 * `input` goes on. May be called from fill.
 */
void iso_transport_end(struct iso_transport *t);

/* Asks for a `fill` at the end of this turn. */
void iso_transport_dirty(struct iso_transport *t);
/* Whether work waits for a later turn: something of the peer's, that may have come in time, can be among it.
 */
static inline bool iso_transport_is_queued(const struct iso_transport *t)
{
	return iso_list_linked(&t->again.link);
}
/* The kernel takes no more of what has been written: the peer is not reading, or slowly. */
static inline bool iso_transport_is_blocked(const struct iso_transport *t)
{
	return t->out != NULL && !t->kernel.writable;
}
/* Continues `input` after it took less than it got. */
void iso_transport_resume(struct iso_transport *t);

/* From `fill` only. How many more bytes are welcome; 0: stop, `fill` will be called again. */
size_t iso_transport_room(const struct iso_transport *t);
/* Small things: copied into the current record. ISO_OK, ISO_ENOMEM, ISO_ETLS (then the transport is dead). */
ISO_MUST_USE int iso_transport_write(struct iso_transport *t, const void *bytes, size_t n);
/*
 * A header (at most ISO_CHUNK_HEADROOM bytes) and `len` bytes from the front of body, consumed. Large pieces
 * go to TLS in place.
 */
ISO_MUST_USE int iso_transport_write_body(struct iso_transport *t, const void *header, size_t header_len,
					  struct iso_buf *body, size_t len);

/* Text of the last TLS or system error of this thread's transport calls, for logs. Borrowed until the next
 * call. */
const char *iso_transport_why(void);

#endif
