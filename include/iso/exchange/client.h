/*
 * Who a client is, to what tells clients apart (`sticky`, `after_write`): a cookie of this proxy's, the value
 * of a header field, or the address. Pure.
 */
#ifndef ISO_EXCHANGE_CLIENT_H
#define ISO_EXCHANGE_CLIENT_H

#include "iso/config/snapshot.h"
#include "iso/http/field.h"
#include "iso/net/transport.h"

/* What the proxy's cookie says. */
struct iso_exchange_cookie {
	uint64_t key, home; /* home: name_hash of the region that it names; 0: none */
	bool had;           /* the client has sent it */
};

/*
 * The first cookie of that name that this proxy may have written. Its value is a random number, which says
 * nothing about anybody, and, where clients do not come back, the hash of the region's name:
 * "0123456789abcdef" or "0123456789abcdef-fedcba9876543210". False: there is none.
 */
bool iso_client_cookie(const struct iso_fields *fields, struct iso_slice name,
		       struct iso_exchange_cookie *ret_cookie);
/*
 * What the client is known by, where that is no cookie: bytes of `fields` or of `addr` (NULL: not known).
 * False: the request does not say.
 */
bool iso_client_bytes(enum iso_sticky_by by, struct iso_slice name, const struct iso_fields *fields,
		      const struct iso_sockaddr *addr, struct iso_slice *ret_bytes);

#endif
