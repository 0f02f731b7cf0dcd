/*
 * A bounded list of what is wrong with a configuration: each entry has its place, what is wrong and how to
 * mend it.
 */
#ifndef ISO_BASE_DIAG_H
#define ISO_BASE_DIAG_H

#include <stdbool.h>
#include <stdio.h>

#include "iso/base/err.h"
#include "iso/base/slice.h"

enum iso_diag_level { ISO_DIAG_ERROR, ISO_DIAG_NOTE };

struct iso_diag_entry {
	enum iso_diag_level level;
	unsigned int line, column; /* from 1; 0: the whole file */
	char *pointer;             /* JSON pointer (RFC 6901); "" is the whole document */
	char *message, *mend;
	char *file; /* NULL: the list's own */
};

/* Where something is wrong: line and column from 1 (0: the whole file), the JSON pointer and the file (NULL:
 * the list's own), borrowed. */
struct iso_diag_place {
	unsigned int line, column;
	const char *pointer;
	const char *file;
};

struct iso_diag {
	char *file; /* the main one */
	struct iso_diag_entry *entries;
	size_t count, errors, max, dropped; /* dropped: beyond max, or without memory */
};

/* file is copied. max: most entries kept. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_diag_init(struct iso_diag *diag, const char *file, size_t max);
void iso_diag_done(struct iso_diag *diag); /* NULL is fine */
/* The format is "message|mend": what comes behind its first '|' is how to mend it. Arguments may hold bars.
 */
void iso_diag_add(struct iso_diag *diag, enum iso_diag_level level, struct iso_diag_place place,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "FILE:LINE:COLUMN: error at POINTER: MESSAGE; MEND", a line each, by place; the main file first. */
void iso_diag_print(struct iso_diag *diag, FILE *out);
/*
 * For machines: one JSON object with `file`, `good`, and of `errors` and `notes` each one's `file`, `line`,
 * `column`, `pointer`, `message` and `mend`; `more`: how many there was no room for. ISO_OK or ISO_ENOMEM.
 */
ISO_MUST_USE int iso_diag_print_json(struct iso_diag *diag, bool good, FILE *out);

#endif
