/*
 * A request body kept for replay, up to a limit, by sharing its segments. Thread: the exchange's loop.
 */
#ifndef ISO_HTTP_BODY_TAPE_H
#define ISO_HTTP_BODY_TAPE_H

#include <stdatomic.h>

#include "iso/base/buf.h"

/* What all tapes of the process hold together. */
struct iso_tape_account {
	_Atomic uint64_t bytes;
	_Atomic uint64_t limit;
};

struct iso_tape {
	struct iso_buf buf;
	struct iso_tape_account *account;
	size_t limit;
	bool lost; /* the limit was passed: nothing is kept, nothing can be replayed */
};

/* Borrows the account. */
void iso_tape_init(struct iso_tape *tape, size_t limit, struct iso_tape_account *account);
void iso_tape_done(struct iso_tape *tape); /* drops all; NULL is fine */
/* Adds what is in `piece`, which stays with the caller. Becomes lost beyond its limit or the account's, or
 * without memory. */
void iso_tape_record(struct iso_tape *tape, struct iso_buf *piece);
/* Appends references to all that is kept. Only while not lost. ISO_OK or ISO_ENOMEM. */
int iso_tape_replay(struct iso_tape *tape, struct iso_buf *to) __attribute__((warn_unused_result));
/* Gives the memory back; the body cannot be replayed any more. */
void iso_tape_lose(struct iso_tape *tape);

#endif
