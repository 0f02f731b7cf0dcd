/*
 * Probe thresholds and the pace of probing. Pure.
 */
#include "iso/policy/health.h"

enum {
	FAST_MIN_US = 250 * 1000,
	FAST_DIVISOR = 4,
	SLOW_FACTOR = 3,
	BURSTS_PER_HOUR = 60,
};

static const uint64_t hour_us = UINT64_C(3600) * 1000 * 1000;

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

/* The virtual scheduling form of a leaky bucket (ITU-T I.371, annex A). */
uint64_t iso_probe_quota_take(struct iso_probe_quota *quota, uint32_t per_hour, uint64_t now_us)
{
	uint64_t each_us, burst_us;

	if (per_hour == 0)
		return 0;
	each_us = hour_us / per_hour;
	burst_us = per_hour > BURSTS_PER_HOUR ? (per_hour / BURSTS_PER_HOUR - 1) * each_us : 0;
	if (quota->next_us > now_us + burst_us)
		return quota->next_us - burst_us - now_us;
	quota->next_us = (quota->next_us > now_us ? quota->next_us : now_us) + each_us;
	return 0;
}
