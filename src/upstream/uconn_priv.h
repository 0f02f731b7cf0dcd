/*
 * One connection to a region and the seam to its codec. Thread: its loop.
 *
 * A connection is closed at once (attempts ended, transport gone) but freed only from the run queue, so that
 * a codec that is on the stack never loses its session under its feet: codecs check `state` after each
 * callback.
 */
#ifndef ISO_UPSTREAM_UCONN_PRIV_H
#define ISO_UPSTREAM_UCONN_PRIV_H

#include "iso/upstream/attempt.h"
#include "pool_priv.h"

enum iso_uconn_state { ISO_UCONN_CONNECTING, ISO_UCONN_OPEN, ISO_UCONN_DRAINING, ISO_UCONN_CLOSED };

/* What a codec does for its connection: h1_client, h2_client. */
struct iso_client_ops {
	/* The transport is ready; iso_uconn_opened follows, now or later. ISO_OK or ISO_ENOMEM. */
	int (*init)(struct iso_uconn *c);
	/* Takes the attempt on: it is in c->attempts already. Failure comes by its end, from the run queue.
	 */
	void (*start)(struct iso_uconn *c, struct iso_attempt *a);
	/* The attempt's body has grown, ended or got trailers. */
	void (*body)(struct iso_uconn *c, struct iso_attempt *a);
	void (*consumed)(struct iso_uconn *c, struct iso_attempt *a, size_t n);
	/* Lets go of the attempt, which is over for its owner. */
	void (*cancel)(struct iso_uconn *c, struct iso_attempt *a);
	size_t (*input)(struct iso_uconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n);
	void (*fill)(struct iso_uconn *c);
	/* The peer ended its direction; whether the connection goes on all the same. */
	bool (*eof)(struct iso_uconn *c);
	/* Asks for a sign of life; iso_uconn_ping_acked follows. False: it cannot. */
	bool (*ping)(struct iso_uconn *c);
	void (*done)(struct iso_uconn *c);
};

extern const struct iso_client_ops iso_h1_client_ops;
extern const struct iso_client_ops iso_h2_client_ops;

struct iso_uconn {
	struct iso_transport t;
	struct iso_pool *pool;
	const struct iso_client_ops *ops; /* NULL while connecting */
	void *codec;                      /* the codec's own state */
	struct iso_list link;             /* in the pool's list, newest use first */
	struct iso_list attempts;         /* in the order of sending */
	struct iso_timer timer;           /* connecting: connect_timeout; open: idle culling and pings */
	struct iso_timer silence;         /* suspicion, while something waits */
	struct iso_task free_task;
	struct iso_tls_client *tls_client; /* one reference: it keeps our sessions; NULL: in clear */
	uint64_t idle_since_us, used;
	uint64_t progress_us;  /* when something other than a PING last came; 0: nothing did */
	uint64_t pinged_us;    /* when the last PING was sent; 0: none was */
	uint64_t measured_us;  /* when the round trip was last asked for */
	uint64_t ping_sent_us; /* of the one that has no answer; 0: none is on its way */
	uint32_t connect_us, tls_us;
	uint32_t serial; /* names it among the connections of all loops, as good as for good; never 0 */
	uint32_t streams, streams_max; /* open now; most at a time */
	struct iso_sockaddr addr;      /* of the endpoint, whose index may come to mean another one */
	uint8_t endpoint;
	uint8_t state;         /* enum iso_uconn_state */
	bool shunned;          /* it was silent while something waited: no new attempts */
	bool acked;            /* while shunned: it has answered a PING, so that TCP is alive */
	bool extended_connect; /* HTTP/2: the region takes RFC 8441's CONNECT */
	bool astray;           /* its address is no endpoint any more, whatever its index is now */
	bool dedicated;        /* HTTP/1.1 for a tunnel, in a pool that speaks HTTP/2 else */
	bool unpinged;         /* gRPC servers end a connection that is pinged while they are silent */
	bool reported;         /* its connect time has been given to an attempt */
};

/* Starts a connection to one of the region's endpoints. ISO_OK, or why not (nothing started). */
ISO_MUST_USE int iso_uconn_new(struct iso_pool *pool, uint8_t endpoint, bool dedicated);
/*
 * The codec can take attempts now, so many at a time: HTTP/1.1 when the transport is ready, HTTP/2 when the
 * region's SETTINGS have come, since streams beyond its limit would only be refused. Later calls change the
 * limit.
 */
void iso_uconn_opened(struct iso_uconn *c, uint32_t streams_max);
/* Ends its attempts with `outcome`, takes it out of the pool, closes, and frees it later. */
void iso_uconn_close(struct iso_uconn *c, enum iso_outcome outcome);
/* The same, but what has been written goes out first, for a moment at most. */
void iso_uconn_finish(struct iso_uconn *c, enum iso_outcome outcome);
/* No new attempts; closes when the last one has ended. */
void iso_uconn_drain(struct iso_uconn *c);
/* Whether it may take this attempt, which may need a live connection, or one that can be a tunnel; whether it
 * is shunned is the pool's question. */
bool iso_uconn_usable(const struct iso_uconn *c, const struct iso_attempt *a, uint64_t now_us);
/* The same, but for its room: it may be full now. */
bool iso_uconn_fits(const struct iso_uconn *c, const struct iso_attempt *a, uint64_t now_us);
/* Asks for a sign of life, at most once in ten seconds. */
void iso_uconn_ping(struct iso_uconn *c);
/* For codecs: something came that the region's application may have sent, so not a PING. */
void iso_uconn_progress(struct iso_uconn *c);
/* For codecs: the answer to a PING. It is a sign of life of the connection, not of the application. */
void iso_uconn_ping_acked(struct iso_uconn *c);
/* Hands it the attempt. */
void iso_uconn_assign(struct iso_uconn *c, struct iso_attempt *a);
/* A stream has ended: the connection may be idle, may close when draining, has room. Once per assigned
 * attempt. */
void iso_uconn_stream_ended(struct iso_uconn *c);

/* silence.c: how long the attempt is waited for in silence, by its route's own times where they are known. */
uint64_t iso_attempt_patience_us(const struct iso_attempt *a);
/* It has been sent, and waits for its head: the connection is looked at when that has taken too long. */
void iso_silence_watch(struct iso_attempt *a);
void iso_silence_on_timer(struct iso_timer *timer);

/* For codecs: what happens to an attempt. */
void iso_attempt_on_sent(struct iso_attempt *a); /* its first byte is about to be made: sets the mark */
void iso_attempt_on_head(struct iso_attempt *a, bool end);
void iso_attempt_on_data(struct iso_attempt *a, struct iso_buf *data, bool end);
/* The one way out: unlinks it everywhere, then ops->end. */
void iso_attempt_end(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed);
/* The same from the run queue, for failures inside a start. */
void iso_attempt_end_later(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed);

#endif
