/*
 * See body_tape.h.
 */
#include "iso/http/body_tape.h"

#include <assert.h>
#include <stdbool.h>

#include "iso/base/err.h"

enum { SHARE_LEAST = ISO_CHUNK_BYTES / 4 * 3 };

void iso_tape_init(struct iso_tape *tape, size_t limit, struct iso_tape_account *account)
{
	*tape = (struct iso_tape){ .limit = limit, .account = account };
}

static void drop(struct iso_tape *tape)
{
	if (tape->charged > 0)
		atomic_fetch_sub(&tape->account->bytes, tape->charged);
	tape->charged = 0;
	tape->charged_chunk = NULL;
	iso_buf_done(&tape->buf);
}

/* Charges the account; false: it is full. */
static bool charge(struct iso_tape *tape, size_t bytes)
{
	uint64_t limit = atomic_load_explicit(&tape->account->limit, memory_order_relaxed);

	if (atomic_fetch_add(&tape->account->bytes, bytes) + bytes > limit) {
		atomic_fetch_sub(&tape->account->bytes, bytes);
		return false;
	}
	tape->charged += bytes;
	return true;
}

void iso_tape_done(struct iso_tape *tape)
{
	if (tape != NULL)
		drop(tape);
}

void iso_tape_lose(struct iso_tape *tape)
{
	tape->lost = true;
	drop(tape);
}

/* False: the account is full, or there is no memory. */
static bool add(struct iso_tape *tape, struct iso_seg *seg, struct iso_chunk_pool *pool)
{
	if (seg->len < SHARE_LEAST)
		return charge(tape, seg->len) &&
		       iso_buf_append_copy(&tape->buf, pool, seg->ptr, seg->len) == ISO_OK;
	if (seg->chunk != tape->charged_chunk && !charge(tape, ISO_CHUNK_BYTES))
		return false;
	tape->charged_chunk = seg->chunk;
	seg->headroom = 0; /* two readers now: nothing around it may be written */
	seg->shared = true;
	return iso_buf_append_seg(&tape->buf, seg->chunk, seg->ptr, seg->len, 0) == ISO_OK;
}

void iso_tape_record(struct iso_tape *tape, struct iso_buf *piece, struct iso_chunk_pool *pool)
{
	if (tape->lost || piece->bytes == 0)
		return;
	if (tape->buf.bytes + piece->bytes > tape->limit) {
		iso_tape_lose(tape);
		return;
	}
	for (uint32_t i = 0; i < piece->count; i++) {
		if (add(tape, iso_buf_at(piece, i), pool))
			continue;
		tape->full = true;
		iso_tape_lose(tape);
		return;
	}
}

int iso_tape_replay(struct iso_tape *tape, struct iso_buf *to)
{
	assert(!tape->lost);
	return iso_buf_share(to, &tape->buf);
}
