/*
 * Rendezvous hashing for `sticky`: each region has a cost for each client, and the cheapest is the client's.
 * When a region goes or comes, only its own clients move. Pure, integers only, and without a secret: every
 * proxy of a fleet, and the same one after a restart, comes to the same order.
 */
#ifndef ISO_POLICY_STICKY_H
#define ISO_POLICY_STICKY_H

#include "iso/base/slice.h"
#include "iso/policy/view.h"

/* Of a client's key, or of a region's name. */
uint64_t iso_sticky_hash(struct iso_slice text);

/*
 * What region `index`, whose name has the hash `region`, costs the client `key`. Of two regions the one with
 * twice the weight is the cheaper for two thirds of all keys. One of weight 0 costs more than any other.
 */
void iso_sticky_fill(struct iso_view_client *client, uint32_t index, uint64_t key, uint64_t region,
		     uint32_t weight);

#endif
