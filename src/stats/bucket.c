/*
 * See bucket.h. Any thread. Each step of time is taken by the one thread whose exchange succeeds.
 */
#include "iso/stats/bucket.h"

enum { SECOND_US = 1000 * 1000, TOKEN_MILLI = 1000 };

#define LOAD(member) atomic_load_explicit(&(member), memory_order_relaxed)
#define STORE(member, value) atomic_store_explicit(&(member), value, memory_order_relaxed)

void iso_bucket_init(struct iso_bucket *b, uint64_t per_second_milli, uint64_t per_event_milli,
		     uint64_t now_us)
{
	STORE(b->level_milli, (int64_t)per_second_milli);
	STORE(b->filled_us, now_us);
	STORE(b->second_us, now_us);
	STORE(b->events, 0);
	STORE(b->events_before, 0);
	iso_bucket_set_income(b, per_second_milli, per_event_milli);
}

void iso_bucket_set_income(struct iso_bucket *b, uint64_t per_second_milli, uint64_t per_event_milli)
{
	STORE(b->per_second_milli, per_second_milli);
	STORE(b->per_event_milli, per_event_milli);
}

/* The fixed income since the last time. Differences of a sum, so that no fraction is lost however often it is
 * asked. */
static void fill(struct iso_bucket *b, uint64_t now_us)
{
	uint64_t since_us = LOAD(b->filled_us), rate = LOAD(b->per_second_milli);

	if (now_us <= since_us || !atomic_compare_exchange_strong(&b->filled_us, &since_us, now_us))
		return;
	if (now_us - since_us > SECOND_US)
		since_us = now_us - SECOND_US; /* one second's income is all that is kept */
	atomic_fetch_add(&b->level_milli, (int64_t)(rate * now_us / SECOND_US - rate * since_us / SECOND_US));
}

static void roll(struct iso_bucket *b, uint64_t now_us)
{
	uint64_t begin_us = LOAD(b->second_us), events;

	if (now_us < begin_us + SECOND_US ||
	    !atomic_compare_exchange_strong(&b->second_us, &begin_us, now_us))
		return;
	events = atomic_exchange(&b->events, 0);
	STORE(b->events_before, now_us < begin_us + 2ull * SECOND_US ? events : 0);
}

static void advance(struct iso_bucket *b, uint64_t now_us)
{
	uint64_t events, before;
	int64_t level, cap;

	fill(b, now_us);
	roll(b, now_us);
	events = LOAD(b->events);
	before = LOAD(b->events_before);
	cap = (int64_t)(LOAD(b->per_second_milli) +
			(events > before ? events : before) * LOAD(b->per_event_milli));
	if (cap < TOKEN_MILLI)
		cap = TOKEN_MILLI; /* who earns less than one a second gets it in the end */
	level = LOAD(b->level_milli);
	while (level > cap && !atomic_compare_exchange_weak(&b->level_milli, &level, cap))
		;
}

void iso_bucket_deposit(struct iso_bucket *b, uint64_t events, uint64_t now_us)
{
	atomic_fetch_add(&b->events, events);
	atomic_fetch_add(&b->level_milli, (int64_t)(events * LOAD(b->per_event_milli)));
	advance(b, now_us);
}

bool iso_bucket_take(struct iso_bucket *b, uint64_t tokens, uint64_t now_us)
{
	int64_t price = (int64_t)(tokens * TOKEN_MILLI), level;

	advance(b, now_us);
	level = LOAD(b->level_milli);
	do {
		if (level < price)
			return false;
	} while (!atomic_compare_exchange_weak(&b->level_milli, &level, level - price));
	return true;
}

void iso_bucket_give(struct iso_bucket *b, uint64_t tokens)
{
	atomic_fetch_add(&b->level_milli, (int64_t)(tokens * TOKEN_MILLI));
}

uint64_t iso_bucket_now_milli(struct iso_bucket *b, uint64_t now_us)
{
	advance(b, now_us);
	return iso_bucket_level_milli(b);
}

uint64_t iso_bucket_level_milli(const struct iso_bucket *b)
{
	int64_t level = LOAD(b->level_milli);

	return level > 0 ? (uint64_t)level : 0;
}
