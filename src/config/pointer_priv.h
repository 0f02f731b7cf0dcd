/*
 * A JSON pointer (RFC 6901) that grows and shrinks while a document is walked. Bounded: what does not fit is
 * cut off whole, and the pointer then names the nearest ancestor that fitted.
 */
#ifndef ISO_CONFIG_POINTER_PRIV_H
#define ISO_CONFIG_POINTER_PRIV_H

#include "iso/base/slice.h"

enum { ISO_POINTER_MAX = 1024 };

struct iso_pointer {
	char text[ISO_POINTER_MAX]; /* NUL-terminated */
	size_t len;
	bool full; /* nothing more is added until the pointer is cut */
};

/* Each appends one token, escaped, and returns the mark that iso_pointer_cut goes back to. */
size_t iso_pointer_key(struct iso_pointer *p, struct iso_slice name);
size_t iso_pointer_index(struct iso_pointer *p, size_t index);
void iso_pointer_cut(struct iso_pointer *p, size_t mark);

#endif
