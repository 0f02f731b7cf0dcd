/*
 * From predicted response times to the integer weights that picks walk. Pure.
 */
#ifndef ISO_POLICY_WEIGHT_H
#define ISO_POLICY_WEIGHT_H

#include "iso/policy/view.h"

enum { ISO_WEIGHT_FLOOR_US = 5000 }; /* regions faster than this are as good as each other */

struct iso_weight_input {
	uint32_t estimate_us; /* 0: unknown, counts as the best that is known */
	uint32_t samples;     /* good answers behind it: few of them make small differences count less */
	uint32_t ramp;        /* 0 … ISO_WEIGHT_ONE */
};

/*
 * The preference for a region against the best of its service: ISO_WEIGHT_ONE when it is as fast, a twentieth
 * when it takes twice as long: (max(estimate, 5 ms) / max(best, 5 ms))^-4.3, by a power twice as steep beyond
 * that, flattened where the difference may be noise: below 28 %, and below more than that while `samples` is
 * less than 41.
 */
uint32_t iso_weight_latency(uint32_t estimate_us, uint32_t best_us, uint32_t samples);
/*
 * The weights of a service's n regions for the board. A region in `up` that ramps gets that part of the share
 * which it will have at its full ramp, however much better than the others it is. The regions that are not up
 * get a weight without ramp: it is used when nothing is up.
 */
void iso_weights_publish(const struct iso_weight_input inputs[], uint16_t up, uint32_t n,
			 uint32_t ret_weights[]);

#endif
