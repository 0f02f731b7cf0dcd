/*
 * The router: a trie of host labels from the right, under each host pattern a trie of path segments from the
 * left, under each path pattern the methods, under these groups of rules by their conditions. All edges are
 * in one open-addressed table keyed by (node, text), made at its final size. Any thread; immutable once
 * built.
 *
 * A lookup walks down as far as the tries go and then back up: most specific pattern first. Requests insert
 * nothing, so that a peer cannot lengthen a probe sequence.
 */
#include "route_priv.h"

#include <assert.h>

enum { HOST_ROOT = 1 };

struct node *iso_route_node(const struct iso_router *router, uint32_t ref)
{
	assert(ref != NONE && ref <= router->node_count);
	return &router->nodes[ref - 1];
}

/* FNV-1a, started from the node. */
static uint64_t edge_hash(uint32_t from, struct iso_slice text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ ((uint64_t)from * UINT64_C(0x9e3779b97f4a7c15));

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
	return h ^ (h >> 29);
}

struct edge *iso_route_edge(const struct iso_router *router, uint32_t from, struct iso_slice text)
{
	uint64_t hash = edge_hash(from, text);
	uint64_t i = hash & router->mask;

	for (;; i = (i + 1) & router->mask) {
		struct edge *e = &router->edges[i];

		if (e->to == NONE || (e->hash == hash && e->from == from && iso_slice_eq(e->text, text)))
			return e;
	}
}

static uint32_t edge_find(const struct iso_router *router, uint32_t from, struct iso_slice text)
{
	return iso_route_edge(router, from, text)->to;
}

static void edge_put(struct edge *e, uint32_t from, struct iso_slice text, uint32_t to)
{
	*e = (struct edge){ edge_hash(from, text), text, from, to };
}

uint32_t iso_route_node_add(struct iso_router *router, uint32_t parent)
{
	assert(router->node_count < router->node_max);
	router->nodes[router->node_count++] = (struct node){ .parent = parent };
	return router->node_count;
}

uint32_t iso_route_child(struct iso_router *router, uint32_t from, struct iso_slice text)
{
	struct edge *e = iso_route_edge(router, from, text);

	if (e->to == NONE)
		edge_put(e, from, text, iso_route_node_add(router, from));
	return e->to;
}

static uint32_t host_insert(struct iso_router *router, struct iso_slice host)
{
	struct iso_slice rest = iso_route_wild_host(host) ? iso_slice(host.ptr + 2, host.len - 2) : host;
	struct iso_slice label;
	uint32_t at = HOST_ROOT;
	uint32_t *slot;

	if (host.len == 0) {
		slot = &iso_route_node(router, at)->any;
	} else {
		while (iso_route_label_next(&rest, &label))
			at = iso_route_child(router, at, label);
		slot = iso_route_wild_host(host) ? &iso_route_node(router, at)->below
						 : &iso_route_node(router, at)->exact;
	}
	if (*slot == NONE)
		*slot = iso_route_node_add(router, NONE); /* the array does not move */
	return *slot;
}

static uint32_t named_child(struct iso_router *router, uint32_t from)
{
	struct node *node = iso_route_node(router, from);

	if (node->named == NONE)
		node->named = iso_route_node_add(router, NONE); /* the array does not move */
	return node->named;
}

static uint32_t path_insert(struct iso_router *router, uint32_t root, struct iso_slice path)
{
	struct iso_slice rest, segment;
	uint32_t at = root;
	uint32_t *slot;

	if (path.len == 0) {
		slot = &iso_route_node(router, at)->any;
	} else if (path.len == 2 && iso_route_prefix_path(path)) {
		slot = &iso_route_node(router, at)->below;
	} else {
		bool prefix = iso_route_prefix_path(path);

		rest = iso_slice(path.ptr + 1, path.len - (prefix ? 3 : 1));
		while (iso_route_segment_next(&rest, &segment))
			at = iso_route_named_segment(segment) ? named_child(router, at)
							      : iso_route_child(router, at, segment);
		slot = prefix ? &iso_route_node(router, at)->below : &iso_route_node(router, at)->exact;
	}
	if (*slot == NONE)
		*slot = iso_route_node_add(router, NONE);
	return *slot;
}

static void rule_insert(struct iso_router *router, uint32_t rule, struct iso_route_clashes *clashes)
{
	const struct iso_route_rule *r = &router->rules[rule];
	uint32_t leaf = path_insert(router, host_insert(router, r->host), r->path);

	if (r->method_count == 0)
		iso_route_group_insert(router, &iso_route_node(router, leaf)->exact, rule, clashes);
	for (uint32_t i = 0; i < r->method_count; i++) {
		struct edge *e = iso_route_edge(router, leaf, r->methods[i]);
		uint32_t head = e->to;

		iso_route_group_insert(router, &head, rule, clashes);
		/* The insertion may have taken the place that was free. */
		e = iso_route_edge(router, leaf, r->methods[i]);
		edge_put(e, leaf, r->methods[i], head);
	}
	for (uint32_t i = 0; i < r->condition_count; i++)
		router->asks_clients |= r->conditions[i].of == ISO_CONDITION_CLIENT;
}

