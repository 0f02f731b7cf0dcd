/*
 * Counts and rates per key in fixed memory, shared by all threads without a lock: a count-min sketch (Cormode
 * and Muthukrishnan, 2005) of four rows. A key's value is at least the true one; it is more only where it
 * shares all four cells with others. The hash is keyed, so that no peer can choose keys that collide.
 */
#ifndef ISO_STATS_SKETCH_H
#define ISO_STATS_SKETCH_H

#include <stdatomic.h>
#include <stdint.h>

#include "iso/base/slice.h"

enum { ISO_SKETCH_ROWS = 4, ISO_SKETCH_WIDTH = 16384 };

struct iso_sketch {
	uint64_t seed[2];
	_Atomic uint64_t cells[ISO_SKETCH_ROWS][ISO_SKETCH_WIDTH];
};

/* seed: 128 bits from a good source. 512 KiB, zeroed by the caller. */
void iso_sketch_init(struct iso_sketch *s, const uint64_t seed[2]);

/* Counts: what goes up must come down by the same key. Returns the value after. */
uint64_t iso_sketch_up(struct iso_sketch *s, struct iso_slice key);
void iso_sketch_down(struct iso_sketch *s, struct iso_slice key);

struct iso_sketch_rate {
	uint64_t interval_us; /* between two, in the long run */
	uint32_t burst;       /* at once, after a rest */
};

struct iso_sketch_verdict {
	uint32_t left;    /* how many more may go at once */
	uint64_t wait_us; /* refused: until the next one may */
};

/*
 * A rate (the generic cell rate algorithm, ITU-T I.371): takes one request from the key's bucket. True: it
 * may go. A sketch counts or rates, not both. now_us > 0. Two threads at the same moment may both get the
 * last one.
 */
bool iso_sketch_take(struct iso_sketch *s, struct iso_slice key, uint64_t now_us,
		     const struct iso_sketch_rate *rate, struct iso_sketch_verdict *ret_verdict);

#endif
