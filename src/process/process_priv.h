/*
 * The process's parts, for the files of this room. Thread: control.
 */
#ifndef ISO_PROCESS_PROCESS_PRIV_H
#define ISO_PROCESS_PROCESS_PRIV_H

#include <pthread.h>
#include <stdio.h>

#include "iso/admin/admin.h"
#include "iso/monitor/prober.h"
#include "iso/monitor/publisher.h"
#include "iso/net/resolver.h"
#include "iso/process/process.h"
#include "iso/ledger/ledger.h"
#include "worker_priv.h"

enum { ISO_SIGNALS = 4 };

struct iso_process {
	struct iso_loop loop;
	struct iso_registry registry;
	struct iso_board_stand stand;
	struct iso_evidence evidence; /* of the control loop's own upstream: the probes */
	struct iso_metrics metrics;   /* what control counts */
	struct iso_upstream upstream;
	struct iso_publisher *publisher;
	struct iso_prober *prober;
	struct iso_worker *workers;
	struct iso_sketch *clients; /* connections by client */
	struct iso_sketch *rates;   /* requests by route and client */
	struct iso_exchange_shared *exchanges;
	struct iso_ledger *ledger; /* NULL: no service keeps Idempotency-Keys */
	struct iso_scribe *scribe;
	struct iso_snapshot *snapshot; /* the current one; one reference */
	struct iso_process_source source;
	struct iso_admin *admin;
	struct iso_server admin_server;
	struct iso_sockaddr admin_addr;
	struct event *signals[ISO_SIGNALS];
	struct iso_timer start_timer, drain_timer, watch_timer;
	struct iso_letter stop_letter;
	struct iso_reload *reload; /* one that is being built; NULL: none */
	uint64_t started_us;
	uint64_t files_tried; /* certificate files as they were when they last led to a reload */
	uint32_t worker_count, drained;
	bool draining, ready, reload_again;
};

/* process.c */
void iso_process_drain(struct iso_process *p);
ISO_MUST_USE int iso_process_bind(struct iso_process *p, struct iso_snapshot *snapshot);

/* parts.c: the monitor and the admin server, made and taken apart. */
ISO_MUST_USE int iso_monitor_make(struct iso_process *p);
void iso_monitor_unmake(struct iso_process *p);
ISO_MUST_USE int iso_process_bind_metrics(struct iso_process *p, const struct iso_snapshot *snapshot);
ISO_MUST_USE int iso_process_start_admin(struct iso_process *p, const char **ret_why);
void iso_process_stop_admin(struct iso_process *p);
/* Every region has been probed once, or its name did not resolve. */
bool iso_process_known(const struct iso_process *p);

/* privileges.c: becomes the configured user. ISO_OK, or ISO_EBAD with words. */
ISO_MUST_USE int iso_privileges_drop(const struct iso_snapshot *snapshot, const char **ret_why);

/* signals.c */
ISO_MUST_USE int iso_signals_start(struct iso_process *p);
void iso_signals_stop(struct iso_process *p);

/* reload.c: starts building a new snapshot; one at a time, a wish during one is kept. */
void iso_reload_start(struct iso_process *p);
/* Looks at the certificate files every two seconds; a change is a reload. */
void iso_watch_start(struct iso_process *p);
/* Waits for the builder thread, if one runs, and throws its result away. */
void iso_reload_wait(struct iso_process *p);

#endif
