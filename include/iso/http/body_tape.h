/*
 * A request body kept for replay, up to a limit. Thread: the exchange's loop. A segment that fills most of
 * its chunk is shared, and charged as the chunk that it holds; a smaller one would hold a chunk of 16 KiB for
 * a few bytes: it is copied beside others', and charged as what it is.
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
	const struct iso_chunk *charged_chunk; /* the last one that was shared */
	size_t limit, charged;
	bool lost; /* nothing is kept, nothing can be replayed */
	bool full; /* because the account was, or memory: this body alone was not too large */
};

/* Borrows the account. */
void iso_tape_init(struct iso_tape *tape, size_t limit, struct iso_tape_account *account);
void iso_tape_done(struct iso_tape *tape); /* drops all; NULL is fine */
/* Adds what is in `piece`, which stays with the caller. Copies go into chunks of `pool`, the loop's. Becomes
 * lost beyond its limit or the account's, or without memory. */
void iso_tape_record(struct iso_tape *tape, struct iso_buf *piece, struct iso_chunk_pool *pool);
/* Appends references to all that is kept. Only while not lost. ISO_OK or ISO_ENOMEM. */
int iso_tape_replay(struct iso_tape *tape, struct iso_buf *to) __attribute__((warn_unused_result));
/* Gives the memory back; the body cannot be replayed any more. */
void iso_tape_lose(struct iso_tape *tape);

#endif
