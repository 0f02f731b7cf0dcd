/*
 * From predicted response times to the integer weights that picks walk. Pure.
 */
#ifndef ISO_POLICY_WEIGHT_H
#define ISO_POLICY_WEIGHT_H

#include "iso/policy/view.h"

enum { ISO_WEIGHT_FLOOR_US = 5000 }; /* regions faster than this are as good as each other */

/*
 * The preference for a region against the best of its service: ISO_WEIGHT_ONE when it is as fast, a twentieth when it
 * takes twice as long: (max(estimate, 5 ms) / max(best, 5 ms))^-4.3, flattened below a difference of 28 %.
 */
uint32_t iso_weight_latency(uint32_t estimate_us, uint32_t best_us);
/*
 * The weights of a service's n regions for the board. estimates_us: 0 is unknown and counts as the best that is
 * known. ramps: 0 … ISO_WEIGHT_ONE, apply to the regions in `up`. The others get a weight too, without
 * ramp: it is used when nothing is up.
 */
void iso_weights_publish(const uint32_t estimates_us[], const uint32_t ramps[], uint16_t up, uint32_t n,
			 uint32_t ret_weights[]);

#endif
