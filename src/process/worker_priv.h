/*
 * A worker: one thread, one loop, with everything that belongs to it. Control makes it, sends it letters and
 * takes it apart again after its thread has ended.
 */
#ifndef ISO_PROCESS_WORKER_PRIV_H
#define ISO_PROCESS_WORKER_PRIV_H

#include <pthread.h>

#include "iso/exchange/exchange.h"
#include "iso/server/server.h"

struct iso_worker;

enum { ISO_WORKER_SOCKETS_MAX = ISO_WORKERS_MAX }; /* of one address */

struct iso_worker_adoption;

/* Sockets of a listener that is new with a snapshot; the worker's once it has adopted it. */
struct iso_worker_sockets {
	int fds[ISO_WORKER_SOCKETS_MAX];
	int n;
};

/* What a worker has of control. */
struct iso_worker_env {
	struct iso_board_stand *stand;
	struct iso_mailbox *control;
	/* On the control loop: evidence that cannot wait. */
	void (*urgent)(struct iso_worker *worker);
	/* On the control loop: the drain is over, the thread is about to end. */
	void (*drained)(struct iso_worker *worker);
	struct iso_log_ring *log;
	struct iso_sketch *clients; /* connections by client, over all workers */
	struct iso_sketch *rates;   /* requests by route and client, likewise */
	struct iso_holds *holds;    /* where clients have just written, likewise */
	struct iso_exchange_shared *exchanges;
	struct iso_ledger *ledger; /* NULL: none */
	void *arg;
};

struct iso_worker {
	struct { /* own: the worker's thread, once it runs */
		struct iso_loop loop;
		struct iso_upstream upstream;
		struct iso_exchange_host host;
		struct iso_server server;
	} own;
	struct { /* shared */
		struct iso_evidence evidence;
		struct iso_metrics metrics;
		_Atomic bool urgent_posted;
	} shared;
	struct iso_worker_env env;
	struct iso_letter urgent_letter, drained_letter, serve_letter, drain_letter, expire_letter,
		stop_letter;
	pthread_t thread;
	uint32_t index;
	bool started, made;
};

/* Makes everything but the thread. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_worker_init(struct iso_worker *worker, uint32_t index, const struct iso_worker_env *env,
				 struct iso_snapshot *snapshot);
/* Before start: accepts on fd (taken). */
ISO_MUST_USE int iso_worker_listen(struct iso_worker *worker, int fd,
				   const struct iso_cfg_listener *listener);
/* The thread runs: connections to the regions are made, clients are not let in yet. */
ISO_MUST_USE int iso_worker_start(struct iso_worker *worker);
/* Control: clients are let in. Once. */
void iso_worker_serve(struct iso_worker *worker);
/*
 * Control: all that a worker needs to use another snapshot, made before any worker does. ISO_OK or
 * ISO_ENOMEM.
 */
ISO_MUST_USE int iso_worker_adoption_new(struct iso_worker *worker, struct iso_snapshot *snapshot,
					 struct iso_worker_adoption **ret_adoption);
/* To be filled in: for each listener of the snapshot that is new its sockets, which are the adoption's. */
struct iso_worker_sockets *iso_worker_adoption_sockets(struct iso_worker_adoption *adoption);
/* It is not to be after all. NULL is fine. */
void iso_worker_adoption_free(struct iso_worker_adoption *adoption);
/*
 * Takes the adoption: the worker uses its snapshot from now on. Listeners that are not in it any more stop;
 * their connections go on.
 */
void iso_worker_adopt(struct iso_worker_adoption *adoption);
/* Control: no new connections; `drained` is called when the last one has gone. */
void iso_worker_drain(struct iso_worker *worker);
/* Control: what still runs is answered or broken off. */
void iso_worker_expire(struct iso_worker *worker);
/* Control: ends the thread now, whatever runs, and waits for it. */
void iso_worker_stop(struct iso_worker *worker);
void iso_worker_done(struct iso_worker *worker);

/* privileges.c: a new thread has its maker's rights; it gives up those that only control needs. */
void iso_privileges_of_thread(void);

#endif
