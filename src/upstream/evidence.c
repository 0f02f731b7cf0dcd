/*
 * A single-producer single-consumer ring of samples beside the cells. Producer: the worker; consumer:
 * control.
 */
#include "iso/upstream/evidence.h"

#include <stdlib.h>

static const char *const outcome_texts[ISO_OUTCOME_COUNT] = {
#define X(id, text) [ISO_OUTCOME_##id] = text,
	ISO_OUTCOME_TABLE(X)
#undef X
};

const char *iso_outcome_text(enum iso_outcome outcome)
{
	return (unsigned int)outcome < ISO_OUTCOME_COUNT ? outcome_texts[outcome] : "?";
}

int iso_evidence_init(struct iso_evidence *evidence)
{
	memset(evidence, 0, sizeof(*evidence));
	evidence->ring.samples = calloc(ISO_RING_SAMPLES, sizeof(*evidence->ring.samples));
	return evidence->ring.samples != NULL ? ISO_OK : ISO_ENOMEM;
}

void iso_evidence_done(struct iso_evidence *evidence)
{
	free(evidence->ring.samples);
	evidence->ring.samples = NULL;
}

void iso_evidence_push(struct iso_evidence *evidence, const struct iso_sample *sample)
{
	uint32_t head = atomic_load_explicit(&evidence->ring.head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&evidence->ring.tail, memory_order_acquire);

	if (head - tail >= ISO_RING_SAMPLES) {
		atomic_fetch_add_explicit(&evidence->ring.dropped, 1, memory_order_relaxed);
		return;
	}
	evidence->ring.samples[head % ISO_RING_SAMPLES] = *sample;
	atomic_store_explicit(&evidence->ring.head, head + 1, memory_order_release);
}

void iso_evidence_note(struct iso_evidence *evidence, uint32_t slot, bool failed, bool good, uint64_t now_us)
{
	_Atomic uint64_t *failed_us = &evidence->cells[slot].failed_us;

	if (failed)
		atomic_store_explicit(failed_us, now_us, memory_order_relaxed);
	else if (good && atomic_load_explicit(failed_us, memory_order_relaxed) != 0)
		atomic_store_explicit(failed_us, 0, memory_order_relaxed);
}

bool iso_evidence_pop(struct iso_evidence *evidence, struct iso_sample *ret_sample)
{
	uint32_t tail = atomic_load_explicit(&evidence->ring.tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&evidence->ring.head, memory_order_acquire);

	if (tail == head)
		return false;
	*ret_sample = evidence->ring.samples[tail % ISO_RING_SAMPLES];
	atomic_store_explicit(&evidence->ring.tail, tail + 1, memory_order_release);
	return true;
}
