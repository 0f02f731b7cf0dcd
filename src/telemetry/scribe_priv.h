/*
 * Inside of the scribe that tests look at: when trouble is told.
 */
#ifndef ISO_TELEMETRY_SCRIBE_PRIV_H
#define ISO_TELEMETRY_SCRIBE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#define ISO_SCRIBE_TELL_EVERY_US UINT64_C(60000000)

struct iso_scribe_alarm {
	uint64_t told_us, told_lost; /* when trouble was last told, and how many lines were lost then */
	bool told;
};

/*
 * Whether to tell now that writing fails (err) or that lines were lost (`lost` in all, since the start). If
 * so it counts as told, and *ret_lost is the number of lines lost since the last time. Pure.
 */
bool iso_scribe_alarm_due(struct iso_scribe_alarm *alarm, uint64_t now_us, int err, uint64_t lost,
			  uint64_t *ret_lost);

#endif
