/*
 * Request targets, authorities and region URLs (RFC 3986, RFC 9110 section 4.2). Pure.
 */
#ifndef ISO_HTTP_URI_H
#define ISO_HTTP_URI_H

#include "iso/base/arena.h"
#include "iso/base/err.h"

struct iso_url {
	bool tls;                   /* https */
	struct iso_slice host;      /* without brackets */
	struct iso_slice authority; /* as written: host, with port when there was one */
	uint16_t port;
	struct iso_slice base_path; /* "" or "/prod", no slash at the end */
};

/* "https://host[:port][/base]". ISO_OK, or ISO_EBAD with static words. Slices point into `text`. */
ISO_MUST_USE int iso_url_parse(struct iso_slice text, struct iso_url *ret_url, const char **ret_why);

/* host[:port]: a name, an IPv4 address or a bracketed IPv6 one; no user information, a numeric port. */
bool iso_uri_authority_ok(struct iso_slice authority);
/* No blank, control character, fragment or byte beyond ASCII (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
 */
bool iso_uri_target_ok(struct iso_slice target);
/* The host without port and brackets. */
struct iso_slice iso_uri_host(struct iso_slice authority);
/* The part before '?'. */
struct iso_slice iso_uri_path(struct iso_slice target);

/*
 * The one normal form that is matched and sent: dot segments removed, unreserved characters decoded, other
 * escapes in upper case, "//" kept; the query stays as it is. Returns the input itself when nothing changes.
 * ISO_OK; ISO_EBAD: %00, a broken escape; ISO_ENOMEM.
 */
ISO_MUST_USE int iso_uri_normalise(struct iso_arena *arena, struct iso_slice target,
				   struct iso_slice *ret_target);

/*
 * The first value of a name in the target's query, both decoded as forms are
 * (application/x-www-form-urlencoded); "" where there is no "=".
 * False: it is not there, it holds a broken escape, or there is no memory; *ret_value is not touched.
 */
bool iso_uri_query_get(struct iso_arena *arena, struct iso_slice target, struct iso_slice name,
		       struct iso_slice *ret_value);

/*
 * A region's Location as the client must see it: a URL on one of the region's own hosts (the name it is asked
 * by, the name it is reached by), or a path, loses the base path; a URL gets the client's scheme and
 * authority. Unchanged when it points elsewhere. ptr NULL: no memory.
 */
struct iso_slice iso_uri_relocate(struct iso_arena *arena, struct iso_slice location,
				  const struct iso_slice hosts[2], struct iso_slice base_path,
				  struct iso_slice client_origin);
/* Set-Cookie with the base path taken off its Path attribute. ptr NULL: no memory. */
struct iso_slice iso_uri_recookie(struct iso_arena *arena, struct iso_slice cookie,
				  struct iso_slice base_path);

#endif
