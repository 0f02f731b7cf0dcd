/*
 * The router: a trie of host labels from the right, under each host pattern a trie of path segments from the
 * left, under each path pattern the methods. All edges are in one open-addressed table keyed by (node, text),
 * made at its final size. Any thread; immutable once built.
 *
 * A lookup walks down as far as the trie goes and then up by the parents: longest pattern first. Requests
 * insert nothing, so that a peer cannot lengthen a probe sequence.
 */
#include "iso/policy/route.h"

#include <assert.h>

enum { NONE = 0 }; /* node and rule references are index + 1 */

struct node {
	uint32_t parent; /* of a host or path node; NONE at a root */
	/*
	 * What hangs here. Host node: path roots. Path node: method leaves. Leaf: `exact` is the rule that
	 * names no method, and the edges lead to rules.
	 */
	uint32_t exact; /* the pattern ends here */
	uint32_t below; /* "*.suffix", "/prefix/" and a star */
	uint32_t any;   /* roots only: nothing was given */
};

struct edge {
	uint64_t hash;
	struct iso_slice text;
	uint32_t from, to; /* to == NONE: a free place */
};

struct iso_router {
	struct node *nodes; /* nodes[0] is the host root, reference 1 */
	uint32_t node_count, node_max;
	struct edge *edges;
	uint64_t mask;
};

enum { HOST_ROOT = 1 };

static struct node *node_at(const struct iso_router *router, uint32_t ref)
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

static struct edge *edge_place(const struct iso_router *router, uint32_t from, struct iso_slice text)
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
	return edge_place(router, from, text)->to;
}

static void edge_put(struct edge *e, uint32_t from, struct iso_slice text, uint32_t to)
{
	*e = (struct edge){ edge_hash(from, text), text, from, to };
}

static uint32_t node_add(struct iso_router *router, uint32_t parent)
{
	assert(router->node_count < router->node_max);
	router->nodes[router->node_count++] = (struct node){ .parent = parent };
	return router->node_count;
}

static uint32_t child_or_add(struct iso_router *router, uint32_t from, struct iso_slice text)
{
	struct edge *e = edge_place(router, from, text);

	if (e->to == NONE)
		edge_put(e, from, text, node_add(router, from));
	return e->to;
}

/* Cuts the last label off; a bracketed address is one label. False when nothing is left (ptr NULL). */
static bool label_next(struct iso_slice *rest, struct iso_slice *ret_label)
{
	size_t at = rest->len;

	if (rest->ptr == NULL)
		return false;
	if (rest->len > 0 && rest->ptr[0] == '[')
		at = 0;
	while (at > 0 && rest->ptr[at - 1] != '.')
		at--;
	*ret_label = iso_slice(rest->ptr + at, rest->len - at);
	*rest = at > 0 ? iso_slice(rest->ptr, at - 1) : iso_slice(NULL, 0);
	return true;
}

/* rest begins behind a "/": cuts the segment off; empty segments count. False when nothing is left (ptr
 * NULL). */
static bool segment_next(struct iso_slice *rest, struct iso_slice *ret_segment)
{
	size_t n;

	if (rest->ptr == NULL)
		return false;
	n = iso_slice_find(*rest, '/');
	*ret_segment = iso_slice(rest->ptr, n);
	*rest = n < rest->len ? iso_slice(rest->ptr + n + 1, rest->len - n - 1) : iso_slice(NULL, 0);
	return true;
}

static uint32_t count_byte(struct iso_slice s, char c)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == c;
	return n;
}

static bool is_wild_host(struct iso_slice host)
{
	return iso_slice_starts(host, ISO_SLICE("*."));
}

static bool is_prefix_path(struct iso_slice path)
{
	return path.len >= 2 && path.ptr[path.len - 2] == '/' && path.ptr[path.len - 1] == '*';
}