/* Upper bounds: no two rules share anything. */
static int make_room(struct iso_router *router, struct iso_arena *arena, uint32_t n)
{
	size_t nodes = 1, edges = 1, places = 8, uses = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct iso_route_rule *rule = &router->rules[i];
		size_t labels = iso_route_count_byte(rule->host, '.') + 1u;
		size_t segments = iso_route_count_byte(rule->path, '/');
		size_t leaves = rule->method_count > 0 ? rule->method_count : 1;

		nodes += labels + segments + 2 + leaves * (1u + rule->condition_count);
		edges += labels + segments + leaves * (1u + rule->condition_count);
		uses += leaves;
	}
	while (places < 2 * edges)
		places *= 2;
	if (nodes >= UINT32_MAX || uses >= UINT32_MAX)
		return ISO_ENOMEM;
	router->nodes = iso_arena_zalloc(arena, nodes * sizeof(*router->nodes));
	router->edges = iso_arena_zalloc(arena, places * sizeof(*router->edges));
	router->groups = iso_arena_zalloc(arena, (uses + 1) * sizeof(*router->groups));
	router->entries = iso_arena_zalloc(arena, (uses + 1) * sizeof(*router->entries));
	router->node_max = (uint32_t)nodes;
	router->mask = places - 1;
	return router->nodes != NULL && router->edges != NULL && router->groups != NULL &&
			       router->entries != NULL
		       ? ISO_OK
		       : ISO_ENOMEM;
}

int iso_router_build(struct iso_arena *arena, const struct iso_route_rule *rules, uint32_t n,
		     struct iso_route_clashes *ret_clashes, const struct iso_router **ret_router)
{
	struct iso_router *router = iso_arena_zalloc(arena, sizeof(*router));
	struct iso_route_clashes clashes = { .n = 0 };

	if (router == NULL)
		return ISO_ENOMEM;
	router->rules = rules;
	if (make_room(router, arena, n) != ISO_OK)
		return ISO_ENOMEM;
	(void)iso_route_node_add(router, NONE); /* HOST_ROOT */
	for (uint32_t i = 0; i < n; i++)
		rule_insert(router, i, &clashes);
	if (clashes.n > 0) {
		*ret_clashes = clashes;
		return ISO_EEXISTS;
	}
	*ret_router = router;
	return ISO_OK;
}

static uint32_t leaf_find(const struct iso_router *router, uint32_t leaf,
			  const struct iso_route_request *request)
{
	uint32_t rule;

	if (leaf == NONE)
		return NONE;
	rule = iso_route_group_find(router, edge_find(router, leaf, request->method), request);
	return rule != NONE ? rule
			    : iso_route_group_find(router, iso_route_node(router, leaf)->exact, request);
}

/*
 * Behind the path node `at`: what is written goes before what is named, and that before a star. As deep as
 * the patterns are (ISO_ROUTE_SEGMENTS_MAX), and each node is seen at most once.
 */
static uint32_t segments_find(const struct iso_router *router, uint32_t at, struct iso_slice rest,
			      const struct iso_route_request *request)
{
	const struct node *node = iso_route_node(router, at);
	struct iso_slice segment;
	uint32_t rule = NONE, next;

	if (!iso_route_segment_next(&rest, &segment)) {
		rule = leaf_find(router, node->exact, request);
	} else {
		next = edge_find(router, at, segment);
		if (next != NONE)
			rule = segments_find(router, next, rest, request);
		if (rule == NONE && node->named != NONE && segment.len > 0)
			rule = segments_find(router, node->named, rest, request);
	}
	return rule != NONE ? rule : leaf_find(router, node->below, request);
}

/* From one host pattern: the best path that has a rule for the request; a rule reference or NONE. */
static uint32_t path_find(const struct iso_router *router, uint32_t root,
			  const struct iso_route_request *request)
{
	struct iso_slice path = request->path;
	uint32_t rule = NONE;

	if (root == NONE)
		return NONE;
	path.len = iso_slice_find(path, '?');
	if (path.len > 0 && path.ptr[0] == '/')
		rule = segments_find(router, root, iso_slice(path.ptr + 1, path.len - 1), request);
	return rule != NONE ? rule : leaf_find(router, iso_route_node(router, root)->any, request);
}

/* The host of an authority, lowered into `buf`; empty when it is too long to be one. */
static struct iso_slice host_of(struct iso_slice authority, char buf[ISO_ROUTE_HOST_MAX])
{
	size_t n = authority.len > 0 && authority.ptr[0] == '[' ? iso_slice_find(authority, ']') + 1
								: iso_slice_find(authority, ':');

	if (n > authority.len)
		n = authority.len;
	if (n > 0 && authority.ptr[n - 1] == '.')
		n--;
	if (n > ISO_ROUTE_HOST_MAX)
		n = 0;
	for (size_t i = 0; i < n && i < ISO_ROUTE_HOST_MAX; i++) /* the second: for the compiler */
		buf[i] = iso_ascii_lower(authority.ptr[i]);
	return iso_slice(buf, n);
}

bool iso_router_asks_clients(const struct iso_router *router)
{
	return router->asks_clients;
}

uint32_t iso_router_find(const struct iso_router *router, const struct iso_route_request *request)
{
	char buf[ISO_ROUTE_HOST_MAX];
	struct iso_slice rest = host_of(request->authority, buf), label;
	uint32_t at = HOST_ROOT, rule = NONE, up;
	bool whole = rest.len > 0;

	while (whole && iso_route_label_next(&rest, &label)) {
		uint32_t next = edge_find(router, at, label);

		whole = next != NONE;
		if (whole)
			at = next;
	}
	up = at;
	if (whole) {
		rule = path_find(router, iso_route_node(router, at)->exact, request);
		up = iso_route_node(router, at)->parent; /* a wildcard stands for at least one label more */
	}
	for (; rule == NONE && up != NONE; up = iso_route_node(router, up)->parent)
		rule = path_find(router, iso_route_node(router, up)->below, request);
	if (rule == NONE)
		rule = path_find(router, iso_route_node(router, HOST_ROOT)->any, request);
	return rule != NONE ? rule - 1 : ISO_ROUTE_NONE;
}
