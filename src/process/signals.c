/*
 * Signals as events of the control loop: TERM and INT drain, HUP reloads, USR1 reopens the log, USR2
 * starts the binary that is on disk now. Thread:
 * control.
 */
#include <event2/event.h>
#include <signal.h>

#include "process_priv.h"

static const int signums[ISO_SIGNALS] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD };

static void on_signal(evutil_socket_t signum, short what, void *arg)
{
	struct iso_process *p = arg;

	(void)what;
	iso_loop_enter(&p->loop);
	switch (signum) {
	case SIGHUP:
		iso_reload_start(p);
		break;
	case SIGUSR1:
		if (p->scribe != NULL)
			iso_scribe_reopen(p->scribe);
		break;
	case SIGUSR2:
		iso_upgrade_start(p);
		break;
	case SIGCHLD:
		iso_upgrade_reap(p);
		break;
	default:
		if (p->ready)
			iso_process_drain(p);
		else
			iso_loop_stop(&p->loop);
	}
}

int iso_signals_start(struct iso_process *p)
{
	for (int i = 0; i < ISO_SIGNALS; i++) {
		p->signals[i] = evsignal_new(p->loop.base, signums[i], on_signal, p);
		if (p->signals[i] == NULL || event_add(p->signals[i], NULL) != 0) {
			iso_signals_stop(p);
			return ISO_ENOMEM;
		}
	}
	iso_upgrade_reap(p); /* orphans that have ended before there was an event for them */
	return ISO_OK;
}

void iso_signals_stop(struct iso_process *p)
{
	for (int i = 0; i < ISO_SIGNALS; i++) {
		if (p->signals[i] != NULL)
			event_free(p->signals[i]);
		p->signals[i] = NULL;
	}
	/* The end has begun: asking again must not cut it short. */
	for (size_t i = 0; i < sizeof(signums) / sizeof(signums[0]); i++)
		signal(signums[i], SIG_IGN);
}
