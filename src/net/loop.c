/*
 * The turn around libevent's wait. Owns the loop's pools, wheel, queues and scratch memory.
 * Thread: the one that runs the loop. Invariants: now_us stands still during a turn; callbacks never fire
 * inside a start because they go through the run queue; a transport is flushed once a turn unless it asks
 * again, and once more after what comes later.
 */
#include "iso/net/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "iso/base/clock.h"
#include "transport_priv.h"

enum {
	FREE_CHUNKS = 32, /* 512 KiB of bodies in reserve */
	/* 4 MiB of arena blocks: two for each of 512 requests at a time, which a malloc each would cost 1 %
	   more */
	FREE_BLOCKS = 1024,
	LAG_DECAY = 16,       /* turns in which a noticed lag halves, roughly */
	LATER_LEAST_US = 500, /* in a turn for what may come later: a handshake or fifty small reads */
	LATER_MOST_US = 5000, /* else a full loop's turns would grow and grow */
};

void iso_loop_enter(struct iso_loop *loop)
{
	uint64_t late;

	if (loop->in_turn)
		return;
	loop->in_turn = true;
	loop->now_us = iso_clock_mono_us();
	loop->turns++;
	iso_lag_begin(&loop->lag, loop->now_us);
	/* How late the wheel's own timer is says how loaded the machine or this loop is. */
	late = loop->wake_us != 0 && loop->now_us > loop->wake_us ? loop->now_us - loop->wake_us : 0;
	loop->lag_us -= loop->lag_us / LAG_DECAY;
	if (late > loop->lag_us)
		loop->lag_us = late;
	if (loop->hooks.begin != NULL)
		loop->hooks.begin(loop->hooks.arg);
}

static void on_mailbox(evutil_socket_t fd, short what, void *arg)
{
	struct iso_loop *loop = arg;

	(void)fd;
	(void)what;
	iso_loop_enter(loop);
	iso_mailbox_drain(&loop->mailbox);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct iso_loop *loop = arg;

	(void)fd;
	(void)what;
	iso_loop_enter(loop);
	loop->wake_us = 0; /* edge-triggered: never read, set anew for the next deadline */
}

int iso_loop_init(struct iso_loop *loop, size_t chunks_max)
{
	struct event_config *config;
	int err;

	memset(loop, 0, sizeof(*loop));
	loop->mailbox.fd = loop->wake_fd = -1;
	iso_list_init(&loop->run_queue);
	iso_list_init(&loop->next_queue);
	iso_list_init(&loop->later_queue);
	iso_list_init(&loop->dirty);
	iso_chunk_pool_init(&loop->chunks, chunks_max, FREE_CHUNKS);
	iso_arena_pool_init(&loop->arenas, FREE_BLOCKS);
	iso_rng_seed_os(&loop->rng);
	loop->now_us = iso_clock_mono_us();
	iso_wheel_init(&loop->wheel, loop->now_us);

	config = event_config_new();
	if (config == NULL)
		return ISO_ENOMEM;
	/* One thread per loop: no locks; other threads come by the mailbox. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base == NULL)
		return ISO_ENOMEM;
	err = iso_mailbox_init(&loop->mailbox);
	if (err != ISO_OK)
		goto out;
	err = ISO_ENOMEM;
	loop->mailbox_event = event_new(loop->base, loop->mailbox.fd, EV_READ | EV_PERSIST, on_mailbox, loop);
	loop->wake_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	loop->wake_event = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST | EV_ET, on_wake, loop);
	loop->scratch = malloc(ISO_SCRATCH_BYTES);
	loop->stage = malloc(ISO_CHUNK_BYTES);
	if (loop->mailbox_event == NULL || loop->wake_event == NULL || loop->scratch == NULL ||
	    loop->stage == NULL || loop->wake_fd < 0 || event_add(loop->mailbox_event, NULL) != 0 ||
	    event_add(loop->wake_event, NULL) != 0)
		goto out;
	return ISO_OK;
out:
	iso_loop_done(loop);
	return err;
}

void iso_loop_done(struct iso_loop *loop)
{
	if (loop == NULL || loop->base == NULL)
		return;
	if (loop->mailbox_event != NULL)
		event_free(loop->mailbox_event);
	if (loop->wake_event != NULL)
		event_free(loop->wake_event);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->mailbox.fd >= 0)
		iso_mailbox_done(&loop->mailbox);
	iso_chunk_unref(loop->input_chunk);
	iso_chunk_pool_done(&loop->chunks);
	iso_arena_pool_done(&loop->arenas);
	free(loop->scratch);
	free(loop->stage);
	event_base_free(loop->base);
	loop->base = NULL;
}

/*
 * Points the one timer at the wheel's next slot; costs nothing while that stays the same. A timerfd, because
 * libevent's own timers go by the kernel's coarse clock and come up to 4 ms late.
 */
static void arm_wake(struct iso_loop *loop)
{
	uint64_t in_us = iso_wheel_next_us(&loop->wheel, loop->now_us);
	uint64_t at_us = in_us == UINT64_MAX ? 0 : loop->now_us + in_us;
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(at_us / 1000000),
						 .tv_nsec = (long)(at_us % 1000000) * 1000 } };

	if (at_us == loop->wake_us)
		return;
	timerfd_settime(loop->wake_fd, TFD_TIMER_ABSTIME, &when, NULL);
	loop->wake_us = at_us;
}

