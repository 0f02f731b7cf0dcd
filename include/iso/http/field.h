/*
 * Header and trailer fields (RFC 9110 section 5): an ordered list of name/value slices. Names are kept in
 * lower case. The memory of list and slices is the message's arena.
 */
#ifndef ISO_HTTP_FIELD_H
#define ISO_HTTP_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "iso/base/arena.h"
#include "iso/base/slice.h"

/* Names that the proxy itself looks at; everything else is ISO_FIELD_OTHER. */
#define ISO_FIELD_TABLE(X)                                                                                   \
	X(HOST, "host")                                                                                      \
	X(CONNECTION, "connection")                                                                          \
	X(KEEP_ALIVE, "keep-alive")                                                                          \
	X(PROXY_CONNECTION, "proxy-connection")                                                              \
	X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                          \
	X(PROXY_AUTHORIZATION, "proxy-authorization")                                                        \
	X(TE, "te")                                                                                          \
	X(TRAILER, "trailer")                                                                                \
	X(TRANSFER_ENCODING, "transfer-encoding")                                                            \
	X(UPGRADE, "upgrade")                                                                                \
	X(HTTP2_SETTINGS, "http2-settings")                                                                  \
	X(CONTENT_LENGTH, "content-length")                                                                  \
	X(CONTENT_TYPE, "content-type")                                                                      \
	X(EXPECT, "expect")                                                                                  \
	X(COOKIE, "cookie")                                                                                  \
	X(SET_COOKIE, "set-cookie")                                                                          \
	X(LOCATION, "location")                                                                              \
	X(DATE, "date")                                                                                      \
	X(SERVER, "server")                                                                                  \
	X(PRIORITY, "priority")                                                                              \
	X(VIA, "via")                                                                                        \
	X(FORWARDED, "forwarded")                                                                            \
	X(X_FORWARDED_FOR, "x-forwarded-for")                                                                \
	X(X_FORWARDED_PROTO, "x-forwarded-proto")                                                            \
	X(X_FORWARDED_HOST, "x-forwarded-host")                                                              \
	X(X_REQUEST_ID, "x-request-id")                                                                      \
	X(CDN_LOOP, "cdn-loop")                                                                              \
	X(RETRY_AFTER, "retry-after")                                                                        \
	X(IDEMPOTENCY_KEY, "idempotency-key")                                                                \
	X(AUTHORIZATION, "authorization")                                                                    \
	X(TRACEPARENT, "traceparent")                                                                        \
	X(PROXY_STATUS, "proxy-status")                                                                      \
	X(X_AMZN_REQUESTID, "x-amzn-requestid")                                                              \
	X(X_AMZN_ERRORTYPE, "x-amzn-errortype")

enum iso_field_id {
	ISO_FIELD_OTHER = 0,
#define X(id, name) ISO_FIELD_##id,
	ISO_FIELD_TABLE(X)
#undef X
		ISO_FIELD_COUNT
};

struct iso_field {
	struct iso_slice name; /* lower case */
	struct iso_slice value;
	uint16_t id;    /* enum iso_field_id */
	uint16_t flags; /* ISO_FIELD_F_… */
};

enum {
	ISO_FIELD_F_NEVER_INDEX = 1, /* RFC 7541 section 7.1.3: came as never indexed, goes on as such */
	ISO_FIELD_F_NO_INDEX = 2,    /* changes with each request: keep it out of the dynamic table */
};

struct iso_fields {
	struct iso_field *v;
	uint32_t n, cap;
};

/* The id of a lower-case name; constant time in the length of the table. */
enum iso_field_id iso_field_id(struct iso_slice lower_name);
/* Static lower-case name of an id ("" for OTHER). */
struct iso_slice iso_field_name(enum iso_field_id id);
/*
 * content_length or transfer_encoding: servers that make variables of names (CGI, WSGI) take them for what
 * frames a message. Who sends such a field wants two readers of one message to see two messages.
 */
bool iso_field_is_framing_twin(struct iso_slice lower_name);

/* Appends; name and value are borrowed as they are (not copied) and must live as long as the list. */
int iso_fields_add(struct iso_fields *fields, struct iso_arena *arena, struct iso_slice lower_name,
		   struct iso_slice value) __attribute__((warn_unused_result));
/* Appends copies made in the arena, the name lowered. */
int iso_fields_add_copy(struct iso_fields *fields, struct iso_arena *arena, struct iso_slice name,
			struct iso_slice value) __attribute__((warn_unused_result));
/* The first field with that id or name; NULL when there is none. */
struct iso_field *iso_fields_get(const struct iso_fields *fields, enum iso_field_id id);
struct iso_field *iso_fields_find(const struct iso_fields *fields, struct iso_slice lower_name);
/* Removes all with that id or name, order kept; returns how many. */
uint32_t iso_fields_remove(struct iso_fields *fields, enum iso_field_id id);
uint32_t iso_fields_remove_name(struct iso_fields *fields, struct iso_slice lower_name);

#endif