static bool label_ok(struct iso_slice label)
{
	if (label.len == 0 || label.len > 63)
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

const char *iso_route_host_problem(struct iso_slice host)
{
	struct iso_slice rest = is_wild_host(host) ? iso_slice(host.ptr + 2, host.len - 2) : host;
	struct iso_slice label;

	if (host.len == 0)
		return "the host is empty";
	if (host.len > ISO_ROUTE_HOST_MAX)
		return "the host is longer than 255 bytes";
	if (host.ptr[0] == '[')
		return host.ptr[host.len - 1] == ']' && iso_slice_find(host, ']') == host.len - 1
			       ? NULL
			       : "an IPv6 address ends with a bracket and has no port here";
	if (count_byte(rest, '*') > 0)
		return "a star may only be the whole first label, as in *.example.com";
	if (count_byte(host, ':') > 0)
		return "the port is ignored when a host is matched, so it must not be given";
	while (label_next(&rest, &label)) {
		if (!label_ok(label))
			return "a host is made of labels of letters, digits, '-' and '_' with single "
			       "dots between";
	}
	return NULL;
}

const char *iso_route_path_problem(struct iso_slice path)
{
	struct iso_slice rest, segment;

	if (path.len == 0 || path.ptr[0] != '/')
		return "a path begins with \"/\"";
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.ptr[i];

		if (c <= ' ' || c >= 0x7f)
			return "a path has no blanks, control characters or bytes beyond ASCII "
			       "(write them as %XX)";
		if (c == '?' || c == '#')
			return "a path is matched without query and fragment";
		if (c == '{' || c == '}')
			return "named segments such as {id} are not available in this version";
	}
	if (count_byte(path, '*') > (is_prefix_path(path) ? 1 : 0))
		return "a star may only be the whole last segment, as in /orders/*";
	rest = iso_slice(path.ptr + 1, path.len - 1);
	while (segment_next(&rest, &segment)) {
		if (iso_slice_eq(segment, ISO_SLICE(".")) || iso_slice_eq(segment, ISO_SLICE("..")))
			return "dot segments never match: paths are normalised before they are matched";
	}
	return NULL;
}

static uint32_t host_insert(struct iso_router *router, struct iso_slice host)
{
	struct iso_slice rest = is_wild_host(host) ? iso_slice(host.ptr + 2, host.len - 2) : host;
	struct iso_slice label;
	uint32_t at = HOST_ROOT;
	uint32_t *slot;

	if (host.len == 0) {
		slot = &node_at(router, at)->any;
	} else {
		while (label_next(&rest, &label))
			at = child_or_add(router, at, label);
		slot = is_wild_host(host) ? &node_at(router, at)->below : &node_at(router, at)->exact;
	}
	if (*slot == NONE)
		*slot = node_add(router, NONE); /* the array does not move */
	return *slot;
}

static uint32_t path_insert(struct iso_router *router, uint32_t root, struct iso_slice path)
{
	struct iso_slice rest, segment;
	uint32_t at = root;
	uint32_t *slot;

	if (path.len == 0) {
		slot = &node_at(router, at)->any;
	} else if (path.len == 2 && is_prefix_path(path)) {
		slot = &node_at(router, at)->below;
	} else {
		bool prefix = is_prefix_path(path);

		rest = iso_slice(path.ptr + 1, path.len - (prefix ? 3 : 1));
		while (segment_next(&rest, &segment))
			at = child_or_add(router, at, segment);
		slot = prefix ? &node_at(router, at)->below : &node_at(router, at)->exact;
	}
	if (*slot == NONE)
		*slot = node_add(router, NONE);
	return *slot;
}

static void clash_add(struct iso_route_clashes *clashes, uint32_t first, uint32_t second)
{
	for (uint32_t i = 0; i < clashes->n; i++) {
		if (clashes->v[i].first == first && clashes->v[i].second == second)
			return;
	}
	if (clashes->n < ISO_ROUTE_CLASHES_MAX)
		clashes->v[clashes->n++] = (struct iso_route_clash){ first, second };
}

static void rule_insert(struct iso_router *router, const struct iso_route_rule *rule, uint32_t index,
			struct iso_route_clashes *clashes)
{
	uint32_t leaf = path_insert(router, host_insert(router, rule->host), rule->path);
	struct node *node = node_at(router, leaf);

	if (rule->method_count == 0) {
		if (node->exact != NONE)
			clash_add(clashes, node->exact - 1, index);
		else
			node->exact = index + 1;
		return;
	}
	for (uint32_t i = 0; i < rule->method_count; i++) {
		struct edge *e = edge_place(router, leaf, rule->methods[i]);

		if (e->to == NONE)
			edge_put(e, leaf, rule->methods[i], index + 1);
		else if (e->to != index + 1)
			clash_add(clashes, e->to - 1, index);
	}
}

