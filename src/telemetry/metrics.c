/*
 * Storage of the counters: rows that are bound by the control thread and filled by their owner, and the sums.
 *
 * A row is published by a release store and never moves or goes before iso_metrics_done. A fresh start is
 * asked for by control (`wanted`) and done by the owner, so that each cell keeps a single writer; until then
 * a reader takes the row as zeros.
 */
#include "iso/telemetry/metrics.h"

#include <stdlib.h>
#include <string.h>

static const struct iso_metric_info infos[ISO_METRIC_COUNT] = {
#define X(id, name, type, labels, help) { name, ISO_METRIC_##type, labels, help },
	ISO_METRICS_TABLE(X)
#undef X
};

const struct iso_metric_info *iso_metric_info(enum iso_metric metric)
{
	assert(metric < ISO_METRIC_COUNT);
	return &infos[metric];
}

int iso_metrics_init(struct iso_metrics *m)
{
	memset(m, 0, sizeof(*m));
	return iso_metrics_bind(m, ISO_METRICS_ROWS - 1);
}

void iso_metrics_done(struct iso_metrics *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < ISO_METRICS_ROWS; i++) {
		free(atomic_load_explicit(&m->rows[i], memory_order_relaxed));
		atomic_store_explicit(&m->rows[i], NULL, memory_order_relaxed);
	}
}

int iso_metrics_bind(struct iso_metrics *m, uint32_t row)
{
	struct iso_metrics_row *fresh;

	assert(row < ISO_METRICS_ROWS);
	if (atomic_load_explicit(&m->rows[row], memory_order_relaxed) != NULL)
		return ISO_OK;
	fresh = calloc(1, sizeof(*fresh));
	if (fresh == NULL)
		return ISO_ENOMEM;
	atomic_store_explicit(&m->rows[row], fresh, memory_order_release);
	return ISO_OK;
}

void iso_metrics_restart(struct iso_metrics *m, uint32_t row)
{
	struct iso_metrics_row *r;

	assert(row < ISO_METRICS_ROWS);
	r = atomic_load_explicit(&m->rows[row], memory_order_relaxed);
	if (r != NULL)
		atomic_store_explicit(&r->wanted, atomic_load_explicit(&r->wanted, memory_order_relaxed) + 1,
				      memory_order_relaxed);
}

static void cells_clear(_Atomic uint64_t *cells, size_t n)
{
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&cells[i], 0, memory_order_relaxed);
}

void iso_metrics_row_clear(struct iso_metrics_row *row)
{
	uint32_t wanted = atomic_load_explicit(&row->wanted, memory_order_relaxed);

	cells_clear(row->codes, ISO_METRICS_CODES);
	cells_clear(row->outcomes, ISO_METRICS_INDICES);
	cells_clear(row->retries, ISO_METRICS_INDICES);
	cells_clear(row->stays, ISO_METRICS_INDICES);
	cells_clear(row->executed, ISO_METRICS_EXECUTED);
	cells_clear(row->probes, ISO_PROBE_RESULT_COUNT);
	cells_clear(row->buckets, ISO_METRICS_BUCKETS);
	cells_clear(&row->duration_us, 1);
	/* Whoever sees the new epoch sees the zeros too. */
	atomic_store_explicit(&row->epoch, wanted, memory_order_release);
}

int64_t iso_metrics_sum(const struct iso_metrics *const *all, size_t n, enum iso_metric metric)
{
	uint64_t sum = 0;

	assert(metric < ISO_METRIC_COUNT);
	for (size_t i = 0; i < n; i++)
		sum += atomic_load_explicit(&all[i]->simple[metric], memory_order_relaxed);
	return (int64_t)sum;
}

uint64_t iso_metrics_sum_reloads(const struct iso_metrics *const *all, size_t n,
				 enum iso_reload_result result)
{
	uint64_t sum = 0;

	assert(result < ISO_RELOAD_RESULT_COUNT);
	for (size_t i = 0; i < n; i++)
		sum += atomic_load_explicit(&all[i]->reloads[result], memory_order_relaxed);
	return sum;
}

static void cells_sum(uint64_t *sums, const _Atomic uint64_t *cells, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sums[i] += atomic_load_explicit(&cells[i], memory_order_relaxed);
}

void iso_metrics_sum_row(const struct iso_metrics *const *all, size_t n, uint32_t row,
			 struct iso_metrics_sums *ret_sums)
{
	assert(row < ISO_METRICS_ROWS);
	memset(ret_sums, 0, sizeof(*ret_sums));
	for (size_t i = 0; i < n; i++) {
		const struct iso_metrics_row *r = atomic_load_explicit(&all[i]->rows[row],
								       memory_order_acquire);

		if (r == NULL)
			continue;
		if (atomic_load_explicit(&r->epoch, memory_order_acquire) !=
		    atomic_load_explicit(&r->wanted, memory_order_relaxed))
			continue;
		cells_sum(ret_sums->codes, r->codes, ISO_METRICS_CODES);
		cells_sum(ret_sums->outcomes, r->outcomes, ISO_METRICS_INDICES);
		cells_sum(ret_sums->retries, r->retries, ISO_METRICS_INDICES);
		cells_sum(ret_sums->stays, r->stays, ISO_METRICS_INDICES);
		cells_sum(ret_sums->executed, r->executed, ISO_METRICS_EXECUTED);
		cells_sum(ret_sums->probes, r->probes, ISO_PROBE_RESULT_COUNT);
		cells_sum(ret_sums->buckets, r->buckets, ISO_METRICS_BUCKETS);
		cells_sum(&ret_sums->duration_us, &r->duration_us, 1);
	}
}
