/*
 * Memory for nghttp2's sessions. Each session keeps a 16 KiB frame buffer of which an idle connection touches
 * one page: those come from a region of their own, so that they never reuse memory that others have made
 * resident, and their pages go back to the kernel when they are freed. Everything else is malloc's. One loop
 * owns it.
 */
#ifndef ISO_HTTP_H2_MEM_H
#define ISO_HTTP_H2_MEM_H

#include <nghttp2/nghttp2.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iso_h2_mem {
	nghttp2_mem mem;    /* for nghttp2_session_…_new3 */
	uint8_t *region;    /* address space, resident only where touched; NULL: none, malloc serves all */
	size_t slots, used; /* places in the region, and how many were ever taken */
	void *free;         /* places to be taken again */
};

/* Never fails: without address space malloc serves everything. */
void iso_h2_mem_init(struct iso_h2_mem *m);
/* Every session made with it has been deleted. Fine on a zeroed one. */
void iso_h2_mem_done(struct iso_h2_mem *m);

#endif
