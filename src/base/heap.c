/*
 * See heap.h. One owner.
 * Invariants: no node's key is less than its parent's, at half its place; nodes[n->place - 1] == n.
 */
#include "iso/base/heap.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAP = 16 };

void iso_heap_init(struct iso_heap *heap, size_t max)
{
	*heap = (struct iso_heap){ .max = max };
}

void iso_heap_done(struct iso_heap *heap)
{
	if (heap == NULL)
		return;
	for (size_t i = 0; i < heap->count; i++)
		heap->nodes[i]->place = 0;
	free(heap->nodes);
	heap->nodes = NULL;
	heap->count = heap->cap = 0;
}

static void put(struct iso_heap *heap, struct iso_heap_node *node, size_t place)
{
	heap->nodes[place - 1] = node;
	node->place = place;
}

/* Brings the node from the place, which is nobody's now, to where its key belongs. */
static void settle(struct iso_heap *heap, struct iso_heap_node *node, size_t place)
{
	while (place > 1 && heap->nodes[place / 2 - 1]->key > node->key) {
		put(heap, heap->nodes[place / 2 - 1], place);
		place /= 2;
	}
	while (place * 2 <= heap->count) {
		size_t child = place * 2;

		if (child < heap->count && heap->nodes[child]->key < heap->nodes[child - 1]->key)
			child++;
		if (heap->nodes[child - 1]->key >= node->key)
			break;
		put(heap, heap->nodes[child - 1], place);
		place = child;
	}
	put(heap, node, place);
}

int iso_heap_push(struct iso_heap *heap, struct iso_heap_node *node, uint64_t key)
{
	assert(!iso_heap_linked(node));
	if (heap->count >= heap->max)
		return ISO_ELIMIT;
	if (heap->count == heap->cap) {
		size_t cap = heap->cap == 0 ? FIRST_CAP : heap->cap * 2;
		struct iso_heap_node **nodes = reallocarray(heap->nodes, cap, sizeof(struct iso_heap_node *));

		if (nodes == NULL)
			return ISO_ENOMEM;
		heap->nodes = nodes;
		heap->cap = cap;
	}
	node->key = key;
	put(heap, node, ++heap->count);
	settle(heap, node, node->place);
	return ISO_OK;
}

void iso_heap_move(struct iso_heap *heap, struct iso_heap_node *node, uint64_t key)
{
	assert(iso_heap_linked(node) && heap->nodes[node->place - 1] == node);
	node->key = key;
	settle(heap, node, node->place);
}

void iso_heap_remove(struct iso_heap *heap, struct iso_heap_node *node)
{
	struct iso_heap_node *last;
	size_t place = node->place;

	if (place == 0)
		return;
	assert(place <= heap->count && heap->nodes[place - 1] == node);
	last = heap->nodes[--heap->count];
	node->place = 0;
	if (last != node)
		settle(heap, last, place);
}

struct iso_heap_node *iso_heap_first(const struct iso_heap *heap)
{
	return heap->count > 0 ? heap->nodes[0] : NULL;
}

struct iso_heap_node *iso_heap_pop(struct iso_heap *heap)
{
	struct iso_heap_node *first = iso_heap_first(heap);

	if (first != NULL)
		iso_heap_remove(heap, first);
	return first;
}
