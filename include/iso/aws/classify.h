/*
 * What an answer of API Gateway means: whether the function may have run, and whose fault it is. After the
 * table of gateway response types in the API Gateway developer guide. Pure.
 */
#ifndef ISO_AWS_CLASSIFY_H
#define ISO_AWS_CLASSIFY_H

#include <stdbool.h>

#include "iso/base/slice.h"

enum iso_executed { ISO_EXECUTED_NO, ISO_EXECUTED_MAYBE, ISO_EXECUTED_YES };

enum iso_fault {
	ISO_FAULT_NONE,        /* an answer like any other */
	ISO_FAULT_CLIENT,      /* the request was wrong, or not allowed: every region would say so */
	ISO_FAULT_REGION,      /* counts against the region */
	ISO_FAULT_THROTTLE,    /* too much for this region right now */
	ISO_FAULT_APPLICATION, /* the API's own answer, also when it is an error */
};

struct iso_classification {
	enum iso_executed executed;
	enum iso_fault fault;
	const char *words; /* for people, static; NULL: nothing to say */
};

/* One row of the table: a gateway response type, or a value of x-amzn-ErrorType. */
struct iso_classify_row {
	const char *type;
	struct iso_classification c;
};

struct iso_classify_input {
	uint16_t status;
	struct iso_slice error_type; /* x-amzn-ErrorType; empty: none */
	struct iso_slice marker; /* the gateway response type, where the API's owner sends it; empty: none */
	bool handled; /* it has an id of API Gateway's: an API has taken the request, and may have run it */
};

/*
 * Without a marker what happened is judged by status and error type, and counts as "maybe executed" at best.
 * Two statuses say that nothing has run: 421 (RFC 9110 section 15.5.20: another connection may be asked,
 * whatever the method) and 425 (RFC 8470 section 5.2). A function could say them too, after it has run: then
 * the gateway's id is on the answer, which it cannot take off, and they say nothing.
 */
struct iso_classification iso_classify(const struct iso_classify_input *input);
/* A response field (lower case) that only API Gateway writes, on every answer of an API. */
bool iso_classify_is_gateway_id(struct iso_slice name);
/* The type in a marker field: what follows the secret; empty when it does not begin with that (forged). */
struct iso_slice iso_classify_marker(struct iso_slice value, struct iso_slice secret);
/* The rows that are looked up by marker, and by x-amzn-ErrorType; *ret_n of them. */
const struct iso_classify_row *iso_classify_by_marker(size_t *ret_n);
const struct iso_classify_row *iso_classify_by_error_type(size_t *ret_n);
const char *iso_executed_text(enum iso_executed executed); /* "no", "maybe", "yes" */
const char *iso_fault_text(enum iso_fault fault);          /* "none", "client", "region", … */

#endif