int iso_router_build(struct iso_arena *arena, const struct iso_route_rule *rules, uint32_t n,
		     struct iso_route_clashes *ret_clashes, const struct iso_router **ret_router)
{
	struct iso_route_clashes clashes = { .n = 0 };
	struct iso_router *router = iso_arena_zalloc(arena, sizeof(*router));
	size_t nodes = 1, edges = 1, places = 8;

	for (uint32_t i = 0; i < n; i++) { /* upper bounds: no pattern shares anything */
		size_t labels = count_byte(rules[i].host, '.') + 1u;
		size_t segments = count_byte(rules[i].path, '/');

		nodes += labels + segments + 2;
		edges += labels + segments + rules[i].method_count;
	}
	while (places < 2 * edges)
		places *= 2;
	if (router == NULL || nodes >= UINT32_MAX)
		return ISO_ENOMEM;
	router->nodes = iso_arena_zalloc(arena, nodes * sizeof(*router->nodes));
	router->edges = iso_arena_zalloc(arena, places * sizeof(*router->edges));
	if (router->nodes == NULL || router->edges == NULL)
		return ISO_ENOMEM;
	router->node_max = (uint32_t)nodes;
	router->mask = places - 1;
	(void)node_add(router, NONE); /* HOST_ROOT */
	for (uint32_t i = 0; i < n; i++)
		rule_insert(router, &rules[i], i, &clashes);
	if (clashes.n > 0) {
		*ret_clashes = clashes;
		return ISO_EEXISTS;
	}
	*ret_router = router;
	return ISO_OK;
}

static uint32_t leaf_find(const struct iso_router *router, uint32_t leaf, struct iso_slice method)
{
	uint32_t rule;

	if (leaf == NONE)
		return NONE;
	rule = edge_find(router, leaf, method);
	return rule != NONE ? rule : node_at(router, leaf)->exact;
}

/* From one host pattern: the best path that has a rule for the method; a rule reference or NONE. */
static uint32_t path_find(const struct iso_router *router, uint32_t root, struct iso_slice path,
			  struct iso_slice method)
{
	struct iso_slice rest = path, segment;
	uint32_t at = root, rule = NONE;
	bool whole = true;

	if (root == NONE)
		return NONE;
	if (path.len > 0 && path.ptr[0] == '/') {
		rest = iso_slice(path.ptr + 1, path.len - 1);
		while (whole && segment_next(&rest, &segment)) {
			uint32_t next = edge_find(router, at, segment);

			whole = next != NONE;
			if (whole)
				at = next;
		}
		if (whole)
			rule = leaf_find(router, node_at(router, at)->exact, method);
		for (uint32_t up = at; rule == NONE && up != NONE; up = node_at(router, up)->parent)
			rule = leaf_find(router, node_at(router, up)->below, method);
	}
	return rule != NONE ? rule : leaf_find(router, node_at(router, root)->any, method);
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

uint32_t iso_router_find(const struct iso_router *router, struct iso_slice authority, struct iso_slice path,
			 struct iso_slice method)
{
	char buf[ISO_ROUTE_HOST_MAX];
	struct iso_slice rest = host_of(authority, buf), label;
	uint32_t at = HOST_ROOT, rule = NONE, up;
	bool whole = rest.len > 0;

	path.len = iso_slice_find(path, '?');
	while (whole && label_next(&rest, &label)) {
		uint32_t next = edge_find(router, at, label);

		whole = next != NONE;
		if (whole)
			at = next;
	}
	up = at;
	if (whole) {
		rule = path_find(router, node_at(router, at)->exact, path, method);
		up = node_at(router, at)->parent; /* a wildcard stands for at least one label more */
	}
	for (; rule == NONE && up != NONE; up = node_at(router, up)->parent)
		rule = path_find(router, node_at(router, up)->below, path, method);
	if (rule == NONE)
		rule = path_find(router, node_at(router, HOST_ROOT)->any, path, method);
	return rule != NONE ? rule - 1 : ISO_ROUTE_NONE;
}
