/*
 * The ledger: which requests with an Idempotency-Key run or have run, and what was answered. One thread owns
 * it and its journal; workers ask by letter and are answered by letter, many at a time, so that one sync of
 * the journal serves all that wait for it (group commit).
 */
#ifndef ISO_LEDGER_LEDGER_H
#define ISO_LEDGER_LEDGER_H

#include <stdatomic.h>

#include "iso/base/err.h"
#include "iso/base/slice.h"
#include "iso/net/mailbox.h"

/* SHA-256. */
struct iso_ledger_id {
	uint8_t bytes[32];
};

enum iso_ledger_verdict {
	ISO_LEDGER_NEW,      /* run it, and say how it ended */
	ISO_LEDGER_BUSY,     /* the first one still runs; of one that waits only: the ledger ends */
	ISO_LEDGER_MISMATCH, /* the key was used for another request */
	ISO_LEDGER_REPLAY,   /* here is the answer */
	ISO_LEDGER_GONE,     /* it was answered, with what is not kept */
	ISO_LEDGER_LOST,     /* it may have run; what was answered is unknown */
	ISO_LEDGER_FULL,     /* no room: everything in memory runs */
	ISO_LEDGER_BROKEN,   /* the journal cannot be written, so nothing may begin */
};

enum iso_ledger_sync { ISO_LEDGER_ALWAYS, ISO_LEDGER_INTERVAL, ISO_LEDGER_NEVER };

struct iso_ledger_config {
	uint64_t memory;           /* bytes of all entries */
	const char *journal;       /* path; NULL: nothing outlives the process */
	enum iso_ledger_sync sync; /* ALWAYS: what begins is on disk before it may run */
	uint64_t ttl_us;           /* how long what a kill has interrupted is remembered, from now on */
	bool wait;                 /* another process may still use the journal: who asks waits for its end */
	uint64_t seed[2];
};

/* What anybody may read. */
struct iso_ledger_counters {
	_Atomic uint64_t entries, bytes, replayed, conflicts, mismatches, evicted, journal_errors;
};

struct iso_ledger;

/* One request's question, and its ticket while it runs. Heap; see who owns it when. */
struct iso_ledger_ask {
	struct iso_letter letter;
	struct iso_mailbox *home; /* where the answer goes: the asking loop's */
	/* On the asking loop, with the answer. NULL: the one who asked is gone, which it says by clearing
	 * this. */
	void (*answered)(struct iso_ledger_ask *ask);
	void *arg;
	struct iso_ledger *ledger;
	struct iso_ledger_id id, print;
	uint64_t ttl_us; /* how long it is remembered, from its end on */
	enum iso_ledger_verdict verdict;
	bool wait;    /* not BUSY: answered when the one that runs has ended */
	char *answer; /* REPLAY: malloc'ed, the ask's */
	size_t len;
	uint8_t how; /* for the ledger: how it ended */
};

/* Reads the journal, starts the thread. ISO_OK, or why not and *ret_why (static) for people. */
ISO_MUST_USE int iso_ledger_start(const struct iso_ledger_config *config, const char **ret_why,
				  struct iso_ledger **ret_ledger);
/* After the asking loops have stopped, before their mailboxes are gone: what was asked is answered. NULL is
 * fine. */
void iso_ledger_stop(struct iso_ledger *ledger);
/* After those mailboxes are empty: what they held may have been given back. NULL is fine. */
void iso_ledger_free(struct iso_ledger *ledger);
const struct iso_ledger_counters *iso_ledger_counters(const struct iso_ledger *ledger);
/* The ask is the ledger's until it is answered; then the asker's, which gives it back by one of the next two.
 */
void iso_ledger_begin(struct iso_ledger *ledger, struct iso_ledger_ask *ask);
/* NEW: it was answered so (bytes to replay; NULL: too large to keep). Takes `answer`, malloc'ed. */
void iso_ledger_finish(struct iso_ledger_ask *ask, char *answer, size_t len);
/* NEW: it ended without a whole answer; ran: whether it may have run. Any other verdict: done with it. */
void iso_ledger_drop(struct iso_ledger_ask *ask, bool ran);

#endif
