/*
 * Reload: the builder thread reads and compiles the file, control takes the result over. A bad file changes
 * nothing. Threads: control, and one builder at a time.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "iso/config/describe.h"
#include "process_priv.h"

struct iso_reload {
	struct iso_letter letter;
	struct iso_list wishes; /* who waits for this one */
	struct iso_process *process;
	struct iso_snapshot *snapshot; /* the builder's result; NULL: the file is bad */
	pthread_t thread;
};

/* What a running process cannot change: said, and left as it is. */
static void note_fixed(const struct iso_snapshot *old, const struct iso_snapshot *new)
{
	if (old->workers != new->workers)
		fprintf(stderr, "reload: `workers` takes effect after a restart\n");
	if (!iso_slice_eq(old->access_log, new->access_log))
		fprintf(stderr, "reload: `access_log` takes effect after a restart\n");
	if (old->ledger.memory != new->ledger.memory || old->ledger.sync != new->ledger.sync ||
	    !iso_slice_eq(old->ledger.journal, new->ledger.journal))
		fprintf(stderr, "reload: `idempotency` takes effect after a restart\n");
	if (iso_snapshot_keeps_keys(new) && !iso_snapshot_keeps_keys(old))
		fprintf(stderr, "reload: `idempotency.store` takes effect after a restart\n");
	if (!iso_slice_eq(old->admin_address, new->admin_address))
		fprintf(stderr, "reload: `admin` takes effect after a restart\n");
}

/* Ports that were chosen by the kernel stay what they are. */
static void keep_addresses(const struct iso_snapshot *old, struct iso_snapshot *new)
{
	for (uint32_t i = 0; i < new->listener_count; i++)
		for (uint32_t k = 0; k < old->listener_count; k++)
			if (iso_slice_eq(new->listeners[i].address, old->listeners[k].address))
				new->listeners[i].addr = old->listeners[k].addr;
}

/* To all who wait for it; each may go away as it is told. */
static void tell(struct iso_list *wishes, const char *refused)
{
	struct iso_list *node;

	while ((node = iso_list_pop_front(wishes)) != NULL) {
		struct iso_admin_wish *wish = ISO_CONTAINER(node, struct iso_admin_wish, link);

		wish->done(wish, refused);
	}
}

static void refuse(struct iso_process *p, const char *why)
{
	if (p->reload != NULL)
		tell(&p->reload->wishes, why);
	fprintf(stderr, "reload: refused: %s; nothing has changed\n", why);
	iso_metrics_reload(&p->metrics, ISO_RELOAD_RESULT_REJECTED);
}

/* New addresses are bound before anything else changes: that may fail. */
static int open_listeners(struct iso_process *p, struct iso_snapshot *snapshot, bool *fresh,
			  const char **ret_why)
{
	int err = ISO_OK;

	for (uint32_t i = 0; i < snapshot->listener_count && err == ISO_OK; i++) {
		fresh[i] = !iso_sockets_have(&p->sockets, &snapshot->listeners[i].addr);
		if (fresh[i])
			err = iso_sockets_open(p, &snapshot->listeners[i], p->worker_count, ret_why);
	}
	return err;
}

/* What each worker needs; all of it, or the caller frees what there is. */
static int prepare(struct iso_process *p, struct iso_snapshot *snapshot, const bool *fresh,
		   struct iso_worker_adoption *adoptions[])
{
	int err = ISO_OK;

	for (uint32_t w = 0; w < p->worker_count && err == ISO_OK; w++) {
		struct iso_worker_sockets *sockets;

		err = iso_worker_adoption_new(&p->workers[w], snapshot, &adoptions[w]);
		if (err != ISO_OK)
			break;
		sockets = iso_worker_adoption_sockets(adoptions[w]);
		for (uint32_t i = 0; i < snapshot->listener_count; i++)
			if (fresh[i])
				sockets[i].n = iso_sockets_share(&p->sockets, &snapshot->listeners[i].addr,
								 p->worker_count, w, sockets[i].fds);
	}
	return err;
}

