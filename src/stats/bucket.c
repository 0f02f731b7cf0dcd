/*
 * See bucket.h.
 */
#include "iso/stats/bucket.h"

enum { SECOND_US = 1000 * 1000 };

void iso_bucket_init(struct iso_bucket *b, uint64_t per_second_milli, uint64_t per_event_milli,
		     uint64_t now_us)
{
	*b = (struct iso_bucket){
		.level_milli = per_second_milli,
		.per_second_milli = per_second_milli,
		.per_event_milli = per_event_milli,
		.filled_us = now_us,
		.second_us = now_us,
	};
}

static void advance(struct iso_bucket *b, uint64_t now_us)
{
	uint64_t events, cap;

	if (now_us > b->filled_us) {
		uint64_t dt_us = now_us - b->filled_us, income;

		if (dt_us > SECOND_US)
			dt_us = SECOND_US; /* one second's income is all that is kept */
		/* The rest is carried: who asks each 100 us would else never see 3 a second. */
		income = b->per_second_milli * dt_us + b->rest;
		b->level_milli += income / SECOND_US;
		b->rest = income % SECOND_US;
		b->filled_us = now_us;
	}
	if (now_us >= b->second_us + SECOND_US) {
		b->events_before = now_us < b->second_us + 2ull * SECOND_US ? b->events : 0;
		b->events = 0;
		b->second_us = now_us;
	}
	events = b->events > b->events_before ? b->events : b->events_before;
	cap = b->per_second_milli + events * b->per_event_milli;
	if (b->level_milli > cap)
		b->level_milli = cap;
}

void iso_bucket_deposit(struct iso_bucket *b, uint64_t now_us)
{
	b->events++;
	b->level_milli += b->per_event_milli;
	advance(b, now_us);
}

bool iso_bucket_take(struct iso_bucket *b, uint64_t tokens, uint64_t now_us)
{
	advance(b, now_us);
	if (b->level_milli < tokens * 1000)
		return false;
	b->level_milli -= tokens * 1000;
	return true;
}
