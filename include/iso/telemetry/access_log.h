/*
 * The access log: one JSON object a line for every exchange, with each of its attempts. A worker formats the
 * line into memory of its own and pushes it into its ring; the scribe, one thread, writes all rings out.
 *
 * The worker never waits and, while the scribe is at work, makes no system call: a line that does not fit is
 * dropped and counted. The scribe writes whole lines, so that no line is torn by another worker's.
 */
#ifndef ISO_TELEMETRY_ACCESS_LOG_H
#define ISO_TELEMETRY_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso/base/err.h"
#include "iso/base/slice.h"

enum {
	ISO_LOG_LINE_MAX = 30720,  /* no record makes a longer line, the line feed included */
	ISO_LOG_ATTEMPTS_MAX = 16, /* of more, the first 15 and the last are logged */
	ISO_LOG_REASONS_MAX = 16,  /* of more, the first 16 */
	ISO_LOG_DECISIONS_MAX = 3,
	ISO_LOG_DECISION_MAX = 4352, /* bytes */
	ISO_LOG_RING_BYTES = 1 << 20,
};

/* Same order as enum iso_executed of aws/classify.h, which this floor cannot see. */
enum iso_log_executed { ISO_LOG_EXECUTED_NO, ISO_LOG_EXECUTED_MAYBE, ISO_LOG_EXECUTED_YES };

/* Texts are borrowed until the line is made, and may hold any bytes. A ptr of NULL is logged as null. */
struct iso_log_attempt {
	struct iso_slice region, endpoint, outcome, upstream_request_id;
	uint64_t ttfb_us; /* start to response head; meaningless without status */
	uint16_t status;  /* 0: no response head came; status and ttfb_ms are null */
	enum iso_log_executed executed;
};

struct iso_log_record {
	uint64_t wall_us; /* when the exchange began, microseconds since 1970 */
	uint64_t duration_us;
	uint64_t bytes; /* of the response body that went to the client */
	struct iso_slice id, client, method, host, protocol;
	struct iso_slice path; /* as received; what follows '?' is cut off unless log_query */
	struct iso_slice service, route, version, region;
	struct iso_slice not_retried;      /* why no other try followed one that failed; empty: no such key */
	const struct iso_slice *decisions; /* JSON; by try, empty ones are left out */
	uint32_t decision_count;           /* at most ISO_LOG_DECISIONS_MAX */
	struct iso_slice error; /* why the proxy answered itself; ptr NULL: it did not, no such key */
	const struct iso_log_attempt *attempts;
	const struct iso_slice *retry_reasons; /* of the attempts after the first; none: no such key */
	uint64_t budget_milli; /* thousandths of a try that the retry budget has left; with budget_told */
	uint32_t attempt_count, retry_reason_count;
	uint16_t status;  /* 0: none was sent; null */
	bool budget_told; /* else: no such key */
	bool log_query;
};

/*
 * Makes the line, line feed included, and returns its length; 0 when cap is too small for it (never when cap
 * is ISO_LOG_LINE_MAX). Bytes that are not UTF-8 become U+FFFD, control characters are escaped, values that
 * are too long are cut and end in U+2026. Pure.
 */
size_t iso_log_format(const struct iso_log_record *record, char *ret_line, size_t cap);

/* ---- Rings and the scribe ---- */

struct iso_log_ring;
struct iso_scribe;

struct iso_scribe_config {
	const char *path; /* appended to, made when missing (mode 0640); "-": standard output */
	/*
	 * On the scribe's thread: lines were lost or cannot be written. At once the first time, then at most
	 * once a minute, and when the scribe stops. err: ISO_OK (lines came faster than they could be
	 * written) or why writing or reopening failed; lost: lines lost since the last call. May be NULL.
	 */
	void (*on_trouble)(void *arg, int err, uint64_t lost);
	void *arg;
};

/*
 * Opens the output and starts the thread. The config is copied, its path too. The thread blocks all signals.
 * ISO_ENOMEM, or the code of what failed (ISO_ESYS and others, by errno).
 */
ISO_MUST_USE int iso_scribe_start(const struct iso_scribe_config *config, struct iso_scribe **ret_scribe);
/*
 * A ring for one writing thread, borrowed until iso_scribe_stop. `bytes` is a power of two, at least
 * ISO_LOG_LINE_MAX. Called by the thread that started the scribe, at any time. ISO_OK or ISO_ENOMEM.
 */
ISO_MUST_USE int iso_scribe_add_ring(struct iso_scribe *scribe, size_t bytes, struct iso_log_ring **ret_ring);
/*
 * Opens the path anew (a log was rotated) soon, on the scribe's thread; if that fails the old file stays in
 * use and on_trouble says so. A line pushed after this call returned never goes to the old file otherwise.
 * Standard output stays. Any thread.
 */
void iso_scribe_reopen(struct iso_scribe *scribe);
/*
 * Writes out what is in the rings, ends the thread and frees all rings. Nobody may push any more. Waits for
 * an output that is blocked or full for a second at most; what is left then is lost. NULL is fine.
 */
void iso_scribe_stop(struct iso_scribe *scribe);
/* Lines lost so far, in all rings. The thread that started the scribe. */
uint64_t iso_scribe_dropped(const struct iso_scribe *scribe);

/*
 * Puts one whole line (its last byte is the line feed, its only one) into the ring; false: there is no room,
 * the line is counted as lost. The ring's thread only; never blocks.
 */
bool iso_log_ring_push(struct iso_log_ring *ring, const char *line, size_t len);

#endif
