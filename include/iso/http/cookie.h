/*
 * The Cookie field of requests (RFC 6265 section 4.2). Values are borrowed from the field.
 */
#ifndef ISO_HTTP_COOKIE_H
#define ISO_HTTP_COOKIE_H

#include "iso/http/field.h"

/* Where a walk over all cookies of a request stands; begins as { 0 }. */
struct iso_cookie_walk {
	uint32_t next; /* field */
	struct iso_slice rest;
};

/*
 * The next cookie of that name, which is compared byte by byte; false: there is none (left). A client may
 * send several, from other paths and domains: the caller decides whose value is good.
 */
bool iso_cookie_next(struct iso_cookie_walk *walk, const struct iso_fields *fields, struct iso_slice name,
		     struct iso_slice *ret_value);

#endif
