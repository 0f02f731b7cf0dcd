/*
 * Memory that may have held a secret: overwritten before it goes back to the heap, so that neither a core
 * dump nor the next owner of the memory finds it.
 */
#ifndef ISO_BASE_SECRET_H
#define ISO_BASE_SECRET_H

#include <stddef.h>

/* Overwrites, whatever the optimiser thinks of it. */
void iso_secret_wipe(void *memory, size_t bytes);
/* free() of malloc'ed memory, all of it overwritten first; NULL is nothing. */
void iso_secret_free(void *memory);
/* realloc() to at least as much: the old place is overwritten. NULL: out of memory, and the old one stays. */
void *iso_secret_grow(void *memory, size_t old_bytes, size_t bytes);

#endif
