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

enum { ISO_SIGNALS = 6, ISO_SOCKETS_MAX = 1024 };

/* In the environment of a process that comes after another one: whose. */
#define ISO_UPGRADE_FROM "ISOCHRONE_UPGRADE_FROM"

/* Listening sockets; the descriptors are the list's. */
struct iso_sockets {
	struct iso_socket *v;
	uint32_t n;
};

/* The processes before and after this one. */
struct iso_upgrade {
	int learnt;             /* what the one before has learnt, a descriptor; -1: nothing */
	pid_t successor;        /* the one that is to come after; 0: none */
	struct iso_timer timer; /* until it must be ready */
};

struct iso_process {
	struct iso_evidence evidence; /* of the control loop's own upstream: the probes */
	struct iso_board_stand stand;
	struct iso_registry registry;
	struct iso_loop loop;
	struct iso_metrics metrics; /* what control counts */
	struct iso_upstream upstream;
	struct iso_publisher *publisher;
	struct iso_prober *prober;
	struct iso_worker *workers;
	struct iso_sketch *clients; /* connections by client */
	struct iso_sketch *rates;   /* requests by route and client */
	struct iso_holds *holds;    /* where clients have just written */
	struct iso_exchange_shared *exchanges;
	struct iso_ledger *ledger; /* NULL: no service keeps Idempotency-Keys */
	struct iso_scribe *scribe;
	struct iso_snapshot *snapshot; /* the current one; one reference */
	struct iso_process_source source;
	struct iso_sockets inherited; /* nobody has asked for yet */
	struct iso_sockets sockets;   /* of all listeners, the admin's too; workers have copies */
	struct iso_admin *admin;
	struct iso_server admin_server;
	struct iso_sockaddr admin_addr;
	struct event *signals[ISO_SIGNALS];
	struct iso_timer start_timer, drain_timer, watch_timer, watchdog_timer;
	struct iso_letter stop_letter;
	struct iso_list wishes;    /* of the admin API, for the reload after the one that is being built */
	struct iso_reload *reload; /* one that is being built; NULL: none */
	struct iso_upgrade upgrade;
	uint64_t started_us, watchdog_us;
	uint64_t files_tried; /* certificate files as they were when they last led to a reload */
	uint32_t worker_count, drained;
	bool draining, expired, ready, reload_again;
};

/* process.c */
void iso_process_drain(struct iso_process *p);
ISO_MUST_USE int iso_process_bind(struct iso_process *p, struct iso_snapshot *snapshot);

/* listeners.c: into p->inherited what a service manager or the process before has given us; from the latter
 * p->upgrade.learnt, too. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_sockets_inherit(struct iso_process *p);
/*
 * Into p->sockets those of one address: inherited, else `count` bound anew; port 0 becomes a number. Else an
 * error with words.
 */
ISO_MUST_USE int iso_sockets_open(struct iso_process *p, struct iso_cfg_listener *listener, uint32_t count,
				  const char **ret_why);
bool iso_sockets_have(const struct iso_sockets *sockets, const struct iso_sockaddr *addr);
/* Copies of what worker `index` of `workers` accepts on for that address; how many. */
int iso_sockets_share(const struct iso_sockets *sockets, const struct iso_sockaddr *addr, uint32_t workers,
		      uint32_t index, int fds[ISO_WORKER_SOCKETS_MAX]);
/* Closes those whose address is neither a listener's of the snapshot nor `also`. */
void iso_sockets_retain(struct iso_sockets *sockets, const struct iso_snapshot *snapshot,
			const struct iso_sockaddr *also);
/* The descriptors, which stay the list's; how many. */
uint32_t iso_sockets_copy(const struct iso_sockets *sockets, int *fds, uint32_t max);
void iso_sockets_close(struct iso_sockets *sockets);

/* upgrade.c: SIGUSR2 and SIGCHLD. */
void iso_upgrade_start(struct iso_process *p);
void iso_upgrade_reap(struct iso_process *p);
/* In a process that was started so: whether it was; takes in what was learnt; ends the one before. */
bool iso_upgrade_is_one(void);
void iso_upgrade_learn(struct iso_process *p);
void iso_upgrade_take_over(void);

/* notify.c: to the service manager, if there is one: a state; that we are ready, and then alive. */
void iso_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));
void iso_notify_reloading(void);
void iso_notify_start(struct iso_process *p);

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
/* The same for somebody who wants to know how it ends: an admin's `reload`; arg is the process. */
void iso_reload_wish(void *arg, struct iso_admin_wish *wish);
/* Looks at the certificate files every two seconds; a change is a reload. */
void iso_watch_start(struct iso_process *p);
/* Waits for the builder thread, if one runs, and throws its result away. */
void iso_reload_wait(struct iso_process *p);

#endif
