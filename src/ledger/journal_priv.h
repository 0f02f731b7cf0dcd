/*
 * The ledger's memory on disk: records are only ever appended; the file is written anew, smaller, when most
 * of it is out of date. A record that is torn or damaged ends what is read, and what lies behind it is cut
 * off.
 */
#ifndef ISO_LEDGER_JOURNAL_PRIV_H
#define ISO_LEDGER_JOURNAL_PRIV_H

#include "table_priv.h"

struct iso_journal {
	const char *path;
	char *out; /* records that are not written yet */
	size_t len, cap;
	uint64_t size, live; /* bytes of the file, and of them when it was last written anew */
	int fd;              /* -1: there is none */
};

/*
 * Opens the file (made with mode 0600 when it is not there) and puts what it holds into the table; what ran
 * when the process ended is UNKNOWN, until interrupted_us (wall clock, as now_us). One process at a time: it
 * is locked. ISO_OK, or why not and *ret_why.
 */
ISO_MUST_USE int iso_journal_open(struct iso_journal *j, const char *path, struct iso_ledger_table *t,
				  uint64_t now_us, uint64_t interrupted_us, const char **ret_why);
void iso_journal_close(struct iso_journal *j);
/* It cannot be used: every further write fails, and says so. */
void iso_journal_break(struct iso_journal *j);
/* Notes how the entry stands, or (released) that there is none; written by the next flush. ISO_OK,
 * ISO_ENOMEM. */
ISO_MUST_USE int iso_journal_note(struct iso_journal *j, const struct iso_ledger_entry *entry);
ISO_MUST_USE int iso_journal_note_released(struct iso_journal *j, const struct iso_ledger_id *id);
/* Writes what was noted, and with sync waits until it is on disk. ISO_OK, or why not: then all of it is
 * undone. */
ISO_MUST_USE int iso_journal_flush(struct iso_journal *j, bool sync);
/*
 * Writes the file anew when it has grown to more than twice what the table holds. Failure leaves the old one;
 * or breaks the journal, when nobody knows which of the two a power failure would leave.
 */
void iso_journal_tidy(struct iso_journal *j, const struct iso_ledger_table *t, uint64_t now_us);

#endif
