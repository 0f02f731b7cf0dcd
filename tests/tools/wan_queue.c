/* The packets under way: a heap by due time and, among equals, by the order in which they came. */
#include "wan_priv.h"

#include <assert.h>
#include <stdlib.h>

bool queue_init(struct queue *queue, size_t packets)
{
	*queue = (struct queue){ .max = packets };
	queue->memory = calloc(packets, sizeof(*queue->memory));
	queue->heap = calloc(packets, sizeof(struct packet *));
	if (!queue->memory || !queue->heap) {
		queue_done(queue);
		return false;
	}
	for (size_t i = packets; i > 0; i--)
		queue_give_back(queue, &queue->memory[i - 1]);
	return true;
}

void queue_done(struct queue *queue)
{
	free(queue->memory);
	free(queue->heap);
	*queue = (struct queue){ 0 };
}

struct packet *queue_take(struct queue *queue)
{
	struct packet *packet = queue->free;

	if (packet)
		queue->free = packet->next;
	return packet;
}

void queue_give_back(struct queue *queue, struct packet *packet)
{
	packet->next = queue->free;
	queue->free = packet;
}

static bool is_before(const struct packet *a, const struct packet *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

void queue_push(struct queue *queue, struct packet *packet)
{
	size_t at = queue->count++;

	assert(queue->count <= queue->max);
	packet->order = queue->order++;
	while (at > 0 && is_before(packet, queue->heap[(at - 1) / 2])) {
		queue->heap[at] = queue->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	queue->heap[at] = packet;
}

const struct packet *queue_first(const struct queue *queue)
{
	return queue->count > 0 ? queue->heap[0] : NULL;
}

struct packet *queue_pop(struct queue *queue)
{
	struct packet *first, *last;
	size_t at = 0, child;

	assert(queue->count > 0);
	first = queue->heap[0];
	last = queue->heap[--queue->count];
	while ((child = 2 * at + 1) < queue->count) {
		if (child + 1 < queue->count && is_before(queue->heap[child + 1], queue->heap[child]))
			child++;
		if (!is_before(queue->heap[child], last))
			break;
		queue->heap[at] = queue->heap[child];
		at = child;
	}
	queue->heap[at] = last;
	return first;
}
