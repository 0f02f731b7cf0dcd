/*
 * Memory in whole pages that can be given back without giving up the address: for buffers of 16 to 24 KiB (a
 * TLS record, an HTTP/2 frame, a handshake) and for single pages. They lie in regions of their own, so that a
 * burst of them leaves no holes between small things that live long, and an idle connection's cost no memory.
 * Any other size is malloc's. Any thread, and a buffer may be freed by another than took it.
 */
#ifndef ISO_BASE_PAGE_POOL_H
#define ISO_BASE_PAGE_POOL_H

#include <stddef.h>

enum { ISO_PAGE_BYTES = 4096 };

/* As malloc, realloc and free. iso_page_alloc of ISO_PAGE_BYTES is one zeroed page. */
void *iso_page_alloc(size_t size);
void *iso_page_realloc(void *ptr, size_t size);
void iso_page_free(void *ptr);

/* Gives back the memory behind a buffer whose content no longer matters; it stays allocated and reads as
 * zeros. */
void iso_page_discard(void *ptr);
/* The same for a single page whose content matters, if that is nothing but zeros. */
void iso_page_discard_zero(void *page);

#endif
