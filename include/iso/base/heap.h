/*
 * An intrusive binary min-heap: the node with the least key is first. Nodes with equal keys come in no order.
 */
#ifndef ISO_BASE_HEAP_H
#define ISO_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso/base/err.h"

/* In the caller's struct; ISO_CONTAINER of list.h leads back. It must not move while it is in. */
struct iso_heap_node {
	uint64_t key;
	size_t place; /* 1 and up; 0: in no heap */
};

struct iso_heap {
	struct iso_heap_node **nodes; /* nodes[place - 1] */
	size_t count, cap, max;
};

static inline void iso_heap_node_init(struct iso_heap_node *node)
{
	node->key = 0;
	node->place = 0;
}

static inline bool iso_heap_linked(const struct iso_heap_node *node)
{
	return node->place != 0;
}

/* max: most nodes. */
void iso_heap_init(struct iso_heap *heap, size_t max);
/* Nodes that are still in are out afterwards; they stay the caller's. NULL is fine. */
void iso_heap_done(struct iso_heap *heap);
/* The node must be in no heap. ISO_OK, ISO_ELIMIT or ISO_ENOMEM (it is in none then). */
ISO_MUST_USE int iso_heap_push(struct iso_heap *heap, struct iso_heap_node *node, uint64_t key);
/* Gives a node that is in the heap another key. Never fails. */
void iso_heap_move(struct iso_heap *heap, struct iso_heap_node *node, uint64_t key);
/* Harmless on a node that is in no heap. */
void iso_heap_remove(struct iso_heap *heap, struct iso_heap_node *node);
/* The node with the least key, which stays; NULL when empty. */
struct iso_heap_node *iso_heap_first(const struct iso_heap *heap);
/* The same, taken out. */
struct iso_heap_node *iso_heap_pop(struct iso_heap *heap);

#endif