static void run_queue(struct iso_loop *loop)
{
	struct iso_list *node;

	while ((node = iso_list_pop_front(&loop->run_queue)) != NULL) {
		struct iso_task *task = ISO_CONTAINER(node, struct iso_task, link);

		task->run(task);
	}
}

static void run_later(struct iso_loop *loop)
{
	uint64_t now_us = iso_clock_mono_us(), for_us = now_us - loop->now_us;
	uint64_t until_us;

	if (for_us < LATER_LEAST_US)
		for_us = LATER_LEAST_US;
	if (for_us > LATER_MOST_US)
		for_us = LATER_MOST_US;
	until_us = now_us + for_us;
	while (!iso_list_empty(&loop->later_queue) && iso_clock_mono_us() < until_us) {
		struct iso_task *task = ISO_CONTAINER(iso_list_pop_front(&loop->later_queue), struct iso_task,
						      link);

		task->run(task);
	}
}

static void flush_dirty(struct iso_loop *loop)
{
	struct iso_list *node;

	while ((node = iso_list_pop_front(&loop->dirty)) != NULL)
		iso_transport_flush(ISO_CONTAINER(node, struct iso_transport, dirty_link));
}

static void run_and_flush(struct iso_loop *loop)
{
	do {
		run_queue(loop);
		flush_dirty(loop);
	} while (!iso_list_empty(&loop->run_queue));
}

static void turn(struct iso_loop *loop)
{
	bool busy = !iso_list_empty(&loop->next_queue) || !iso_list_empty(&loop->run_queue) ||
		    !iso_list_empty(&loop->later_queue);

	arm_wake(loop);
	event_base_loop(loop->base, EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0));
	iso_loop_enter(loop);
	iso_list_splice(&loop->run_queue, &loop->next_queue);
	iso_wheel_run(&loop->wheel, loop->now_us);
	run_and_flush(loop);
	if (!iso_list_empty(&loop->later_queue)) {
		run_later(loop);
		run_and_flush(loop);
	}
	if (loop->hooks.end != NULL)
		loop->hooks.end(loop->hooks.arg);
	iso_lag_end(&loop->lag, loop->now_us, iso_clock_mono_us());
	loop->in_turn = false;
}

void iso_loop_run(struct iso_loop *loop)
{
	loop->stopping = false;
	while (!loop->stopping)
		turn(loop);
}

void iso_loop_run_leftovers(struct iso_loop *loop)
{
	iso_list_splice(&loop->run_queue, &loop->next_queue);
	iso_list_splice(&loop->run_queue, &loop->later_queue);
	run_queue(loop);
}

void iso_loop_stop(struct iso_loop *loop)
{
	loop->stopping = true;
}
