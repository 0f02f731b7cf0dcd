/*
 * Which rule takes a request: host, path and method, compiled into tries behind one hash table. Pure and
 * immutable once built, any thread; a lookup allocates nothing and costs the depth of the patterns, never
 * their number.
 *
 * The most specific matching rule wins, compared in this order and never by the order in the file:
 *   host:       exact, then the longest `*.suffix`, then none given
 *   path:       segment by segment from the left: written, then named (`{id}`), then `*`; then none given
 *   methods:    given, then not given
 *   conditions: more of them (headers, query parameters, cookies, clients, percentage), then fewer
 *   order:      lower, then higher
 * A rule that fits by host, path and method but not by its conditions falls through to the next.
 */
#ifndef ISO_POLICY_ROUTE_H
#define ISO_POLICY_ROUTE_H

#include "iso/base/arena.h"
#include "iso/base/err.h"
#include "iso/base/slice.h"
#include "iso/policy/condition.h"

enum {
	ISO_ROUTE_METHODS_MAX = 16, /* in one rule */
	ISO_ROUTE_HOST_MAX = 255, /* RFC 1035 section 2.3.4; a longer name in a request is no name's match */
	ISO_ROUTE_CLASHES_MAX = 16,
	ISO_ROUTE_SEGMENTS_MAX = 64,
	ISO_ROUTE_CONDITIONS_MAX = 32,
};

#define ISO_ROUTE_NONE UINT32_MAX

struct iso_route_rule {
	struct iso_slice host; /* lower case; "a.example", "*.example" (any number of labels in front), "" any
				*/
	struct iso_slice path; /* "/x", "/x/{id}", "/x/" + "*" (which takes "/x" too), "" any */
	const struct iso_slice *methods;
	uint32_t method_count;                  /* 0: any method */
	const struct iso_condition *conditions; /* sorted by `of`, then by name */
	uint32_t condition_count;
	int32_t order; /* among rules that are equal in all else */
};

/* Two rules of one specificity that would both take some request: indexes, first < second. */
struct iso_route_clash {
	uint32_t first, second;
};

struct iso_route_clashes {
	struct iso_route_clash v[ISO_ROUTE_CLASHES_MAX];
	uint32_t n;
};

struct iso_router;

/* NULL when the pattern is well formed; else static words that say what is wrong. */
const char *iso_route_host_problem(struct iso_slice host);
const char *iso_route_path_problem(struct iso_slice path);

/*
 * A path's part that stands for `{name}` in the pattern, or for the star, whose name is "rest". False: the
 * pattern has no such name. The path fits the pattern; a query is ignored.
 */
bool iso_route_capture(struct iso_slice pattern, struct iso_slice path, struct iso_slice name,
		       struct iso_slice *ret_value);
/* Whether the pattern has that name. */
bool iso_route_captures(struct iso_slice pattern, struct iso_slice name);

/*
 * The rules are borrowed for the router's life, which is the arena's; their patterns have no problem (see
 * above). ISO_OK; ISO_EEXISTS: *ret_clashes is filled (with the first of them) and there is no router;
 * ISO_ENOMEM.
 */
ISO_MUST_USE int iso_router_build(struct iso_arena *arena, const struct iso_route_rule *rules, uint32_t n,
				  struct iso_route_clashes *ret_clashes,
				  const struct iso_router **ret_router);

/* Whether any rule looks at request->client. */
bool iso_router_asks_clients(const struct iso_router *router);
/*
 * Index of the rule, or ISO_ROUTE_NONE. What does not begin with "/" (as in OPTIONS *) is taken only by rules
 * without a path.
 */
uint32_t iso_router_find(const struct iso_router *router, const struct iso_route_request *request);

#endif