static void take_over(struct iso_process *p, struct iso_snapshot *snapshot)
{
	struct iso_worker_adoption *adoptions[ISO_WORKERS_MAX] = { NULL };
	struct iso_snapshot *old = p->snapshot;
	bool *fresh = calloc(snapshot->listener_count + 1u, sizeof(*fresh));
	int err = fresh != NULL ? ISO_OK : ISO_ENOMEM;
	const char *why = NULL;

	snapshot->generation = old->generation + 1;
	snapshot->workers = p->worker_count;
	keep_addresses(old, snapshot);
	if (err == ISO_OK)
		err = open_listeners(p, snapshot, fresh, &why);
	if (err == ISO_OK)
		err = prepare(p, snapshot, fresh, adoptions);
	if (err == ISO_OK)
		err = iso_process_bind(p, snapshot);
	free(fresh);
	if (err != ISO_OK) {
		for (uint32_t w = 0; w < p->worker_count; w++)
			iso_worker_adoption_free(adoptions[w]);
		refuse(p, why != NULL ? why : err == ISO_ELIMIT ? "too many regions" : iso_err_text(err));
		iso_sockets_retain(&p->sockets, old, &p->admin_addr);
		iso_snapshot_unref(snapshot);
		return;
	}
	for (uint32_t w = 0; w < p->worker_count; w++)
		iso_worker_adopt(adoptions[w]);
	/* The workers' copies are the last ones now: a listener that has gone is closed with them. */
	iso_sockets_retain(&p->sockets, snapshot, &p->admin_addr);
	iso_config_diff(old, snapshot, stderr);
	p->snapshot = snapshot;
	iso_admin_adopt(p->admin, snapshot);
	iso_snapshot_unref(old);
	iso_metrics_reload(&p->metrics, ISO_RELOAD_RESULT_OK);
	fprintf(stderr, "reload: generation %llu is in use\n", (unsigned long long)snapshot->generation);
	tell(&p->reload->wishes, NULL);
}

static void deliver_built(struct iso_letter *letter)
{
	struct iso_reload *reload = ISO_CONTAINER(letter, struct iso_reload, letter);
	struct iso_process *p = reload->process;

	pthread_join(reload->thread, NULL);
	if (reload->snapshot == NULL) {
		refuse(p, "the file is bad: the log says what is wrong, or `isochrone check`");
	} else if (p->draining) {
		tell(&reload->wishes, "the process drains");
		iso_snapshot_unref(reload->snapshot);
	} else {
		note_fixed(p->snapshot, reload->snapshot);
		take_over(p, reload->snapshot);
	}
	p->reload = NULL;
	free(reload);
	iso_notify("READY=1");
	if (p->reload_again) {
		p->reload_again = false;
		iso_reload_start(p);
	}
}

static void *builder_main(void *arg)
{
	struct iso_reload *reload = arg;
	struct iso_process *p = reload->process;
	struct iso_snapshot *snapshot = NULL;

	iso_privileges_of_thread();
	if (p->source.load(p->source.arg, &snapshot) == ISO_OK)
		reload->snapshot = snapshot;
	iso_mailbox_post(&p->loop.mailbox, &reload->letter);
	return NULL;
}

void iso_reload_start(struct iso_process *p)
{
	struct iso_reload *reload;
	sigset_t all, old;
	int err;

	if (p->source.load == NULL || p->draining)
		return;
	if (p->reload != NULL) {
		p->reload_again = true;
		return;
	}
	reload = calloc(1, sizeof(*reload));
	if (reload == NULL)
		return;
	reload->letter.deliver = deliver_built;
	reload->process = p;
	iso_list_init(&reload->wishes);
	iso_list_splice(&reload->wishes, &p->wishes);
	p->reload = reload;
	iso_notify_reloading();
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&reload->thread, NULL, builder_main, reload);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0) {
		refuse(p, "cannot start the builder thread");
		p->reload = NULL;
		free(reload);
	}
}

void iso_reload_wish(void *arg, struct iso_admin_wish *wish)
{
	struct iso_process *p = arg;

	iso_list_push_back(&p->wishes, &wish->link);
	iso_reload_start(p);
	if (p->reload == NULL) {
		iso_list_remove(&wish->link);
		wish->done(wish, "out of memory");
	}
}

void iso_reload_wait(struct iso_process *p)
{
	p->draining = true;
	p->reload_again = false;
	while (p->reload != NULL) {
		struct pollfd bell = { .fd = p->loop.mailbox.fd, .events = POLLIN };

		/* The builder posts its letter as its last act. */
		if (poll(&bell, 1, -1) > 0)
			iso_mailbox_drain(&p->loop.mailbox);
	}
}
