/*
 * See body_tape.h.
 */
#include "iso/http/body_tape.h"

#include <assert.h>

#include "iso/base/err.h"

void iso_tape_init(struct iso_tape *tape, size_t limit)
{
	*tape = (struct iso_tape){ .limit = limit };
}

void iso_tape_done(struct iso_tape *tape)
{
	if (tape != NULL)
		iso_buf_done(&tape->buf);
}

void iso_tape_lose(struct iso_tape *tape)
{
	tape->lost = true;
	iso_buf_done(&tape->buf);
}

void iso_tape_record(struct iso_tape *tape, struct iso_buf *piece)
{
	if (tape->lost)
		return;
	if (tape->buf.bytes + piece->bytes > tape->limit || iso_buf_share(&tape->buf, piece) != ISO_OK)
		iso_tape_lose(tape);
}

int iso_tape_replay(struct iso_tape *tape, struct iso_buf *to)
{
	assert(!tape->lost);
	return iso_buf_share(to, &tape->buf);
}
