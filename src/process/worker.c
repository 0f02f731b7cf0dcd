/*
 * See worker_priv.h.
 */
#include "worker_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct iso_worker_adoption {
	struct iso_letter letter;
	struct iso_worker *worker;
	struct iso_snapshot *snapshot;       /* one reference */
	struct iso_worker_sockets sockets[]; /* of each listener */
};

static void turn_begin(void *arg)
{
	iso_upstream_turn_begin(&((struct iso_worker *)arg)->own.upstream);
}

static void turn_end(void *arg)
{
	iso_upstream_turn_end(&((struct iso_worker *)arg)->own.upstream);
}

/* On the worker: one letter at a time, so that a burst of failures is one wake-up. */
static void on_urgent(struct iso_upstream *upstream)
{
	struct iso_worker *worker = ISO_CONTAINER(upstream, struct iso_worker, own.upstream);

	if (!atomic_exchange(&worker->shared.urgent_posted, true))
		iso_mailbox_post(worker->env.control, &worker->urgent_letter);
}

static void deliver_urgent(struct iso_letter *letter)
{
	struct iso_worker *worker = ISO_CONTAINER(letter, struct iso_worker, urgent_letter);

	atomic_store(&worker->shared.urgent_posted, false);
	worker->env.urgent(worker);
}

static void deliver_drained(struct iso_letter *letter)
{
	struct iso_worker *worker = ISO_CONTAINER(letter, struct iso_worker, drained_letter);

	worker->env.drained(worker);
}

static void on_drained(struct iso_server *server)
{
	struct iso_worker *worker = ISO_CONTAINER(server, struct iso_worker, own.server);

	iso_mailbox_post(worker->env.control, &worker->drained_letter);
}

static void deliver_serve(struct iso_letter *letter)
{
	iso_server_let_go(&ISO_CONTAINER(letter, struct iso_worker, serve_letter)->own.server);
}

static void deliver_drain(struct iso_letter *letter)
{
	struct iso_worker *worker = ISO_CONTAINER(letter, struct iso_worker, drain_letter);

	iso_server_drain(&worker->own.server);
}

static void deliver_expire(struct iso_letter *letter)
{
	iso_exchange_host_expire(&ISO_CONTAINER(letter, struct iso_worker, expire_letter)->own.host);
}

static void deliver_stop(struct iso_letter *letter)
{
	iso_loop_stop(&ISO_CONTAINER(letter, struct iso_worker, stop_letter)->own.loop);
}

int iso_worker_init(struct iso_worker *worker, uint32_t index, const struct iso_worker_env *env,
		    struct iso_snapshot *snapshot)
{
	struct iso_loop *loop = &worker->own.loop;
	int err;

	memset(worker, 0, sizeof(*worker));
	worker->index = index;
	worker->env = *env;
	worker->urgent_letter.deliver = deliver_urgent;
	worker->drained_letter.deliver = deliver_drained;
	worker->serve_letter.deliver = deliver_serve;
	worker->drain_letter.deliver = deliver_drain;
	worker->expire_letter.deliver = deliver_expire;
	worker->stop_letter.deliver = deliver_stop;
	err = iso_evidence_init(&worker->shared.evidence);
	if (err == ISO_OK)
		err = iso_metrics_init(&worker->shared.metrics);
	if (err == ISO_OK)
		err = iso_loop_init(loop, snapshot->limits.body_memory / ISO_CHUNK_BYTES + 64);
	if (err == ISO_OK)
		err = iso_upstream_init(&worker->own.upstream, loop, env->stand, &worker->shared.evidence,
					index);
	if (err != ISO_OK)
		return err;
	worker->made = true;
	worker->own.upstream.urgent = on_urgent;
	loop->hooks = (struct iso_loop_hooks){ turn_begin, turn_end, worker };
	err = iso_upstream_bind(&worker->own.upstream, snapshot);
	if (err == ISO_OK)
		err = iso_exchange_host_init(&worker->own.host, &worker->own.upstream, snapshot,
					     &worker->shared.metrics, env->exchanges);
	if (err == ISO_OK) {
		iso_server_init(&worker->own.server, loop, &worker->own.host.handler, &snapshot->limits);
		iso_server_hold(&worker->own.server);
		worker->own.server.drained = on_drained;
		worker->own.server.clients = env->clients;
		worker->own.host.rates = env->rates;
		worker->own.host.holds = env->holds;
		worker->own.host.log = env->log;
		worker->own.host.ledger = env->ledger;
	}
	return err;
}

int iso_worker_listen(struct iso_worker *worker, int fd, const struct iso_cfg_listener *listener)
{
	return iso_server_listen(&worker->own.server, fd, listener);
}

