/*
 * The admin API: a handler on the control loop. GET /status, /metrics, /healthz, /readyz. Thread: control.
 */
#ifndef ISO_ADMIN_ADMIN_H
#define ISO_ADMIN_ADMIN_H

#include "iso/http/sink.h"
#include "iso/monitor/publisher.h"
#include "iso/server/server.h"
#include "iso/telemetry/access_log.h"
#include "iso/telemetry/metrics.h"

struct iso_admin;

/* Somebody who waits for the end of a reload. */
struct iso_admin_wish {
	struct iso_list link; /* unlinked: it is over, or nobody waits any more */
	/* refused: why it was, in words; NULL: generation and hash are in use. */
	void (*done)(struct iso_admin_wish *wish, const char *refused);
};

/* What the admin API looks at; all borrowed. */
struct iso_admin_config {
	struct iso_loop *loop;
	struct iso_publisher *publisher;
	const struct iso_metrics *const *metrics; /* one for each thread that counts */
	size_t metrics_count;
	const struct iso_server_counters *const *servers; /* of the workers */
	size_t server_count;
	struct iso_scribe *scribe; /* NULL: no access log */
	struct iso_exchange_shared *exchanges;
	const struct iso_holds *holds;
	const struct iso_ledger *ledger; /* NULL: no Idempotency-Keys are kept */
	struct iso_snapshot *snapshot;
	/* POST /reload: begins one. `done` comes later on the control loop, unless the call is forgotten. */
	void (*reload)(void *arg, struct iso_admin_wish *wish);
	void *arg;
};

/* The arrays are copied. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_admin_new(const struct iso_admin_config *config, struct iso_admin **ret_admin);
void iso_admin_free(struct iso_admin *admin); /* NULL is fine */
struct iso_handler *iso_admin_handler(struct iso_admin *admin);
/* A new snapshot is in use (NULL admin is fine). */
void iso_admin_adopt(struct iso_admin *admin, struct iso_snapshot *snapshot);
/* The process drains: /readyz says no from now on. NULL is fine. */
void iso_admin_drain(struct iso_admin *admin);

#endif
