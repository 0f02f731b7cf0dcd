/*
 * Ejection by live evidence. Pure.
 */
#include "iso/policy/outlier.h"

#include <stddef.h>
#include <string.h>

enum {
	SECOND_US = 1000 * 1000,
	EJECT_BASE_US = 5 * SECOND_US,
	EJECT_MAX_US = 300 * SECOND_US,
	EJECT_DOUBLINGS_MAX = 6, /* 5 s x 2^6 is beyond the maximum */
	RELAPSE_US = 60 * SECOND_US,
	TRIAL_WAIT_US = SECOND_US, /* no request that may be tried comes: its probes' word must do */
	TRIAL_MAX_US = 5 * SECOND_US,
};

void iso_outlier_init(struct iso_outlier *o)
{
	memset(o, 0, sizeof(*o));
}

void iso_outlier_good(struct iso_outlier *o, uint64_t now_us)
{
	o->transport_run = o->gateway_run = 0;
	o->good_us = o->answered_us = now_us;
}

void iso_outlier_reached(struct iso_outlier *o, bool connected, uint64_t now_us)
{
	if (connected)
		o->answered_us = now_us;
	else
		o->connect_failed_us = now_us;
}

/* At least three answers in the last second, and not one good. */
static bool second_lost(const struct iso_outlier *o, uint64_t now_us)
{
	uint64_t begin_us = now_us > SECOND_US ? now_us - SECOND_US : 0;
	uint64_t first_us = o->failed_us[ISO_OUTLIER_SECOND_RUN - 1];

	return first_us != 0 && first_us >= begin_us && (o->good_us == 0 || o->good_us < begin_us);
}

const char *iso_outlier_failure(struct iso_outlier *o, enum iso_failure kind, uint64_t now_us)
{
	memmove(o->failed_us + 1, o->failed_us, sizeof(o->failed_us) - sizeof(o->failed_us[0]));
	o->failed_us[0] = now_us;
	if (kind == ISO_FAILURE_CONNECT)
		o->connect_failed_us = now_us;
	if (kind == ISO_FAILURE_GATEWAY) {
		o->answered_us = now_us;
		o->gateway_run++;
	} else {
		o->transport_run++;
	}
	if (o->transport_run >= ISO_OUTLIER_TRANSPORT_RUN) {
		switch (kind) {
		case ISO_FAILURE_CONNECT:
			return "connecting failed several times in a row";
		case ISO_FAILURE_TLS:
			return "TLS failed several times in a row";
		case ISO_FAILURE_TIMEOUT:
			return "timed out several times in a row";
		default:
			return "broke off several times in a row";
		}
	}
	if (o->transport_run + o->gateway_run >= ISO_OUTLIER_GATEWAY_RUN)
		return "five failures in a row, gateway errors among them";
	return second_lost(o, now_us) ? "every answer of the last second was a failure" : NULL;
}

/* The longer the sooner it has come back to be ejected again. */
static uint64_t eject_time_us(struct iso_outlier *o, uint32_t draw)
{
	uint64_t time_us = (uint64_t)EJECT_BASE_US << o->times;

	if (time_us > EJECT_MAX_US)
		time_us = EJECT_MAX_US;
	time_us = time_us * 9 / 10 + ((time_us / 5 * draw) >> 32);
	if (o->times < EJECT_DOUBLINGS_MAX)
		o->times++;
	return time_us < EJECT_MAX_US ? time_us : EJECT_MAX_US;
}

void iso_outlier_eject(struct iso_outlier *o, const char *words, uint32_t draw, uint64_t now_us)
{
	if (o->ejected)
		return;
	if (o->back_us == 0 || now_us > o->back_us + RELAPSE_US)
		o->times = 0;
	o->ejected = true;
	o->since_us = now_us;
	o->until_us = now_us + eject_time_us(o, draw);
	o->draw = draw;
	o->good_probes = 0;
	o->trial = 0;
	o->by_connect = iso_outlier_is_unreached(o);
	o->words = words;
}

static void open_half(struct iso_outlier *o, uint64_t now_us)
{
	o->trial = (uint32_t)(now_us / 1000) | 1; /* not the one before, and not 0 */
	o->trial_us = now_us;
	o->trial_good = false;
}

void iso_outlier_doubt(struct iso_outlier *o, const char *words, uint32_t draw, uint64_t now_us)
{
	if (o->ejected)
		return;
	if (o->back_us == 0 || now_us > o->back_us + RELAPSE_US)
		o->times = 0;
	o->ejected = true;
	o->since_us = o->until_us = now_us;
	o->draw = draw;
	o->good_probes = 0;
	o->by_connect = false;
	o->words = words;
	open_half(o, now_us);
}

static void close_again(struct iso_outlier *o, const char *words, uint64_t now_us)
{
	o->trial = 0;
	o->good_probes = 0;
	o->until_us = now_us + eject_time_us(o, o->draw);
	o->words = words;
}

void iso_outlier_trial(struct iso_outlier *o, enum iso_trial_end end, uint64_t start_us, uint64_t now_us)
{
	if (!o->ejected || o->trial == 0 || start_us < o->trial_us)
		return;
	if (end == ISO_TRIAL_GOOD)
		o->trial_good = true;
	else if (end == ISO_TRIAL_NONE)
		open_half(o, now_us);
	else
		close_again(o, "the request that tried it failed", now_us);
}

void iso_outlier_probe(struct iso_outlier *o, bool passed, bool normal, uint64_t now_us)
{
	if (!passed || !normal)
		o->noticed_us = now_us;
	if (!o->ejected)
		return;
	o->good_probes = passed ? o->good_probes + 1 : 0;
}

/* What ended the traffic must be seen anew before it ends it again. */
static void forget_runs(struct iso_outlier *o)
{
	o->ejected = false;
	o->trial = 0;
	o->words = NULL;
	o->transport_run = o->gateway_run = 0;
	memset(o->failed_us, 0, sizeof(o->failed_us));
}

static bool may_open(const struct iso_outlier *o, uint32_t healthy_threshold, uint64_t now_us)
{
	uint64_t needed = healthy_threshold > 0 ? healthy_threshold : 1;

	if (o->noticed_us == 0 || o->noticed_us + SECOND_US < o->since_us)
		needed <<= o->times > 0 ? o->times - 1 : 0;
	return o->good_probes >= needed || (now_us >= o->until_us && o->good_probes > 0);
}

bool iso_outlier_tick(struct iso_outlier *o, uint32_t healthy_threshold, bool taken, uint64_t now_us)
{
	if (!o->ejected)
		return false;
	if (o->trial == 0) {
		if (may_open(o, healthy_threshold, now_us))
			open_half(o, now_us);
		return false;
	}
	if (!o->trial_good && taken) {
		if (now_us >= o->trial_us + TRIAL_MAX_US)
			close_again(o, "the request that tries it gets no answer", now_us);
		return false;
	}
	if (!o->trial_good && now_us < o->trial_us + TRIAL_WAIT_US)
		return false;
	forget_runs(o);
	o->back_us = now_us;
	return true;
}

void iso_outlier_pardon(struct iso_outlier *o)
{
	if (!o->ejected)
		return;
	if (o->times > 0)
		o->times--;
	forget_runs(o);
}

bool iso_outlier_uplink_down(const struct iso_outlier *const outliers[], uint32_t n, uint64_t now_us)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct iso_outlier *o = outliers[i];

		if (o->connect_failed_us == 0 || o->connect_failed_us + SECOND_US < now_us ||
		    o->answered_us >= o->connect_failed_us)
			return false;
	}
	return n >= 2;
}
