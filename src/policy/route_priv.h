/*
 * The router's object, for the files that build and ask it. References to nodes, groups, entries and rules
 * are index + 1; 0 is none.
 */
#ifndef ISO_POLICY_ROUTE_PRIV_H
#define ISO_POLICY_ROUTE_PRIV_H

#include "iso/policy/route.h"

enum { NONE = 0 };

struct node {
	uint32_t parent; /* of a host node; NONE at a root, and elsewhere */
	/*
	 * What hangs here. Host node: path roots. Path node: method leaves. Leaf: `exact` is the first group
	 * of the rules that name no method, and the edges lead to the groups of those that do. Node of a
	 * group: the first entry.
	 */
	uint32_t exact; /* the pattern ends here */
	uint32_t below; /* "*.suffix", "/prefix/" and a star */
	uint32_t any;   /* roots only: nothing was given */
	uint32_t named; /* path nodes: the node behind "{name}" */
};

struct edge {
	uint64_t hash;
	struct iso_slice text;
	uint32_t from, to; /* to == NONE: a free place */
};

/* A rule in the order in which rules of one host, path and method are tried: by rank. */
struct entry {
	uint32_t rule;
	uint32_t next, next_in_group;
};

/*
 * Rules of one host, path and method that ask the same names for exact values (maybe none): under `root` one
 * edge for each value leads to the entries. Cost follows the number of groups, not of rules.
 */
struct group {
	uint32_t shape; /* a rule of it: what names are asked */
	uint32_t root;
	uint32_t next;
	uint32_t entries; /* all, last one first */
};

struct iso_router {
	const struct iso_route_rule *rules;
	struct node *nodes; /* nodes[0] is the host root, reference 1 */
	struct group *groups;
	struct entry *entries;
	struct edge *edges;
	uint64_t mask;
	uint32_t node_count, node_max, group_count, entry_count;
	bool asks_clients;
};

/* route.c */
struct node *iso_route_node(const struct iso_router *router, uint32_t ref);
uint32_t iso_route_node_add(struct iso_router *router, uint32_t parent);
struct edge *iso_route_edge(const struct iso_router *router, uint32_t from, struct iso_slice text);
/* The node behind an edge, made where there is none. */
uint32_t iso_route_child(struct iso_router *router, uint32_t from, struct iso_slice text);

/* route_group.c: *head is the first group. A rule that may hold with another of its rank is a clash. */
void iso_route_group_insert(struct iso_router *router, uint32_t *head, uint32_t rule,
			    struct iso_route_clashes *clashes);
/* The best rule of them that takes the request; a reference. */
uint32_t iso_route_group_find(const struct iso_router *router, uint32_t head,
			      const struct iso_route_request *request);

/* route_pattern.c */
bool iso_route_wild_host(struct iso_slice host);
bool iso_route_prefix_path(struct iso_slice path);
bool iso_route_named_segment(struct iso_slice segment);
/* Cuts the last label off; a bracketed address is one label. False when nothing is left (ptr NULL). */
bool iso_route_label_next(struct iso_slice *rest, struct iso_slice *ret_label);
/* rest begins behind a "/": cuts the segment off; empty segments count. False when nothing is left (ptr
 * NULL). */
bool iso_route_segment_next(struct iso_slice *rest, struct iso_slice *ret_segment);
uint32_t iso_route_count_byte(struct iso_slice s, char c);

#endif
