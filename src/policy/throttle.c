/*
 * See throttle.h. The learner is control's; the gate is any thread's.
 */
#include "iso/policy/throttle.h"

#include <string.h>

enum {
	SECOND_US = 1000 * 1000,
	ENOUGH = 400,          /* answers that make a rate: 5 % of noise */
	FLOOR_MILLI = 1000,    /* one request a second finds out whether it is over */
	KEEP_PERCENT = 98,     /* of what was answered well, after a 429 */
	CUT_PERCENT = 90,      /* of the limit is left at least by one cut: a rate is noisy */
	HOLD_US = 1000 * 1000, /* after a cut nothing grows for so long */
	GROW_PERCENT = 2,      /* a second, and more the longer nothing is refused */
	GROW_MORE_US = 2 * 1000 * 1000,
	FORGET_US = 60 * 1000 * 1000,
	BURST_US = 50 * 1000, /* what the gate lets come at once */
};

void iso_throttle_init(struct iso_throttle *t)
{
	memset(t, 0, sizeof(*t));
}

static void roll(struct iso_throttle *t, uint64_t now_us)
{
	uint64_t slot = now_us / ISO_THROTTLE_SLOT_US;

	if (slot <= t->slot)
		return;
	if (slot - t->slot >= ISO_THROTTLE_SLOTS) {
		memset(t->passed, 0, sizeof(t->passed));
		t->first = slot;
	} else
		for (uint64_t s = t->slot + 1; s <= slot; s++)
			t->passed[s % ISO_THROTTLE_SLOTS] = 0;
	t->slot = slot;
}

void iso_throttle_passed(struct iso_throttle *t, uint64_t now_us)
{
	roll(t, now_us);
	t->passed[t->slot % ISO_THROTTLE_SLOTS]++;
}

/*
 * What was answered well a second, in thousandths: over as few whole slots as make a rate, so that it follows
 * quickly where there is much traffic.
 */
static uint64_t rate_milli(const struct iso_throttle *t)
{
	uint64_t sum = 0, slots = 0;

	while (slots < ISO_THROTTLE_SLOTS - 1 && slots < t->slot - t->first && (sum < ENOUGH || slots < 3)) {
		slots++;
		sum += t->passed[(t->slot + ISO_THROTTLE_SLOTS - slots) % ISO_THROTTLE_SLOTS];
	}
	/* Not a slot is whole yet: what there is came in less than one. */
	if (slots == 0)
		return t->passed[t->slot % ISO_THROTTLE_SLOTS] * UINT64_C(1000) * SECOND_US /
		       ISO_THROTTLE_SLOT_US;
	return sum * 1000 * SECOND_US / (slots * ISO_THROTTLE_SLOT_US);
}

bool iso_throttle_refused(struct iso_throttle *t, uint32_t key, uint64_t now_us)
{
	bool counts = key == 0 ||
		      (t->suspect_us != 0 && t->suspect_key != key && now_us < t->suspect_us + SECOND_US);

	roll(t, now_us);
	t->suspect_key = key;
	t->suspect_us = now_us;
	if (!counts)
		return false;
	t->refused++;
	t->refused_us = now_us;
	return true;
}

/* What was answered well is the limit, nearly: also when more came than was thought to be possible. */
static void cut(struct iso_throttle *t, uint64_t now_us)
{
	uint64_t to = rate_milli(t) * KEEP_PERCENT / 100, least = t->limit_milli * CUT_PERCENT / 100;

	if (to < least)
		to = least;
	t->limit_milli = to > FLOOR_MILLI ? to : FLOOR_MILLI;
	t->cut_us = t->grown_us = now_us;
}

void iso_throttle_asked(struct iso_throttle *t, uint64_t retry_after_us, uint64_t now_us)
{
	uint64_t for_us = retry_after_us < FORGET_US ? retry_after_us : FORGET_US;

	if (now_us + for_us > t->asked_us)
		t->asked_us = now_us + for_us;
}

static void grow(struct iso_throttle *t, uint64_t now_us)
{
	uint64_t from_us = t->cut_us + HOLD_US, dt_us = now_us - t->grown_us, percent;

	if (from_us < t->asked_us)
		from_us = t->asked_us;
	t->grown_us = now_us;
	if (now_us < from_us)
		return;
	percent = GROW_PERCENT + GROW_PERCENT * (now_us - from_us) / GROW_MORE_US;
	t->limit_milli += t->limit_milli * percent * dt_us / 100 / SECOND_US + dt_us / 1000;
}

void iso_throttle_step(struct iso_throttle *t, uint64_t now_us)
{
	bool refused = t->refused > 0;

	roll(t, now_us);
	t->refused = 0;
	if (refused) {
		cut(t, now_us);
		return;
	}
	if (t->limit_milli == 0)
		return;
	/* Only a limit that is in use is tried out; one that nobody comes near is forgotten in the end. */
	if (rate_milli(t) * 100 >= t->limit_milli * 80)
		grow(t, now_us);
	else
		t->grown_us = now_us;
	if (now_us > t->refused_us + FORGET_US)
		t->limit_milli = 0;
}

static uint64_t interval_ns(uint64_t limit_milli)
{
	return UINT64_C(1000000000000) / limit_milli;
}

/* How far ahead of its rate the traffic may be. */
static uint64_t burst_ns(uint64_t limit_milli)
{
	uint64_t usual_ns = BURST_US * UINT64_C(1000), least_ns = interval_ns(limit_milli) / 2;

	return usual_ns > least_ns ? usual_ns : least_ns;
}

bool iso_throttle_gate_closed(const struct iso_throttle_gate *gate, uint64_t limit_milli, uint64_t now_us)
{
	return atomic_load_explicit(&gate->arrival_ns, memory_order_relaxed) >
	       now_us * 1000 + burst_ns(limit_milli);
}

void iso_throttle_gate_pass(struct iso_throttle_gate *gate, uint64_t limit_milli, uint64_t now_us)
{
	uint64_t had = atomic_load_explicit(&gate->arrival_ns, memory_order_relaxed), now_ns = now_us * 1000,
		 next;
	uint64_t most_ns = now_ns + 2 * burst_ns(limit_milli) + interval_ns(limit_milli);

	do {
		next = (had > now_ns ? had : now_ns) + interval_ns(limit_milli);
		/* What exceeds the limit anyway (all regions are full) must not keep the gate shut for long.
		 */
		if (next > most_ns)
			next = most_ns;
	} while (!atomic_compare_exchange_weak(&gate->arrival_ns, &had, next));
}

bool iso_throttle_gate_refused(struct iso_throttle_gate *gate, uint32_t key, uint64_t now_us)
{
	uint32_t now_ms = (uint32_t)(now_us / 1000);
	uint64_t had = atomic_exchange_explicit(&gate->refused, (uint64_t)key << 32 | now_ms,
						memory_order_relaxed);

	return key == 0 ||
	       (had != 0 && (uint32_t)(had >> 32) != key && now_ms - (uint32_t)had < SECOND_US / 1000);
}
