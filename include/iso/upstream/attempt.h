/*
 * One try of an exchange against one region: from the wait for a connection to the end of the response, the
 * same over HTTP/1.1 and HTTP/2. Bound to one loop; embedded in its owner, which must outlive it.
 */
#ifndef ISO_UPSTREAM_ATTEMPT_H
#define ISO_UPSTREAM_ATTEMPT_H

#include "iso/aws/classify.h"
#include "iso/http/message.h"
#include "iso/policy/safety.h"
#include "iso/upstream/evidence.h"
#include "iso/upstream/upstream.h"

struct iso_attempt;
struct iso_uconn;

/* Called on the loop; none fires inside start or cancel; `end` exactly once and last (never after cancel). */
struct iso_attempt_ops {
	/* A 1xx or the final head. Fields live in the attempt's arena. */
	void (*head)(struct iso_attempt *a, const struct iso_head *head, bool end);
	/* Moves the segments out. Each byte must come back by iso_attempt_consumed. */
	void (*data)(struct iso_attempt *a, struct iso_buf *data, bool end);
	void (*trailers)(struct iso_attempt *a, const struct iso_fields *trailers);
	/* n request body bytes have been handed to the transport. */
	void (*writable)(struct iso_attempt *a, size_t n);
	/*
	 * It has waited for longer than the region's patience and nothing came on its connection meanwhile
	 * (or it has no connection yet): a safe request may be rescued elsewhere. At most once; may be NULL.
	 */
	void (*suspect)(struct iso_attempt *a);
	/* May free the attempt. OK: the whole response has been delivered before. */
	void (*end)(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed);
};

struct iso_attempt_spec {
	const struct iso_attempt_ops *ops;
	const struct iso_cfg_service *service;
	uint32_t region;             /* index in the service */
	struct iso_arena *arena;     /* for the response's fields */
	const struct iso_head *head; /* edited for this region: authority, path, fields; lives as long as the
					attempt */
	bool end;                    /* no body follows */
	bool idempotent;             /* may use a connection that has been silent for a while */
	bool probe;                  /* measured apart; may use an ejected endpoint */
	int endpoint;                /* a certain endpoint, or -1: the best */
	uint16_t avoid_endpoints;    /* bit i: endpoint i was tried already */
	uint8_t track;               /* number of its route's own numbers; 0: none */
};

struct iso_attempt {
	/* For the owner to read. Times are loop times; 0: has not happened. */
	uint64_t started_us, sent_us, head_us, ended_us;
	uint32_t connect_us, tls_us; /* when this attempt waited for a new connection */
	uint16_t slot, status;
	uint8_t endpoint; /* ISO_ENDPOINT_NONE: it has not come to one */
	int end_err;      /* why there was no connection (enum iso_err); 0: there was one */
	bool over_h2;
	uint32_t endpoints_epoch; /* of the board that endpoint is an index of */
	uint32_t blamed;          /* serial of the connection that broke or was silent under it; 0: none */
	uint64_t received_bytes;  /* response body */
	/* The rest is for upstream/. */
	const struct iso_attempt_ops *ops;
	struct iso_attempt_spec spec;
	struct iso_upstream *upstream;
	struct iso_uconn *conn;    /* NULL while it waits for one */
	struct iso_list link;      /* pool's queue, or the connection's list */
	struct iso_list wait_link; /* one of the pool's lists of those that wait for their head */
	struct iso_task ending;    /* an end that must not fire inside start */
	struct iso_head response;
	struct iso_buf body; /* request body not handed to the transport yet */
	const struct iso_fields *trailers;
	uint64_t mark;     /* transport's `queued` when our first byte was made; UINT64_MAX: none was */
	size_t unconsumed; /* response bytes given to the owner that have not come back */
	int32_t stream_id;
	uint32_t head_bytes; /* HTTP/2: decoded, of the heads, or of the trailers, that have come */
	uint8_t interim;     /* HTTP/2: heads before the final one */
	uint8_t phase, end_outcome, end_executed;
	bool body_end, deferred, waiting, answered, got_final, response_done, suspected, loads;
};

/*
 * Never fails at once: what goes wrong comes by `end` later in the turn. The attempt has no timeout of its
 * own beyond the service's connect_timeout: the owner cancels it.
 */
void iso_attempt_start(struct iso_attempt *a, struct iso_upstream *upstream,
		       const struct iso_attempt_spec *spec);
/* Request body: moves the segments out of *data. ISO_OK or ISO_ENOMEM. Only before end was given. */
ISO_MUST_USE int iso_attempt_body(struct iso_attempt *a, struct iso_buf *data, bool end);
/* Request trailers; they end the request. */
void iso_attempt_trailers(struct iso_attempt *a, const struct iso_fields *trailers);
/* n response bytes need no memory any more: the peer may send as many. */
void iso_attempt_consumed(struct iso_attempt *a, size_t n);
/* Stops it (RST_STREAM, or closes an HTTP/1.1 connection); no callback after. Fine on an ended or zeroed one.
 */
void iso_attempt_cancel(struct iso_attempt *a);
/* How much of the request the kernel has taken, or will take. */
enum iso_written iso_attempt_written(const struct iso_attempt *a);
/* Whether it may have run, if it broke off so now. */
enum iso_executed iso_attempt_executed(const struct iso_attempt *a, enum iso_break how);

#endif
