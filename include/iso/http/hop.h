/*
 * What a proxy must take off and put on a message on its way (RFC 9110 section 7.6, RFC 8586). Pure; memory
 * is the message's arena.
 */
#ifndef ISO_HTTP_HOP_H
#define ISO_HTTP_HOP_H

#include "iso/base/err.h"
#include "iso/http/message.h"

struct iso_hop_facts {
	struct iso_slice client_ip; /* text of the peer's address, without port */
	struct iso_slice scheme;    /* that the client used */
	uint64_t random[2];         /* for a request id, should one be made */
	bool trusted;               /* the peer is a proxy whose word about its own clients is taken */
};

/*
 * Connection-specific fields off, and what an untrusted peer says about others; Via, X-Forwarded-*,
 * X-Request-Id and CDN-Loop on. All lines of a list field that is added to become one (RFC 9110 section 5.3).
 * *ret_id: the request's id. ISO_OK; ISO_ENOMEM; ISO_EEXISTS: the request has been here before (answer 508);
 * ISO_EBAD: Connection names a field that must not be dropped that way.
 */
ISO_MUST_USE int iso_hop_request(struct iso_head *head, struct iso_arena *arena,
				 const struct iso_hop_facts *facts, struct iso_slice *ret_id);
/* The response's way back: connection-specific fields off, Via on. */
ISO_MUST_USE int iso_hop_response(struct iso_head *head, struct iso_arena *arena);
/* Takes out of a trailer section what has no business behind the content (RFC 9110 section 6.5.1). */
void iso_hop_trailers(struct iso_fields *trailers);
/* RFC 9113 section 8.2.3: several Cookie fields become one for HTTP/1.1. */
ISO_MUST_USE int iso_hop_join_cookies(struct iso_fields *fields, struct iso_arena *arena);

#endif
