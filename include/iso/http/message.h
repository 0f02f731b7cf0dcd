/*
 * The head of a request or response, independent of the protocol that carried it.
 */
#ifndef ISO_HTTP_MESSAGE_H
#define ISO_HTTP_MESSAGE_H

#include "iso/http/field.h"

enum iso_version { ISO_HTTP_10 = 10, ISO_HTTP_11 = 11, ISO_HTTP_2 = 20 };

enum iso_method {
	ISO_METHOD_OTHER = 0, /* a valid token that has no meaning to the proxy: neither safe nor idempotent
			       */
	ISO_METHOD_GET,
	ISO_METHOD_HEAD,
	ISO_METHOD_OPTIONS,
	ISO_METHOD_TRACE,
	ISO_METHOD_PUT,
	ISO_METHOD_DELETE,
	ISO_METHOD_POST,
	ISO_METHOD_PATCH,
	ISO_METHOD_CONNECT,
};

struct iso_head {
	enum iso_version version;
	uint16_t status; /* responses; 0 in a request */
	enum iso_method method_id;
	struct iso_slice method;    /* requests: the token as sent */
	struct iso_slice scheme;    /* "https" or "http" */
	struct iso_slice authority; /* :authority, else Host; empty when there is none (HTTP/1.0) */
	struct iso_slice path;      /* origin-form with query, or "*" */
	struct iso_fields fields;   /* without pseudo-headers and without host */
	struct iso_slice protocol;  /* requests: what is tunnelled ("websocket"); empty: nothing */
	int64_t content_length;     /* -1: not given */
	bool tunnel;                /* responses: bytes of that protocol follow, both ways */
};

enum iso_method iso_method_id(struct iso_slice method);
bool iso_method_is_safe(enum iso_method id);       /* RFC 9110 section 9.2.1 */
bool iso_method_is_idempotent(enum iso_method id); /* RFC 9110 section 9.2.2 */
/* Interim responses (1xx) that may come before one final response. */
enum { ISO_INTERIM_MAX = 64 };
/* Standard reason phrase; "" for a status without one. */
struct iso_slice iso_status_reason(uint16_t status);
/* Whether a response with this status to this method can have content (RFC 9110 section 6.4.1). */
bool iso_status_has_body(uint16_t status, enum iso_method request_method);

/* Whether the message is of gRPC over HTTP/2: application/grpc and what begins so, grpc-web excepted. */
bool iso_head_is_grpc(const struct iso_head *head);

#endif
