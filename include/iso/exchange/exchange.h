/*
 * The exchange: one client request and its response, over up to three attempts. A worker has one host; the
 * host is the handler that the worker's server hands requests to. Thread: the worker's loop.
 */
#ifndef ISO_EXCHANGE_EXCHANGE_H
#define ISO_EXCHANGE_EXCHANGE_H

#include "iso/config/snapshot.h"
#include "iso/http/body_tape.h"
#include "iso/http/sink.h"
#include "iso/policy/budget.h"
#include "iso/stats/sketch.h"
#include "iso/telemetry/access_log.h"
#include "iso/telemetry/metrics.h"
#include "iso/upstream/holds.h"
#include "iso/upstream/upstream.h"

enum { ISO_HOST_SERVICES = ISO_SERVICE_SLOTS };

/* One snapshot as a worker holds it: one reference, and how many exchanges still use it here. */
struct iso_generation {
	struct iso_snapshot *snapshot;
	uint32_t exchanges;
	bool current;
};

/* What the hosts of all workers have in common. */
struct iso_exchange_shared {
	struct {
		_Alignas(64) struct iso_bucket retries; /* tokens of retry.budget */
		struct iso_bucket hedges;               /* of hedge.share */
	} services[ISO_HOST_SERVICES];
	struct iso_tape_account replay; /* limits.replay_memory */
};

struct iso_exchange_host {
	struct iso_handler handler;
	struct iso_loop *loop;
	struct iso_upstream *upstream;
	struct iso_generation *generation; /* the current one */
	struct iso_metrics *metrics;
	struct iso_log_ring *log; /* NULL: no access log */
	struct iso_exchange_shared *shared;
	struct iso_budget budgets[ISO_HOST_SERVICES], hedges[ISO_HOST_SERVICES];
	struct iso_list waiting;   /* exchanges that have no region's answer yet */
	struct iso_list relaying;  /* those whose answer is on its way, oldest first */
	struct iso_sketch *rates;  /* of clients by route, shared by all workers; NULL: no rate limits */
	struct iso_holds *holds;   /* where clients have just written, shared by all workers */
	struct iso_ledger *ledger; /* of Idempotency-Keys; NULL: no service keeps them */
	uint64_t wall_offset_us;   /* wall clock minus loop clock */
	uint32_t in_flight;
};

/* Control: before any host is made. */
void iso_exchange_shared_init(struct iso_exchange_shared *shared, uint64_t now_us);
/* Control: its limits are this snapshot's from now on, its slots those of the registry, which is bound to it.
 */
void iso_exchange_shared_adopt(struct iso_exchange_shared *shared, const struct iso_snapshot *snapshot);
/*
 * Borrows all but the snapshot, of which it takes a reference. The caller sets what else it has: shared (not
 * optional), holds (likewise), log, rates. ISO_OK or ISO_ENOMEM.
 */
ISO_MUST_USE int iso_exchange_host_init(struct iso_exchange_host *host, struct iso_upstream *upstream,
					struct iso_snapshot *snapshot, struct iso_metrics *metrics,
					struct iso_exchange_shared *shared);
/*
 * The end of a drain: what waits for a region is answered 503 (nothing was sent) or 504, what is on its way
 * is broken off as an error of ours.
 */
void iso_exchange_host_expire(struct iso_exchange_host *host);
/* Every exchange has ended. */
void iso_exchange_host_done(struct iso_exchange_host *host);
/* New exchanges use this snapshot from now on; running ones keep theirs. ISO_OK or ISO_ENOMEM (nothing
 * changes). */
ISO_MUST_USE int iso_exchange_host_adopt(struct iso_exchange_host *host, struct iso_snapshot *snapshot);

#endif
