/*
 * See body_tape.h.
 */
#include "iso/http/body_tape.h"

#include <assert.h>
#include <stdbool.h>

#include "iso/base/err.h"

void iso_tape_init(struct iso_tape *tape, size_t limit, struct iso_tape_account *account)
{
	*tape = (struct iso_tape){ .limit = limit, .account = account };
}

static void drop(struct iso_tape *tape)
{
	if (tape->buf.bytes > 0)
		atomic_fetch_sub(&tape->account->bytes, tape->buf.bytes);
	iso_buf_done(&tape->buf);
}

/* Charges the account; false: it is full. */
static bool charge(struct iso_tape *tape, size_t bytes)
{
	uint64_t limit = atomic_load_explicit(&tape->account->limit, memory_order_relaxed);

	if (atomic_fetch_add(&tape->account->bytes, bytes) + bytes <= limit)
		return true;
	atomic_fetch_sub(&tape->account->bytes, bytes);
	return false;
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

void iso_tape_record(struct iso_tape *tape, struct iso_buf *piece)
{
	if (tape->lost || piece->bytes == 0)
		return;
	if (tape->buf.bytes + piece->bytes > tape->limit || !charge(tape, piece->bytes)) {
		iso_tape_lose(tape);
		return;
	}
	if (iso_buf_share(&tape->buf, piece) != ISO_OK) {
		atomic_fetch_sub(&tape->account->bytes, piece->bytes);
		iso_tape_lose(tape);
	}
}

int iso_tape_replay(struct iso_tape *tape, struct iso_buf *to)
{
	assert(!tape->lost);
	return iso_buf_share(to, &tape->buf);
}
