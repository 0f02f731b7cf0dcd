/*
 * One event loop: libevent for readiness, our own turn around it. A turn is: I/O callbacks, timers, the run
 * queue until empty and one flush per dirty transport, then some of what may come later and these two again,
 * the turn hooks. One thread runs a loop; everything bound to it (pools, transports, timers, tasks) belongs
 * to that thread. Other threads reach it by its mailbox only.
 */
#ifndef ISO_NET_LOOP_H
#define ISO_NET_LOOP_H

#include <stdbool.h>

#include "iso/base/arena.h"
#include "iso/base/buf.h"
#include "iso/base/err.h"
#include "iso/base/list.h"
#include "iso/base/rng.h"
#include "iso/net/mailbox.h"
#include "iso/net/timer.h"
#include "iso/stats/lag.h"

struct event_base;
struct event;

enum { ISO_SCRATCH_BYTES = 256 * 1024 };

/* Work for later in this same turn. `link` is re-initialised before run is called. */
struct iso_task {
	struct iso_list link;
	void (*run)(struct iso_task *task);
};

/* Called around each turn: the owner loads the board, publishes its evidence. */
struct iso_loop_hooks {
	void (*begin)(void *arg); /* after the wait, before any callback */
	void (*end)(void *arg);   /* after the last flush, before the wait */
	void *arg;
};

struct iso_loop {
	struct event_base *base;
	uint64_t now_us; /* monotonic; read once a turn */
	struct iso_wheel wheel;
	struct iso_list run_queue;   /* for this turn */
	struct iso_list next_queue;  /* for the next one, which then does not wait */
	struct iso_list later_queue; /* for this one if there is time, else for the next ones */
	struct iso_list dirty;       /* transports with something to write */
	struct iso_chunk_pool chunks;
	struct iso_arena_pool arenas;
	struct iso_rng rng;
	struct iso_mailbox mailbox;
	struct event *mailbox_event, *wake_event;
	struct iso_loop_hooks hooks;
	struct iso_chunk *input_chunk; /* where the next record is decrypted to */
	uint8_t *scratch;              /* one large recv goes here */
	uint8_t *stage;                /* small frames are gathered here to fill a TLS record */
	uint64_t turns;
	uint64_t lag_us;    /* decaying maximum of how long a turn took: a loaded machine shows here */
	struct iso_lag lag; /* how far this loop is behind */
	uint64_t wake_us;   /* what wake_event is set to; 0: not set */
	int wake_fd;        /* a timerfd */
	bool stopping, in_turn;
};

/* chunks_max: limit of 16 KiB chunks out at once (memory bound of this loop's bodies). */
ISO_MUST_USE int iso_loop_init(struct iso_loop *loop, size_t chunks_max);
void iso_loop_done(struct iso_loop *loop);
/* Runs turns until iso_loop_stop. */
void iso_loop_run(struct iso_loop *loop);
/* After the last turn: runs what the closing of things has posted, so that they are freed. */
void iso_loop_run_leftovers(struct iso_loop *loop);
/* From the loop's own thread. */
void iso_loop_stop(struct iso_loop *loop);

static inline void iso_task_init(struct iso_task *task, void (*run)(struct iso_task *task))
{
	iso_list_init(&task->link);
	task->run = run;
}

/* Queues the task for this turn; a second post before it ran is a no-op. */
static inline void iso_loop_post(struct iso_loop *loop, struct iso_task *task)
{
	if (!iso_list_linked(&task->link))
		iso_list_push_back(&loop->run_queue, &task->link);
}

/* Queues the task for the next turn, which polls instead of waiting: for work that is cut to be fair to
 * others. */
static inline void iso_loop_post_next(struct iso_loop *loop, struct iso_task *task)
{
	if (!iso_list_linked(&task->link))
		iso_list_push_back(&loop->next_queue, &task->link);
}

/*
 * Queues work that must not hold up others: done in this turn for as long as all before it took, at least
 * half a millisecond and at most five; what is left waits for the next turns, which poll. So neither it nor
 * the rest can starve the other, and what comes meanwhile need not wait behind a long queue of it.
 */
static inline void iso_loop_post_later(struct iso_loop *loop, struct iso_task *task)
{
	if (!iso_list_linked(&task->link))
		iso_list_push_back(&loop->later_queue, &task->link);
}

/*
 * Begins the turn if it has not begun: reads the clock, calls the begin hook. libevent has no hook between
 * its wait and its callbacks, so every callback of ours that libevent calls does this first.
 */
void iso_loop_enter(struct iso_loop *loop);

static inline void iso_task_cancel(struct iso_task *task)
{
	iso_list_remove(&task->link);
}

#endif
