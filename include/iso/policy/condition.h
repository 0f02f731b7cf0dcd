/*
 * What a rule asks of a request beyond host, path and method. Pure; immutable once built: any thread.
 * Of a name that a request has several times the first one counts (the first field line, query parameter,
 * cookie), so that two rules with different exact values never both hold.
 */
#ifndef ISO_POLICY_CONDITION_H
#define ISO_POLICY_CONDITION_H

#include "iso/base/arena.h"
#include "iso/base/ip.h"
#include "iso/base/regex.h"
#include "iso/http/field.h"

enum iso_condition_of {
	ISO_CONDITION_HEADER,
	ISO_CONDITION_QUERY,
	ISO_CONDITION_COOKIE,
	ISO_CONDITION_CLIENT,
	ISO_CONDITION_PERCENTAGE,
};

enum iso_condition_is {
	ISO_CONDITION_PRESENT,
	ISO_CONDITION_ABSENT,
	ISO_CONDITION_EXACT,
	ISO_CONDITION_PREFIX,
	ISO_CONDITION_REGEX,
};

struct iso_condition {
	enum iso_condition_of of;
	enum iso_condition_is is;      /* of a header, query parameter or cookie */
	struct iso_slice name;         /* of a header in lower case */
	struct iso_slice value;        /* exact, or the prefix */
	const struct iso_regex *regex; /* of the whole value */
	const struct iso_cidr *networks;
	uint32_t network_count;
	uint32_t share; /* of all draws, of 2^32 - 1 */
};

/* A request as rules see it; all is borrowed. */
struct iso_route_request {
	struct iso_slice authority;      /* case and port are ignored, one dot at the end too */
	struct iso_slice path;           /* normalised, with or without a query */
	struct iso_slice method;         /* compared case-sensitively (RFC 9110 section 9.1) */
	const struct iso_fields *fields; /* NULL: none */
	const struct iso_ip *client;     /* NULL: not known */
	struct iso_arena *arena;         /* for decoded query parameters */
	uint64_t draw;                   /* of all 64 bits, for percentages */
};

/* `rule` gives each rule a draw of its own. */
bool iso_condition_holds(const struct iso_condition *condition, const struct iso_route_request *request,
			 uint32_t rule);
/* The value that the condition is about; false: the request has none. Not for clients and percentages. */
bool iso_condition_value(const struct iso_condition *condition, const struct iso_route_request *request,
			 struct iso_slice *ret_value);
/* Whether no request can meet both, provably; false when it is not known. */
bool iso_condition_disjoint(const struct iso_condition *a, const struct iso_condition *b);

#endif
