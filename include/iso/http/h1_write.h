/*
 * HTTP/1.1 heads and chunk framing as bytes, into the caller's bounded memory. Pure.
 */
#ifndef ISO_HTTP_H1_WRITE_H
#define ISO_HTTP_H1_WRITE_H

#include "iso/base/err.h"
#include "iso/http/message.h"

enum { ISO_H1_CHUNK_HEADER_MAX = 20 };

/*
 * The head of a request (method set) or a response (status set), blank line included. chunked adds
 * Transfer-Encoding; content_length is written when it is 0 or more and not chunked; close adds Connection:
 * close. ISO_OK; ISO_ELIMIT: more than size; ISO_EBAD: a field with CR, LF or NUL (it must not become two).
 */
ISO_MUST_USE int iso_h1_write_head(const struct iso_head *head, bool chunked, bool close, char *bytes,
				   size_t size, size_t *ret_n);
/* "1a\r\n"; at least ISO_H1_CHUNK_HEADER_MAX bytes of room. Returns the length. */
size_t iso_h1_write_chunk_header(uint64_t len, char *bytes);
/* "0\r\n", the trailers (NULL: none), "\r\n". The same errors as for a head. */
ISO_MUST_USE int iso_h1_write_last_chunk(const struct iso_fields *trailers, char *bytes, size_t size,
					 size_t *ret_n);

#endif
