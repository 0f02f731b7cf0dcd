/*
 * What a region's probes say of it: thresholds up and down, and when to probe next. Pure.
 */
#ifndef ISO_POLICY_HEALTH_H
#define ISO_POLICY_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum iso_health_state {
	ISO_HEALTH_UNKNOWN, /* eligible from the start */
	ISO_HEALTH_UP,
	ISO_HEALTH_DOWN,
};

struct iso_health {
	enum iso_health_state state;
	uint32_t good, bad; /* consecutive; one of them is 0 */
};

void iso_health_init(struct iso_health *health);
/* A probe passed: the first one makes an unknown region healthy, healthy_threshold in a row one that was
 * down. */
void iso_health_pass(struct iso_health *health, uint32_t healthy_threshold);
/* A probe failed: unhealthy_threshold in a row take the region down. */
void iso_health_fail(struct iso_health *health, uint32_t unhealthy_threshold);

/* How many probes of a region are left: a bucket that fills evenly over the hour. Cleared memory is full. */
struct iso_probe_quota {
	uint64_t next_us; /* when it would be full again, had it no size */
};

/*
 * Takes a probe at now_us. per_hour: the cap, 0 none; a sixtieth of it, one at least, may be taken at once.
 * Returns 0, or the microseconds until one is left (nothing is taken then).
 */
uint64_t iso_probe_quota_take(struct iso_probe_quota *quota, uint32_t per_hour, uint64_t now_us);

enum iso_probe_pace {
	ISO_PROBE_NORMAL,
	ISO_PROBE_FAST, /* failing, ejected or suspect: interval / 4, at least 250 ms, never more than the
			   interval */
	ISO_PROBE_SLOW, /* good live answers within the last interval: 3 x interval */
};

/*
 * Whether live traffic proves the region: it was answered well since now - interval, its last probe passed
 * and it is not in doubt.
 */
enum iso_probe_pace iso_health_pace(const struct iso_health *health, bool doubted, bool live);
/* Microseconds to the next probe, +-10 % by draw (a uniform 32-bit number). */
uint64_t iso_health_next_probe_us(uint64_t interval_us, enum iso_probe_pace pace, uint32_t draw);

#endif
