/*
 * See sketch.h. Any thread.
 */
#include "iso/stats/sketch.h"

#include "iso/base/hmap.h"

void iso_sketch_init(struct iso_sketch *s, const uint64_t seed[2])
{
	s->seed[0] = seed[0];
	s->seed[1] = seed[1];
}

/* One hash of 64 bits gives the four columns. */
static _Atomic uint64_t *cell(struct iso_sketch *s, uint64_t hash, int row)
{
	return &s->cells[row][(hash >> (row * 14)) & (ISO_SKETCH_WIDTH - 1)];
}

uint64_t iso_sketch_up(struct iso_sketch *s, struct iso_slice key)
{
	uint64_t hash = iso_siphash(s->seed, key), least = UINT64_MAX;

	for (int row = 0; row < ISO_SKETCH_ROWS; row++) {
		uint64_t value = atomic_fetch_add(cell(s, hash, row), 1) + 1;

		if (value < least)
			least = value;
	}
	return least;
}

void iso_sketch_down(struct iso_sketch *s, struct iso_slice key)
{
	uint64_t hash = iso_siphash(s->seed, key);

	for (int row = 0; row < ISO_SKETCH_ROWS; row++)
		atomic_fetch_sub(cell(s, hash, row), 1);
}

/* Raises a cell to at least `to`. */
static void raise_to(_Atomic uint64_t *at, uint64_t to)
{
	uint64_t had = atomic_load(at);

	while (had < to && !atomic_compare_exchange_weak(at, &had, to))
		;
}

/*
 * A cell holds the theoretical arrival time of its keys' next request. The key's own is the least of its
 * four; conservative update: a cell is raised only to what this key needs.
 */
bool iso_sketch_take(struct iso_sketch *s, struct iso_slice key, uint64_t now_us,
		     const struct iso_sketch_rate *rate, struct iso_sketch_verdict *ret_verdict)
{
	uint64_t hash = iso_siphash(s->seed, key), arrival = UINT64_MAX, ahead;
	uint64_t span = rate->interval_us * rate->burst;

	for (int row = 0; row < ISO_SKETCH_ROWS; row++) {
		uint64_t value = atomic_load(cell(s, hash, row));

		if (value < arrival)
			arrival = value;
	}
	if (arrival < now_us)
		arrival = now_us;
	ahead = arrival + rate->interval_us - now_us;
	if (ahead > span) {
		*ret_verdict = (struct iso_sketch_verdict){ 0, ahead - span };
		return false;
	}
	for (int row = 0; row < ISO_SKETCH_ROWS; row++)
		raise_to(cell(s, hash, row), arrival + rate->interval_us);
	*ret_verdict = (struct iso_sketch_verdict){ (uint32_t)((span - ahead) / rate->interval_us), 0 };
	return true;
}
