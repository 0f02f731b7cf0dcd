/*
 * The wheel: see timer.h. Thread: its loop. Invariant: a timer hangs in the slot of slot_ms, slot_ms <= due
 * in ms, and slot_ms is never further ahead than one turn of the wheel.
 */
#include "iso/net/timer.h"

static void mark(struct iso_wheel *wheel, uint64_t slot)
{
	wheel->occupied[slot / 64] |= 1ull << slot % 64;
}

static void unmark_if_empty(struct iso_wheel *wheel, uint64_t slot)
{
	if (iso_list_empty(&wheel->slots[slot]))
		wheel->occupied[slot / 64] &= ~(1ull << slot % 64);
}

void iso_wheel_init(struct iso_wheel *wheel, uint64_t now_us)
{
	wheel->tick_ms = now_us / 1000;
	for (int i = 0; i < ISO_WHEEL_WORDS; i++)
		wheel->occupied[i] = 0;
	for (int i = 0; i < ISO_WHEEL_SLOTS; i++)
		iso_list_init(&wheel->slots[i]);
}

void iso_timer_init(struct iso_timer *timer, void (*fire)(struct iso_timer *timer))
{
	iso_list_init(&timer->link);
	timer->due_us = 0;
	timer->slot_ms = 0;
	timer->fire = fire;
}

static void hang(struct iso_wheel *wheel, struct iso_timer *timer)
{
	/* Rounded up, never early; in two steps, as UINT64_MAX is a deadline too: never. */
	uint64_t ms = timer->due_us / 1000 + (timer->due_us % 1000 != 0);

	if (ms <= wheel->tick_ms)
		ms = wheel->tick_ms + 1;
	if (ms > wheel->tick_ms + ISO_WHEEL_SLOTS - 1)
		ms = wheel->tick_ms + ISO_WHEEL_SLOTS - 1; /* visited on the way, hung again */
	timer->slot_ms = ms;
	iso_list_push_back(&wheel->slots[ms % ISO_WHEEL_SLOTS], &timer->link);
	mark(wheel, ms % ISO_WHEEL_SLOTS);
}

void iso_timer_set(struct iso_wheel *wheel, struct iso_timer *timer, uint64_t due_us)
{
	timer->due_us = due_us != 0 ? due_us : 1;
	if (iso_list_linked(&timer->link)) {
		if (timer->slot_ms * 1000 <= timer->due_us)
			return; /* lazy: it is looked at early and hung again */
		iso_list_remove(&timer->link);
		unmark_if_empty(wheel, timer->slot_ms % ISO_WHEEL_SLOTS);
	}
	hang(wheel, timer);
}

void iso_timer_clear(struct iso_wheel *wheel, struct iso_timer *timer)
{
	timer->due_us = 0;
	if (!iso_list_linked(&timer->link))
		return;
	iso_list_remove(&timer->link);
	unmark_if_empty(wheel, timer->slot_ms % ISO_WHEEL_SLOTS);
}

static void run_slot(struct iso_wheel *wheel, uint64_t slot, uint64_t now_us)
{
	struct iso_list due;
	struct iso_list *node;

	iso_list_init(&due);
	iso_list_splice(&due, &wheel->slots[slot]);
	unmark_if_empty(wheel, slot);
	while ((node = iso_list_pop_front(&due)) != NULL) {
		struct iso_timer *timer = ISO_CONTAINER(node, struct iso_timer, link);

		/*
		 * Not due: its deadline was moved. Or it was hung in this very run, which after a stall comes
		 * by every slot: then it waits for the next one, as its setter was told.
		 */
		if (timer->due_us > now_us || timer->slot_ms > wheel->tick_ms) {
			hang(wheel, timer);
			continue;
		}
		timer->due_us = 0;
		timer->fire(timer);
	}
}

/* The first occupied slot at or after `from`, at most `limit` slots on; limit when there is none. */
static uint64_t next_occupied(const struct iso_wheel *wheel, uint64_t from, uint64_t limit)
{
	uint64_t ahead = 0;

	while (ahead < limit) {
		uint64_t slot = (from + ahead) % ISO_WHEEL_SLOTS;
		uint64_t word = wheel->occupied[slot / 64] >> slot % 64;

		if (word != 0) {
			ahead += (uint64_t)__builtin_ctzll(word);
			return ahead < limit ? ahead : limit;
		}
		ahead += 64 - slot % 64;
	}
	return limit;
}

void iso_wheel_run(struct iso_wheel *wheel, uint64_t now_us)
{
	uint64_t now_ms = now_us / 1000;
	uint64_t from = wheel->tick_ms + 1;
	uint64_t span;

	if (now_ms < from)
		return;
	span = now_ms - from + 1;
	if (span > ISO_WHEEL_SLOTS)
		span = ISO_WHEEL_SLOTS; /* after a long stall each slot is visited once */
	/* New timers hang beyond now, so that a callback that sets one cannot keep us here. */
	wheel->tick_ms = now_ms;
	for (uint64_t i = next_occupied(wheel, from, span); i < span;
	     i += 1 + next_occupied(wheel, from + i + 1, span - i - 1))
		run_slot(wheel, (from + i) % ISO_WHEEL_SLOTS, now_us);
}

uint64_t iso_wheel_next_us(const struct iso_wheel *wheel, uint64_t now_us)
{
	uint64_t from = wheel->tick_ms + 1;
	uint64_t ahead = next_occupied(wheel, from, ISO_WHEEL_SLOTS);
	uint64_t at_us = (from + ahead) * 1000;

	if (ahead == ISO_WHEEL_SLOTS)
		return UINT64_MAX;
	return at_us > now_us ? at_us - now_us : 0;
}
