/*
 * May this attempt be tried again? The rule that keeps a POST from running twice (PRODUCT.md section 6; RFC
 * 9110 section 9.2.2, RFC 9113 section 8.7). Pure.
 */
#ifndef ISO_POLICY_SAFETY_H
#define ISO_POLICY_SAFETY_H

#include <stdbool.h>
#include <stdint.h>

#include "iso/aws/classify.h"

/* How much of the request's bytes the kernel had taken from us. */
enum iso_written { ISO_WRITTEN_NOTHING, ISO_WRITTEN_PART, ISO_WRITTEN_WHOLE, ISO_WRITTEN_COUNT };

/* How the transport let go of a request. */
#define ISO_BREAK_TABLE(X)                                                                                   \
	X(CONNECT, "no connection: DNS, TCP or the connect timeout")                                         \
	X(TLS, "the TLS handshake failed")                                                                   \
	X(REFUSED, "RST_STREAM with REFUSED_STREAM")                                                         \
	X(GOAWAY_ABOVE, "GOAWAY with a last stream id below it")                                             \
	X(GOAWAY_COVERED, "GOAWAY that covers it, and then the end")                                         \
	X(STREAM, "RST_STREAM with any other code")                                                          \
	X(CLOSE, "the connection was closed or reset")                                                       \
	X(GIVEN_UP, "we gave up: timeout, or another attempt won")

enum iso_break {
#define X(id, text) ISO_BREAK_##id,
	ISO_BREAK_TABLE(X)
#undef X
		ISO_BREAK_COUNT
};

const char *iso_break_text(enum iso_break how);
const char *iso_written_text(enum iso_written written); /* "nothing", "a part", "all" */
/*
 * Whether a request that the transport let go of may have run. answered: its connection had brought an answer
 * to it, be it an interim one: a peer that then says it never looked at it is not believed. RFC 9113 sections
 * 6.8 and 8.7. A request of which a part was sent may have run: a server may begin before it has it all.
 */
enum iso_executed iso_safety_executed(enum iso_break how, enum iso_written written, bool answered);

/* How an attempt came to its end; the caller maps its transport's outcomes. */
enum iso_ending {
	ISO_ENDING_RESPONSE, /* a final head came: status, fault and executed speak of it */
	ISO_ENDING_CONNECT,
	ISO_ENDING_TLS,
	ISO_ENDING_REFUSED_STREAM,
	ISO_ENDING_GOAWAY,
	ISO_ENDING_RESET,     /* the connection or the stream broke off, or the response was malformed */
	ISO_ENDING_TIMEOUT,   /* per_try_timeout */
	ISO_ENDING_OVERLOAD,  /* our own limit for this region */
	ISO_ENDING_CANCELLED, /* nobody wants it any more */
};

/* What the API itself does with the Idempotency-Key of this request. */
enum iso_key_scope {
	ISO_KEY_NONE, /* no key came, or the API does not honour it */
	ISO_KEY_REGION,
	ISO_KEY_GLOBAL,
};

struct iso_safety_facts {
	enum iso_ending ending;
	enum iso_executed executed;
	enum iso_fault fault; /* of a response */
	enum iso_key_scope key;
	uint16_t status; /* of a response */
	bool listed;     /* the status is one of retry.statuses */
	bool idempotent; /* by its method (RFC 9110 section 9.2.2), or the route says so */
	bool committed;  /* a byte of the final response has gone downstream */
	bool replayable; /* the whole request body so far is still there, or there is none */
	bool early;      /* it came with Early-Data: 425 is for the client (RFC 8470 section 5.2) */
	uint32_t deadline_used_milli; /* thousandths of the exchange's deadline */
};

enum iso_retry { ISO_RETRY_NO, ISO_RETRY_SAME_REGION, ISO_RETRY_ANYWHERE };

/* Values of `reason` on isochrone_retries_total. */
#define ISO_RETRY_REASON_TABLE(X)                                                                            \
	X(CONNECT, "connect")                                                                                \
	X(TLS, "tls")                                                                                        \
	X(RESET, "reset")                                                                                    \
	X(REFUSED_STREAM, "refused_stream")                                                                  \
	X(GOAWAY, "goaway")                                                                                  \
	X(TIMEOUT, "timeout")                                                                                \
	X(STATUS, "status")                                                                                  \
	X(THROTTLE, "throttle")                                                                              \
	X(RESCUE, "rescue")                                                                                  \
	X(HEDGE, "hedge")                                                                                    \
	X(OVERLOAD, "overload")

enum iso_retry_reason {
#define X(id, text) ISO_RETRY_REASON_##id,
	ISO_RETRY_REASON_TABLE(X)
#undef X
		ISO_RETRY_REASON_COUNT
};

/* Why no other try follows: values of `reason` on isochrone_not_retried_total, and the words for people. */
#define ISO_STAY_TABLE(X)                                                                                    \
	X(GOOD, "good", "the answer is good")                                                                \
	X(COMMITTED, "committed", "the response has begun to go downstream")                                 \
	X(CANCELLED, "cancelled", "cancelled")                                                               \
	X(BODY, "body", "the request body is not kept")                                                      \
	X(CLIENT, "client_fault", "the client's fault")                                                      \
	X(APPLICATION, "application", "the application's own answer")                                        \
	X(EXECUTED, "executed", "it was executed and its status is not listed")                              \
	X(STATUS, "status", "it may have run and its status is not listed")                                  \
	X(LATE, "late", "timed out late: half of the deadline is used")                                      \
	X(UNSAFE, "unsafe", "it may have run and is not idempotent")                                         \
	X(NO_REGION, "no_region", "no region is allowed")                                                    \
	X(ATTEMPTS, "attempts", "no attempt is left")                                                        \
	X(BUDGET, "budget", "the retry budget is used up")                                                   \
	X(LIMITS, "limits", "every other region is out or at its limit")                                     \
	X(RETRY_AFTER, "retry_after", "the region asks to wait beyond the deadline")

enum iso_stay {
	ISO_STAY_NONE, /* another try follows */
#define X(id, text, words) ISO_STAY_##id,
	ISO_STAY_TABLE(X)
#undef X
		ISO_STAY_COUNT
};

const char *iso_stay_text(enum iso_stay stay);  /* the label; NULL for NONE */
const char *iso_stay_words(enum iso_stay stay); /* for people; NULL for NONE */

struct iso_verdict {
	enum iso_retry retry;
	enum iso_retry_reason reason; /* what a retry is, or would be, for */
	enum iso_stay stay;           /* why not; NONE when it may be tried again */
};

/* Always fills *ret_verdict. */
void iso_safety_judge(const struct iso_safety_facts *facts, struct iso_verdict *ret_verdict);
/*
 * A second attempt while the first may still run (rescue, hedge): only what may run at any later time, too. A
 * hung PUT may run after a newer one and undo it, so being idempotent by method is not enough.
 */
bool iso_safety_may_double(bool safe_method, bool route_idempotent);
const char *iso_retry_reason_text(enum iso_retry_reason reason);

#endif
