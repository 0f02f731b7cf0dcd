/*
 * Memory for one nghttp2 session. Two of its pieces are large and of no use while the connection is idle: the
 * frame buffer (16 KiB, rewritten for each frame) and the table of streams (a page, all zeros when there are
 * none). They come from the page pool, and iso_h2_mem_idle gives their memory back.
 */
#ifndef ISO_HTTP_H2_MEM_H
#define ISO_HTTP_H2_MEM_H

#include <nghttp2/nghttp2.h>

#include <stdbool.h>

struct iso_h2_mem {
	nghttp2_mem mem;            /* for nghttp2_session_…_new3 */
	void *frame_buffer, *table; /* found while the session is made; NULL: not there (any more) */
	bool made;
};

/* Does not move while its session lives. */
void iso_h2_mem_init(struct iso_h2_mem *m);
/* The session has been made with it. */
void iso_h2_mem_made(struct iso_h2_mem *m);
/* No stream is open, and nghttp2 has said that it has nothing to send. */
void iso_h2_mem_idle(struct iso_h2_mem *m);

#endif
