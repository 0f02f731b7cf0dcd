/*
 * Where a request would go, and why: the route, the candidates with their numbers, the pick and its draw.
 */
#ifndef ISO_ADMIN_EXPLAIN_H
#define ISO_ADMIN_EXPLAIN_H

#include "iso/base/text.h"
#include "iso/monitor/publisher.h"
#include "iso/upstream/holds.h"

struct iso_explain_request {
	struct iso_slice method;
	struct iso_slice url;          /* https://host/path?query, or /path */
	struct iso_slice host;         /* a Host header that goes before the URL's; "": none */
	struct iso_slice fields;       /* "name: value" lines that routes may look at; "": none */
	struct iso_slice client;       /* its address; "": not known */
	uint64_t draw;                 /* uniform */
	const struct iso_holds *holds; /* where clients have just written; NULL: nowhere */
	uint64_t now_us;               /* loop time */
};

/*
 * Appends a JSON object. publisher NULL: nothing is measured, every region counts as unknown and equal.
 * ISO_OK; ISO_EBAD: the URL or method is malformed, *ret_why says how (static); ISO_ENOMEM.
 */
ISO_MUST_USE int iso_explain(const struct iso_snapshot *snapshot, const struct iso_publisher *publisher,
			     const struct iso_explain_request *request, struct iso_text *text,
			     const char **ret_why);

#endif
