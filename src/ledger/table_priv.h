/*
 * What was done under which Idempotency-Key (draft-ietf-httpapi-idempotency-key-header). Pure: time comes in.
 * One owner: the ledger's thread. Keys and fingerprints are SHA-256 digests, so that nothing that a client
 * sent is kept but the answer that it got.
 */
#ifndef ISO_LEDGER_TABLE_PRIV_H
#define ISO_LEDGER_TABLE_PRIV_H

#include "iso/base/hmap.h"
#include "iso/base/list.h"
#include "iso/ledger/ledger.h"

enum iso_ledger_state {
	ISO_LEDGER_RUNNING,
	ISO_LEDGER_DONE,    /* the answer is kept */
	ISO_LEDGER_SPENT,   /* it was answered, but the answer is not kept: too large */
	ISO_LEDGER_UNKNOWN, /* it may have run, and nobody knows */
};

struct iso_ledger_entry {
	struct iso_list link; /* least recently used first */
	struct iso_ledger_id id, print;
	uint64_t expires_us;            /* wall clock; while it runs it counts for nothing */
	struct iso_ledger_ask *waiting; /* for its end, newest first, linked by letter.next; the ledger's */
	enum iso_ledger_state state;
	uint32_t len;
	char answer[];
};

struct iso_ledger_table {
	struct iso_hmap map;
	struct iso_list used;
	uint64_t bytes, bytes_max;
	uint64_t evicted; /* for metrics */
};

void iso_ledger_table_init(struct iso_ledger_table *t, uint64_t bytes_max, const uint64_t seed[2]);
void iso_ledger_table_done(struct iso_ledger_table *t);
/*
 * A request comes. NEW: it runs from now on, until finish or release. REPLAY: *ret_entry has the answer,
 * until the table changes. Memory is made by letting go of what was used least recently and does not run.
 */
enum iso_ledger_verdict iso_ledger_table_begin(struct iso_ledger_table *t, const struct iso_ledger_id *id,
					       const struct iso_ledger_id *print, uint64_t now_us,
					       uint64_t expires_us,
					       const struct iso_ledger_entry **ret_entry);
/*
 * The entry ends so, with a copy of its answer (DONE only); without memory it is SPENT. It is remembered
 * until expires_us, counted from this end: who waits for a request that runs for longer than its key is
 * remembered would else run it again. It has just been used.
 */
void iso_ledger_table_finish(struct iso_ledger_table *t, const struct iso_ledger_id *id,
			     enum iso_ledger_state state, uint64_t expires_us, struct iso_slice answer);
/* It has provably not run: as if it had never come. */
void iso_ledger_table_release(struct iso_ledger_table *t, const struct iso_ledger_id *id);
/*
 * From the journal: whatever there is under that key is replaced. ISO_OK; or ISO_ENOMEM, also for an answer
 * of more than half of all memory, which is not worth what would have to go for it.
 */
ISO_MUST_USE int iso_ledger_table_put(struct iso_ledger_table *t, const struct iso_ledger_id *id,
				      const struct iso_ledger_id *print, enum iso_ledger_state state,
				      uint64_t expires_us, struct iso_slice answer);

#endif
