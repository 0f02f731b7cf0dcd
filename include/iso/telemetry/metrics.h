/*
 * Counters without locks: each thread that counts (a worker, the control thread) owns one struct iso_metrics
 * and is its only writer; the control thread reads them all and adds up. Writer and reader meet in relaxed
 * atomics: a plain load, add and store, no locked instruction.
 *
 * Counts are kept in rows. Row 0 to 63 is the region slot of that number; row ISO_METRICS_SLOTS + s is
 * service s without a region (the proxy answered itself), the last row no service at all (no route, a bad
 * request). A row takes memory once it is bound. What happens on a row that is not counts in the last one,
 * which always is.
 */
#ifndef ISO_TELEMETRY_METRICS_H
#define ISO_TELEMETRY_METRICS_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "iso/base/err.h"
#include "iso/telemetry/metrics_table.h"

enum {
	ISO_METRICS_SLOTS = 64,    /* region slots, as many as upstream/region has */
	ISO_METRICS_SERVICES = 64, /* services with rows of their own; the number itself: no service */
	ISO_METRICS_ROWS = ISO_METRICS_SLOTS + ISO_METRICS_SERVICES + 1,
	ISO_METRICS_INDICES = 16, /* values of `outcome` and of each `reason` at most */
	ISO_METRICS_EXECUTED = 3, /* of `executed` */
	ISO_METRICS_CODE_MIN = 100,
	ISO_METRICS_CODE_MAX = 599,
	ISO_METRICS_CODES = ISO_METRICS_CODE_MAX - ISO_METRICS_CODE_MIN + 2, /* the last: any other status */
#define X(us, text) +1
	ISO_METRICS_BUCKETS = ISO_METRICS_BOUNDS(X) + 1, /* the last is +Inf */
#undef X
};

enum iso_metric {
#define X(id, name, type, labels, help) ISO_METRIC_##id,
	ISO_METRICS_TABLE(X)
#undef X
		ISO_METRIC_COUNT
};

enum iso_metric_type { ISO_METRIC_COUNTER, ISO_METRIC_GAUGE, ISO_METRIC_HISTOGRAM };

enum iso_probe_result {
#define X(id, text) ISO_PROBE_RESULT_##id,
	ISO_PROBE_RESULT_TABLE(X)
#undef X
		ISO_PROBE_RESULT_COUNT
};

enum iso_reload_result {
#define X(id, text) ISO_RELOAD_RESULT_##id,
	ISO_RELOAD_RESULT_TABLE(X)
#undef X
		ISO_RELOAD_RESULT_COUNT
};

struct iso_metric_info {
	const char *name;
	enum iso_metric_type type;
	const char *labels; /* comma-separated, "" for none */
	const char *help;
};

/* Row of the table; metric < ISO_METRIC_COUNT. */
const struct iso_metric_info *iso_metric_info(enum iso_metric metric);

struct iso_metrics_row {
	/* Control asks for a fresh start by `wanted`; the writer clears the row when it next counts there. */
	_Atomic uint32_t wanted, epoch;
	_Atomic uint64_t codes[ISO_METRICS_CODES];
	_Atomic uint64_t outcomes[ISO_METRICS_INDICES];
	_Atomic uint64_t retries[ISO_METRICS_INDICES];
	_Atomic uint64_t stays[ISO_METRICS_INDICES]; /* failed attempts that no other one followed */
	_Atomic uint64_t executed[ISO_METRICS_EXECUTED];
	_Atomic uint64_t probes[ISO_PROBE_RESULT_COUNT];
	_Atomic uint64_t buckets[ISO_METRICS_BUCKETS]; /* each its own, not cumulative */
	_Atomic uint64_t duration_us;
};

struct iso_metrics {
	char pad_before[64]; /* no line shared with what lies next to it, whatever its alignment */
	_Atomic uint64_t simple[ISO_METRIC_COUNT]; /* of the families without labels */
	_Atomic uint64_t reloads[ISO_RELOAD_RESULT_COUNT];
	_Atomic(struct iso_metrics_row *) rows[ISO_METRICS_ROWS];
	char pad_after[64];
};

/* All rows of one or of several threads added up. */
struct iso_metrics_sums {
	uint64_t codes[ISO_METRICS_CODES];
	uint64_t outcomes[ISO_METRICS_INDICES];
	uint64_t retries[ISO_METRICS_INDICES];
	uint64_t stays[ISO_METRICS_INDICES];
	uint64_t executed[ISO_METRICS_EXECUTED];
	uint64_t probes[ISO_PROBE_RESULT_COUNT];
	uint64_t buckets[ISO_METRICS_BUCKETS];
	uint64_t duration_us;
};

/* ISO_OK or ISO_ENOMEM. Before its thread runs. */
ISO_MUST_USE int iso_metrics_init(struct iso_metrics *m);
/* After its thread has ended, and every reader with it. Fine on a zeroed one and on NULL. */
void iso_metrics_done(struct iso_metrics *m);
/* Control: gives a row its memory, if it has none yet. The writer may be counting. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_metrics_bind(struct iso_metrics *m, uint32_t row);
/*
 * Control: the row means something else from now on (a slot was given to another region): its counts start at
 * zero. Readers see zeros at once. Fine on a row that is not bound.
 */
void iso_metrics_restart(struct iso_metrics *m, uint32_t row);

