/*
 * See lag.h.
 */
#include "iso/stats/lag.h"

void iso_lag_begin(struct iso_lag *lag, uint64_t now_us)
{
	if (now_us - lag->ended_us <= ISO_LAG_WAITED_US)
		return;
	for (int i = 0; i < ISO_LAG_TURNS; i++)
		lag->turns_us[i] = 0;
}

void iso_lag_end(struct iso_lag *lag, uint64_t began_us, uint64_t now_us)
{
	lag->turns_us[lag->at] = now_us - began_us;
	lag->at = (lag->at + 1) % ISO_LAG_TURNS;
	lag->ended_us = now_us;
}

uint64_t iso_lag_us(const struct iso_lag *lag)
{
	uint64_t least = lag->turns_us[0];

	for (int i = 1; i < ISO_LAG_TURNS; i++) {
		if (lag->turns_us[i] < least)
			least = lag->turns_us[i];
	}
	return least;
}
