/*
 * Files that the configuration names and that change on disk, certificates above all, and with `watch` those
 * that it is made of: looked at from time to time, since a renewal writes several files one after the other
 * and on file systems of every kind. A half-written pair is refused by the reload, and tried again when the
 * other half has come. Thread: control.
 */
#include "process_priv.h"

enum { LOOK_US = 2 * 1000 * 1000 };

static void on_timer(struct iso_timer *timer)
{
	struct iso_process *p = ISO_CONTAINER(timer, struct iso_process, watch_timer);
	uint64_t now;
	const char *changed = iso_snapshot_changed_file(p->snapshot, &now);

	if (changed != NULL && now != p->files_tried && p->reload == NULL && !p->draining) {
		p->files_tried = now;
		fprintf(stderr, "%s has changed: reload\n", changed);
		iso_reload_start(p);
	}
	iso_timer_set(&p->loop.wheel, timer, p->loop.now_us + LOOK_US);
}

void iso_watch_start(struct iso_process *p)
{
	iso_timer_init(&p->watch_timer, on_timer);
	iso_timer_set(&p->loop.wheel, &p->watch_timer, p->loop.now_us + LOOK_US);
}