/* Control: the sum of a family without labels. A gauge may be counted up here and down there. */
int64_t iso_metrics_sum(const struct iso_metrics *const *all, size_t n, enum iso_metric metric);
uint64_t iso_metrics_sum_reloads(const struct iso_metrics *const *all, size_t n,
				 enum iso_reload_result result);
/* Control: one row over all threads. Each number is exact; numbers of one row may be an attempt apart. */
void iso_metrics_sum_row(const struct iso_metrics *const *all, size_t n, uint32_t row,
			 struct iso_metrics_sums *ret_sums);

/* Number of the row for a service without a region; ISO_METRICS_SERVICES and above: no service. */
static inline uint32_t iso_metrics_service_row(uint32_t service)
{
	return ISO_METRICS_SLOTS + (service < ISO_METRICS_SERVICES ? service : ISO_METRICS_SERVICES);
}

/* The rest is for the owning thread. */

void iso_metrics_row_clear(struct iso_metrics_row *row);

static inline void iso_metrics_cell_add(_Atomic uint64_t *cell, uint64_t n)
{
	atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline struct iso_metrics_row *iso_metrics_row_of(struct iso_metrics *m, uint32_t index)
{
	struct iso_metrics_row *row;

	assert(index < ISO_METRICS_ROWS);
	row = atomic_load_explicit(&m->rows[index], memory_order_acquire);
	if (row == NULL)
		row = atomic_load_explicit(&m->rows[ISO_METRICS_ROWS - 1], memory_order_relaxed);
	if (atomic_load_explicit(&row->epoch, memory_order_relaxed) !=
	    atomic_load_explicit(&row->wanted, memory_order_relaxed))
		iso_metrics_row_clear(row);
	return row;
}

/* Counts one, in a counter or gauge without labels. */
static inline void iso_metrics_count(struct iso_metrics *m, enum iso_metric metric)
{
	iso_metrics_cell_add(&m->simple[metric], 1);
}

/* n may be negative: gauges go down so. */
static inline void iso_metrics_add(struct iso_metrics *m, enum iso_metric metric, int64_t n)
{
	iso_metrics_cell_add(&m->simple[metric], (uint64_t)n);
}

/* An exchange ended with `status`. row: the region's slot, or iso_metrics_service_row(). */
static inline void iso_metrics_request(struct iso_metrics *m, uint32_t row, unsigned status)
{
	size_t code = status >= ISO_METRICS_CODE_MIN && status <= ISO_METRICS_CODE_MAX
			      ? status - ISO_METRICS_CODE_MIN
			      : ISO_METRICS_CODES - 1;

	iso_metrics_cell_add(&iso_metrics_row_of(m, row)->codes[code], 1);
}

/* Index of the bucket that holds a duration: a bound is part of its bucket (`le`). */
static inline size_t iso_metrics_bucket(uint64_t duration_us)
{
	static const uint32_t bounds[] = {
#define X(us, text) us,
		ISO_METRICS_BOUNDS(X)
#undef X
	};
	size_t i = 0;

	while (i < ISO_METRICS_BUCKETS - 1 && duration_us > bounds[i])
		i++;
	return i;
}

/* An attempt against a region's slot ended; outcome < ISO_METRICS_INDICES. */
static inline void iso_metrics_attempt(struct iso_metrics *m, uint32_t slot, unsigned outcome,
				       uint64_t duration_us)
{
	struct iso_metrics_row *row;

	assert(slot < ISO_METRICS_SLOTS && outcome < ISO_METRICS_INDICES);
	row = iso_metrics_row_of(m, slot);
	iso_metrics_cell_add(&row->outcomes[outcome], 1);
	iso_metrics_cell_add(&row->buckets[iso_metrics_bucket(duration_us)], 1);
	iso_metrics_cell_add(&row->duration_us, duration_us);
}

/* Another attempt for an exchange of this service; reason < ISO_METRICS_INDICES. */
static inline void iso_metrics_retry(struct iso_metrics *m, uint32_t service, unsigned reason)
{
	assert(reason < ISO_METRICS_INDICES);
	iso_metrics_cell_add(&iso_metrics_row_of(m, iso_metrics_service_row(service))->retries[reason], 1);
}

/* Nothing followed an exchange's failed attempt; reason < ISO_METRICS_INDICES. */
static inline void iso_metrics_not_retried(struct iso_metrics *m, uint32_t service, unsigned reason)
{
	assert(reason < ISO_METRICS_INDICES);
	iso_metrics_cell_add(&iso_metrics_row_of(m, iso_metrics_service_row(service))->stays[reason], 1);
}

/* An attempt against a region's slot ended; executed < ISO_METRICS_EXECUTED. */
static inline void iso_metrics_executed(struct iso_metrics *m, uint32_t slot, unsigned executed)
{
	assert(slot < ISO_METRICS_SLOTS && executed < ISO_METRICS_EXECUTED);
	iso_metrics_cell_add(&iso_metrics_row_of(m, slot)->executed[executed], 1);
}

static inline void iso_metrics_probe(struct iso_metrics *m, uint32_t slot, enum iso_probe_result result)
{
	assert(slot < ISO_METRICS_SLOTS && result < ISO_PROBE_RESULT_COUNT);
	iso_metrics_cell_add(&iso_metrics_row_of(m, slot)->probes[result], 1);
}

static inline void iso_metrics_reload(struct iso_metrics *m, enum iso_reload_result result)
{
	assert(result < ISO_RELOAD_RESULT_COUNT);
	iso_metrics_cell_add(&m->reloads[result], 1);
}

#endif