static void *worker_main(void *arg)
{
	struct iso_worker *worker = arg;

	iso_privileges_of_thread();
	iso_loop_run(&worker->own.loop);
	return NULL;
}

int iso_worker_start(struct iso_worker *worker)
{
	sigset_t all, old;
	int err;

	/* Signals are control's. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0)
		return iso_err_from_errno(err);
	worker->started = true;
	return ISO_OK;
}

static void close_sockets(const struct iso_worker_sockets *sockets, uint32_t listeners)
{
	for (uint32_t i = 0; i < listeners; i++) {
		for (int k = 0; k < sockets[i].n; k++)
			close(sockets[i].fds[k]);
	}
}

static void adopt_listeners(struct iso_worker *worker, const struct iso_worker_adoption *adopt)
{
	struct iso_server *server = &worker->own.server;

	iso_server_retain(server, adopt->snapshot->listeners, adopt->snapshot->listener_count);
	for (uint32_t i = 0; i < adopt->snapshot->listener_count; i++) {
		const struct iso_cfg_listener *listener = &adopt->snapshot->listeners[i];

		iso_server_update(server, listener);
		for (int k = 0; k < adopt->sockets[i].n; k++) {
			if (server->draining)
				close(adopt->sockets[i].fds[k]);
			else if (iso_server_listen(server, adopt->sockets[i].fds[k], listener) != ISO_OK)
				fprintf(stderr, "reload: a worker has no memory to listen on %.*s\n",
					ISO_SLICE_FMT(listener->address));
		}
	}
}

static void deliver_adopt(struct iso_letter *letter)
{
	struct iso_worker_adoption *adopt = ISO_CONTAINER(letter, struct iso_worker_adoption, letter);
	struct iso_worker *worker = adopt->worker;
	struct iso_snapshot *snapshot = adopt->snapshot;

	/* Pools first: an exchange that picks from the new snapshot must find them. */
	if (iso_upstream_bind(&worker->own.upstream, snapshot) == ISO_OK &&
	    iso_exchange_host_adopt(&worker->own.host, snapshot) == ISO_OK) {
		worker->own.server.limits = snapshot->limits;
		adopt_listeners(worker, adopt);
	} else {
		close_sockets(adopt->sockets, snapshot->listener_count);
	}
	iso_snapshot_unref(snapshot);
	free(adopt);
}

int iso_worker_adoption_new(struct iso_worker *worker, struct iso_snapshot *snapshot,
			    struct iso_worker_adoption **ret_adoption)
{
	struct iso_worker_adoption *adopt =
		calloc(1, sizeof(*adopt) + snapshot->listener_count * sizeof(adopt->sockets[0]));

	if (adopt == NULL)
		return ISO_ENOMEM;
	adopt->letter.deliver = deliver_adopt;
	adopt->worker = worker;
	adopt->snapshot = iso_snapshot_ref(snapshot);
	*ret_adoption = adopt;
	return ISO_OK;
}

struct iso_worker_sockets *iso_worker_adoption_sockets(struct iso_worker_adoption *adoption)
{
	return adoption->sockets;
}

void iso_worker_adoption_free(struct iso_worker_adoption *adoption)
{
	if (adoption == NULL)
		return;
	close_sockets(adoption->sockets, adoption->snapshot->listener_count);
	iso_snapshot_unref(adoption->snapshot);
	free(adoption);
}

void iso_worker_adopt(struct iso_worker_adoption *adoption)
{
	iso_mailbox_post(&adoption->worker->own.loop.mailbox, &adoption->letter);
}

void iso_worker_serve(struct iso_worker *worker)
{
	iso_mailbox_post(&worker->own.loop.mailbox, &worker->serve_letter);
}

void iso_worker_drain(struct iso_worker *worker)
{
	iso_mailbox_post(&worker->own.loop.mailbox, &worker->drain_letter);
}

void iso_worker_expire(struct iso_worker *worker)
{
	iso_mailbox_post(&worker->own.loop.mailbox, &worker->expire_letter);
}

void iso_worker_stop(struct iso_worker *worker)
{
	if (!worker->started)
		return;
	iso_mailbox_post(&worker->own.loop.mailbox, &worker->stop_letter);
	pthread_join(worker->thread, NULL);
	worker->started = false;
}

void iso_worker_done(struct iso_worker *worker)
{
	if (worker->made) {
		iso_server_done(&worker->own.server);
		iso_upstream_done(&worker->own.upstream);
		iso_loop_run_leftovers(&worker->own.loop);
		iso_exchange_host_done(&worker->own.host);
	}
	iso_loop_done(&worker->own.loop);
	iso_metrics_done(&worker->shared.metrics);
	iso_evidence_done(&worker->shared.evidence);
}
