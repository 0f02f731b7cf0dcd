/*
 * Reload: the builder thread reads and compiles the file, control takes the result over. A bad file changes
 * nothing. Threads: control, and one builder at a time.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "process_priv.h"

struct iso_reload {
	struct iso_letter letter;
	struct iso_process *process;
	struct iso_snapshot *snapshot; /* the builder's result; NULL: the file is bad */
	pthread_t thread;
};

/* What a running process cannot change: said, and left as it is. */
static void note_fixed(const struct iso_snapshot *old, const struct iso_snapshot *new)
{
	if (old->workers != new->workers)
		fprintf(stderr, "reload: `workers` takes effect after a restart\n");
	for (uint32_t i = 0; i < new->listener_count; i++) {
		bool known = false;

		for (uint32_t k = 0; k < old->listener_count && !known; k++)
			known = iso_slice_eq(new->listeners[i].address, old->listeners[k].address);
		if (!known)
			fprintf(stderr, "reload: the listener %.*s takes effect after a restart\n",
				ISO_SLICE_FMT(new->listeners[i].address));
	}
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

static void take_over(struct iso_process *p, struct iso_snapshot *snapshot)
{
	struct iso_snapshot *old = p->snapshot;
	int err;

	snapshot->generation = old->generation + 1;
	snapshot->workers = p->worker_count;
	keep_addresses(old, snapshot);
	err = iso_process_bind(p, snapshot);
	for (uint32_t i = 0; i < p->worker_count && err == ISO_OK; i++)
		err = iso_worker_adopt(&p->workers[i], snapshot);
	if (err != ISO_OK) {
		/* Workers that have adopted it hold references of their own; the others go on with the old
		 * one. */
		fprintf(stderr, "reload: refused: %s\n",
			err == ISO_ELIMIT ? "too many regions" : iso_err_text(err));
		iso_metrics_reload(&p->metrics, ISO_RELOAD_RESULT_REJECTED);
		iso_snapshot_unref(snapshot);
		return;
	}
	p->snapshot = snapshot;
	iso_admin_adopt(p->admin, snapshot);
	iso_snapshot_unref(old);
	iso_metrics_reload(&p->metrics, ISO_RELOAD_RESULT_OK);
	fprintf(stderr, "reload: generation %llu is in use\n", (unsigned long long)snapshot->generation);
}

static void deliver_built(struct iso_letter *letter)
{
	struct iso_reload *reload = ISO_CONTAINER(letter, struct iso_reload, letter);
	struct iso_process *p = reload->process;

	pthread_join(reload->thread, NULL);
	p->reload = NULL;
	if (reload->snapshot == NULL) {
		fprintf(stderr, "reload: the file is bad, nothing has changed\n");
		iso_metrics_reload(&p->metrics, ISO_RELOAD_RESULT_REJECTED);
	} else if (p->draining) {
		iso_snapshot_unref(reload->snapshot);
	} else {
		note_fixed(p->snapshot, reload->snapshot);
		take_over(p, reload->snapshot);
	}
	free(reload);
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
	p->reload = reload;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&reload->thread, NULL, builder_main, reload);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0) {
		fprintf(stderr, "reload: cannot start the builder thread\n");
		p->reload = NULL;
		free(reload);
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
