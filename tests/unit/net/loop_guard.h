/*
 * For tests on a real loop: runs it until the test stops it, and fails when that takes ten seconds.
 */
#ifndef ISO_TEST_NET_LOOP_GUARD_H
#define ISO_TEST_NET_LOOP_GUARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "iso/base/clock.h"
#include "iso/net/loop.h"

struct guarded_loop {
	struct iso_loop loop;
	struct iso_timer limit, pause;
	bool timed_out;
};

static inline void on_limit(struct iso_timer *timer)
{
	struct guarded_loop *g = ISO_CONTAINER(timer, struct guarded_loop, limit);

	g->timed_out = true;
	iso_loop_stop(&g->loop);
}

static inline void on_passed(struct iso_timer *timer)
{
	iso_loop_stop(&ISO_CONTAINER(timer, struct guarded_loop, pause)->loop);
}

static inline void guarded_init(struct guarded_loop *g)
{
	memset(g, 0, sizeof(*g));
	assert_int_equal(iso_loop_init(&g->loop, 64), ISO_OK);
	iso_timer_init(&g->limit, on_limit);
	iso_timer_init(&g->pause, on_passed);
}

static inline void guarded_done(struct guarded_loop *g)
{
	iso_timer_clear(&g->loop.wheel, &g->limit);
	iso_timer_clear(&g->loop.wheel, &g->pause);
	iso_loop_done(&g->loop);
}

/* Until somebody calls iso_loop_stop. */
static inline void guarded_run(struct guarded_loop *g)
{
	g->timed_out = false;
	iso_timer_set(&g->loop.wheel, &g->limit, iso_clock_mono_us() + 10000000);
	iso_loop_run(&g->loop);
	iso_timer_clear(&g->loop.wheel, &g->limit);
	assert_false(g->timed_out);
}

/* For so long: to see that something does not happen. */
static inline void guarded_run_for(struct guarded_loop *g, uint64_t us)
{
	iso_timer_set(&g->loop.wheel, &g->pause, iso_clock_mono_us() + us);
	guarded_run(g);
	iso_timer_clear(&g->loop.wheel, &g->pause);
}

#endif
