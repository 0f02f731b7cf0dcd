/*
 * A hashed timer wheel of 1 ms slots with lazy deadlines: pushing a deadline back on every byte costs a
 * store. Owned by one loop.
 */
#ifndef ISO_NET_TIMER_H
#define ISO_NET_TIMER_H

#include "iso/base/list.h"

#include <stdint.h>

enum { ISO_WHEEL_SLOTS = 4096, ISO_WHEEL_WORDS = ISO_WHEEL_SLOTS / 64 };

struct iso_timer {
	struct iso_list link;
	uint64_t due_us;  /* when it is to fire; 0: not set */
	uint64_t slot_ms; /* the tick under which it hangs now; at most due */
	void (*fire)(struct iso_timer *timer);
};

struct iso_wheel {
	uint64_t tick_ms; /* all ticks up to this one have been run */
	uint64_t occupied[ISO_WHEEL_WORDS];
	struct iso_list slots[ISO_WHEEL_SLOTS];
};

void iso_wheel_init(struct iso_wheel *wheel, uint64_t now_us);
/* Fires what is due; a timer is unset before its callback, which may set it again or free it. */
void iso_wheel_run(struct iso_wheel *wheel, uint64_t now_us);
/* Microseconds until a slot with timers comes up; UINT64_MAX when the wheel is empty. May be early, never
 * late. */
uint64_t iso_wheel_next_us(const struct iso_wheel *wheel, uint64_t now_us);

void iso_timer_init(struct iso_timer *timer, void (*fire)(struct iso_timer *timer));
/* Sets or moves the deadline (loop time). A past deadline fires in the next run. */
void iso_timer_set(struct iso_wheel *wheel, struct iso_timer *timer, uint64_t due_us);
/* Harmless when not set. */
void iso_timer_clear(struct iso_wheel *wheel, struct iso_timer *timer);

static inline bool iso_timer_is_set(const struct iso_timer *timer)
{
	return timer->due_us != 0;
}

#endif
