/*
 * The chunked transfer coding (RFC 9112 section 7.1), strictly: every CR has its LF and no LF is alone, sizes
 * are hex digits, extensions have their grammar and an end. A decoder of our own, because llhttp lets some of
 * this pass, and what two parsers read differently is where a request is smuggled. The trailer section is the
 * caller's.
 */
#ifndef ISO_HTTP_CHUNKED_H
#define ISO_HTTP_CHUNKED_H

#include "iso/base/err.h"
#include "iso/base/slice.h"

enum { ISO_CHUNK_LINE_MAX = 256 }; /* size and extensions of one chunk, without CR LF */

struct iso_chunked {
	uint64_t left; /* of the chunk's data */
	uint16_t line_len;
	uint8_t state;
	bool last; /* the last chunk's line has come: the trailer section follows */
	const char *why;
	char line[ISO_CHUNK_LINE_MAX];
};

void iso_chunked_init(struct iso_chunked *c);
/*
 * Takes bytes up to the end of a piece of data, of the input or of the last chunk's line. *ret_used of them
 * are done with; *ret_data, possibly empty, lies in them. ISO_OK or ISO_EBAD with c->why.
 */
ISO_MUST_USE int iso_chunked_feed(struct iso_chunked *c, const uint8_t *bytes, size_t n, size_t *ret_used,
				  struct iso_slice *ret_data);

#endif
