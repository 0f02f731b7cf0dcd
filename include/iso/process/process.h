/*
 * The running proxy: boot order, signals, reload, drain. Thread: control, which is the main thread.
 */
#ifndef ISO_PROCESS_PROCESS_H
#define ISO_PROCESS_PROCESS_H

#include "iso/config/snapshot.h"

struct iso_process;

/* Makes the next configuration, on the builder thread; words about mistakes go to stderr. */
struct iso_process_source {
	/* ISO_OK with one reference, or an error that has been reported. */
	int (*load)(void *arg, struct iso_snapshot **ret_snapshot);
	void *arg;
	/* For SIGUSR2: the binary's path, and the arguments it was started with. NULL: not possible. */
	const char *program;
	char *const *argv;
};

/*
 * Takes the snapshot's reference. Binds every address; ISO_OK, or the error with *ret_why in words (static or
 * until the next call). source: for reloads; it must live as long.
 */
ISO_MUST_USE int iso_process_new(struct iso_snapshot *snapshot, const struct iso_process_source *source,
				 const char **ret_why, struct iso_process **ret_process);
/* Runs until SIGTERM or SIGINT and the drain that follows. ISO_OK, or the error when it could not begin. */
int iso_process_run(struct iso_process *process);
void iso_process_free(struct iso_process *process);
/* For programs that run it on a thread of their own (the demo): ends iso_process_run. Any thread. */
void iso_process_stop(struct iso_process *process);
/* The first listener's address, "127.0.0.1:8443", and the admin's ("" when there is none). */
void iso_process_addresses(const struct iso_process *process, char *ret_listener, char *ret_admin,
			   size_t size);

#endif
