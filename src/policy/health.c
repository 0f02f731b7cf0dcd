/*
 * Probe thresholds and the pace of probing. Pure.
 */
#include "iso/policy/health.h"

enum {
	FAST_MIN_US = 250 * 1000,
	FAST_DIVISOR = 4,
	SLOW_FACTOR = 3,
};

void iso_health_init(struct iso_health *health)
{
	*health = (struct iso_health){ ISO_HEALTH_UNKNOWN, 0, 0 };
}

void iso_health_pass(struct iso_health *health, uint32_t healthy_threshold)
{
	health->bad = 0;
	if (health->good < UINT32_MAX)
		health->good++;
	if (health->state == ISO_HEALTH_UNKNOWN || health->good >= healthy_threshold)
		health->state = ISO_HEALTH_UP;
}

void iso_health_fail(struct iso_health *health, uint32_t unhealthy_threshold)
{
	health->good = 0;
	if (health->bad < UINT32_MAX)
		health->bad++;
	if (health->bad >= unhealthy_threshold)
		health->state = ISO_HEALTH_DOWN;
}

enum iso_probe_pace iso_health_pace(const struct iso_health *health, bool doubted, bool live)
{
	if (doubted || health->bad > 0 || health->state == ISO_HEALTH_DOWN)
		return ISO_PROBE_FAST;
	return live && health->state == ISO_HEALTH_UP ? ISO_PROBE_SLOW : ISO_PROBE_NORMAL;
}

uint64_t iso_health_next_probe_us(uint64_t interval_us, enum iso_probe_pace pace, uint32_t draw)
{
	uint64_t wait_us = interval_us;

	if (pace == ISO_PROBE_FAST) {
		wait_us = interval_us / FAST_DIVISOR;
		if (wait_us < FAST_MIN_US)
			wait_us = FAST_MIN_US < interval_us ? FAST_MIN_US : interval_us;
	} else if (pace == ISO_PROBE_SLOW) {
		wait_us = interval_us * SLOW_FACTOR;
	}
	/* 0.9 to 1.1: probes of many regions and many nodes must not fall into step. */
	return wait_us * 9 / 10 + ((wait_us / 5 * draw) >> 32);
}
