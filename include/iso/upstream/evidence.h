/*
 * What a worker tells the control thread: cells that say how things stand right now, and a ring of samples,
 * one for each attempt that ended. A worker writes only its own; the control thread reads all. No lock.
 */
#ifndef ISO_UPSTREAM_EVIDENCE_H
#define ISO_UPSTREAM_EVIDENCE_H

#include <stdatomic.h>

#include "iso/aws/classify.h"
#include "iso/upstream/region.h"

/* How an attempt ended, whatever the protocol. */
#define ISO_OUTCOME_TABLE(X)                                                                                 \
	X(OK, "ok")                   /* a whole response */                                                 \
	X(CONNECT, "connect_failure") /* TCP: refused, unreachable, timed out; no address */                 \
	X(TLS, "tls_failure")                                                                                \
	X(REFUSED_STREAM, "refused_stream")                                                                  \
	X(GOAWAY, "goaway")           /* the stream was above GOAWAY's last id */                            \
	X(RESET, "reset")             /* the connection broke or the stream was reset */                     \
	X(TIMEOUT, "timeout")         /* per_try_timeout or the deadline */                                  \
	X(PROTOCOL, "protocol_error") /* the response was malformed */                                       \
	X(OVERLOAD, "overload")       /* our own limit: no stream, no memory */                              \
	X(CANCELLED, "cancelled")     /* the client went away, or another attempt won */                     \
	X(STATUS, "status")           /* a whole response that counts as a failure of the region */

enum iso_outcome {
#define X(id, text) ISO_OUTCOME_##id,
	ISO_OUTCOME_TABLE(X)
#undef X
		ISO_OUTCOME_COUNT
};

const char *iso_outcome_text(enum iso_outcome outcome);

/* What a sample speaks of. The members that a kind does not name are 0. */
enum iso_sample_kind {
	ISO_SAMPLE_TRY,       /* an attempt that has got its head, or has ended without; all members but us */
	ISO_SAMPLE_TOTAL,     /* an attempt whose good answer has ended well: us, from start to end */
	ISO_SAMPLE_LINK_UP,   /* a connection is open: connect_us, tls_us */
	ISO_SAMPLE_LINK_DOWN, /* one could not be opened: outcome */
	ISO_SAMPLE_RTT,       /* us: a round trip without the application's time */
};

enum { ISO_ENDPOINT_NONE = UINT8_MAX };

struct iso_sample {
	uint64_t start_us, end_us;   /* loop time (CLOCK_MONOTONIC) */
	uint32_t ttfb_us;            /* start to response head, connecting not included; 0: no head came */
	uint32_t connect_us, tls_us; /* of the connection, when this attempt opened it; else 0 */
	uint32_t retry_after_us;     /* what the region asked for; 0: nothing */
	uint32_t api_key;            /* of a 429: hash of the x-api-key that it was sent with; 0: none */
	uint32_t conn; /* the connection that is to blame: it broke, or was silent. 0: none is known */
	uint16_t slot, status;
	uint32_t us;
	uint32_t endpoints_epoch; /* of `endpoint` */
	uint8_t kind;             /* enum iso_sample_kind */
	uint8_t endpoint;         /* ISO_ENDPOINT_NONE: it had none */
	uint8_t outcome;          /* enum iso_outcome */
	uint8_t fault;            /* enum iso_fault: only REGION (and THROTTLE) count against the region */
	uint8_t executed;         /* enum iso_executed */
	uint8_t track;            /* number of its route's; 0: none (TRY, TOTAL) */
	bool probe;
};

/* One worker's view of one region now. */
struct iso_cell {
	_Alignas(64) _Atomic uint64_t oldest_us; /* start of the oldest attempt that waits for its head; 0:
						    none */
	_Atomic uint64_t progress_us;            /* when a byte last came from the region */
	/* Since when nothing has come while an attempt waits for longer than its route, which is measured by
	 * itself, ever takes; 0: none does. Such attempts are not in oldest_us. */
	_Atomic uint64_t overdue_us;
	_Atomic uint32_t waiting;   /* attempts that wait for their head, sent off already */
	_Atomic uint32_t in_flight; /* attempts not ended */
	_Atomic uint32_t connections;
	_Atomic uint64_t failed_us; /* when its last answer came, if it was a failure of its own; else 0 */
};

enum { ISO_RING_SAMPLES = 16384 };

struct iso_evidence {
	struct iso_cell cells[ISO_REGION_SLOTS];
	struct {
		_Alignas(64) _Atomic uint32_t head; /* the worker writes */
		_Alignas(64) _Atomic uint32_t tail; /* control writes */
		_Alignas(64) _Atomic uint64_t dropped;
		struct iso_sample *samples; /* ISO_RING_SAMPLES */
	} ring;
};

ISO_MUST_USE int iso_evidence_init(struct iso_evidence *evidence);
void iso_evidence_done(struct iso_evidence *evidence);
/* Worker. A full ring drops the sample and counts it. */
void iso_evidence_push(struct iso_evidence *evidence, const struct iso_sample *sample);
/* Worker: how an attempt ended: a failure that is the region's fault, a good answer (forgets it), or neither.
 */
void iso_evidence_note(struct iso_evidence *evidence, uint32_t slot, bool failed, bool good, uint64_t now_us);
/* Control: the next sample; false when there is none. */
bool iso_evidence_pop(struct iso_evidence *evidence, struct iso_sample *ret_sample);

#endif
