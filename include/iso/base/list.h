/*
 * Intrusive doubly linked list. A head and a node are one type; an unlinked node points at itself.
 */
#ifndef ISO_BASE_LIST_H
#define ISO_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct iso_list {
	struct iso_list *next, *prev;
};

#define ISO_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void iso_list_init(struct iso_list *l)
{
	l->next = l->prev = l;
}

static inline bool iso_list_empty(const struct iso_list *l)
{
	return l->next == l;
}

static inline bool iso_list_linked(const struct iso_list *node)
{
	return node->next != node;
}

static inline void iso_list_push_back(struct iso_list *head, struct iso_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void iso_list_push_front(struct iso_list *head, struct iso_list *node)
{
	iso_list_push_back(head->next, node);
}

/* Unlinks and re-initialises; harmless on an unlinked node. */
static inline void iso_list_remove(struct iso_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	iso_list_init(node);
}

/* The first node, unlinked, or NULL. */
static inline struct iso_list *iso_list_pop_front(struct iso_list *head)
{
	struct iso_list *node = head->next;

	if (node == head)
		return NULL;
	iso_list_remove(node);
	return node;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void iso_list_splice(struct iso_list *to, struct iso_list *from)
{
	if (iso_list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	iso_list_init(from);
}

#endif
