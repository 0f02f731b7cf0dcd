/*
 * Files that the configuration names and that change on disk, certificates above all: looked at from time to
 * time, since a renewal writes several files one after the other and on file systems of every kind. A
 * half-written pair is refused by the reload, and tried again when the other half has come. Thread: control.
 */
#include "process_priv.h"

enum { LOOK_US = 2 * 1000 * 1000 };

static void on_timer(struct iso_timer *timer)
{
	struct iso_process *p = ISO_CONTAINER(timer, struct iso_process, watch_timer);
	uint64_t now;

	if (iso_snapshot_files_changed(p->snapshot, &now) && now != p->files_tried && p->reload == NULL &&
	    !p->draining) {
		p->files_tried = now;
		fprintf(stderr, "a file that the configuration names has changed: reload\n");
		iso_reload_start(p);
	}
	iso_timer_set(&p->loop.wheel, timer, p->loop.now_us + LOOK_US);
}

void iso_watch_start(struct iso_process *p)
{
	iso_timer_init(&p->watch_timer, on_timer);
	iso_timer_set(&p->loop.wheel, &p->watch_timer, p->loop.now_us + LOOK_US);
}
