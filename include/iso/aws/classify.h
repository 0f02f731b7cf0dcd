/*
 * What an answer of API Gateway means: whether the function may have run, and whose fault it is. After the
 * table of gateway response types in the API Gateway developer guide. Pure.
 */
#ifndef ISO_AWS_CLASSIFY_H
#define ISO_AWS_CLASSIFY_H

#include "iso/base/slice.h"

enum iso_executed { ISO_EXECUTED_NO, ISO_EXECUTED_MAYBE, ISO_EXECUTED_YES };

enum iso_fault {
	ISO_FAULT_NONE,        /* an answer like any other */
	ISO_FAULT_CLIENT,      /* the request was wrong, or not allowed: every region would say so */
	ISO_FAULT_REGION,      /* counts against the region */
	ISO_FAULT_THROTTLE,    /* too much for this region right now */
	ISO_FAULT_APPLICATION, /* the API's own answer, also when it is an error */
};

struct iso_classify_input {
	uint16_t status;
	struct iso_slice error_type; /* x-amzn-ErrorType; empty: none */
	struct iso_slice marker; /* the gateway response type, where the API's owner sends it; empty: none */
};

struct iso_classification {
	enum iso_executed executed;
	enum iso_fault fault;
	const char *words; /* for people, static; NULL: nothing to say */
};

/* Without a marker what happened is judged by status and error type, and counts as "maybe executed" at best.
 */
struct iso_classification iso_classify(const struct iso_classify_input *input);
const char *iso_executed_text(enum iso_executed executed); /* "no", "maybe", "yes" */

#endif
