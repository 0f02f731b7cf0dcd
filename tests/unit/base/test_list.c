/*
 * The list against a plain array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/list.h"
#include "iso/base/rng.h"

enum { NODES = 24 };

struct item {
	int number;
	struct iso_list link;
};

struct model {
	struct iso_list head;
	int order[NODES];
	int count;
};

static void check(struct model *m)
{
	const struct iso_list *at = m->head.next;

	assert_int_equal(iso_list_empty(&m->head), m->count == 0);
	for (int i = 0; i < m->count; i++, at = at->next) {
		assert_int_equal(ISO_CONTAINER(at, struct item, link)->number, m->order[i]);
		assert_ptr_equal(at->prev->next, at);
	}
	assert_ptr_equal(at, &m->head);
	assert_ptr_equal(at->prev->next, at);
}

static void model_insert(struct model *m, int place, int number)
{
	memmove(&m->order[place + 1], &m->order[place], (size_t)(m->count - place) * sizeof(int));
	m->order[place] = number;
	m->count++;
}

static void model_remove(struct model *m, int number)
{
	int to = 0;

	for (int i = 0; i < m->count; i++)
		if (m->order[i] != number)
			m->order[to++] = m->order[i];
	m->count = to;
}

static void splice(struct model *to, struct model *from)
{
	iso_list_splice(&to->head, &from->head);
	memcpy(&to->order[to->count], from->order, (size_t)from->count * sizeof(int));
	to->count += from->count;
	from->count = 0;
}

static void pop(struct model *m)
{
	struct iso_list *node = iso_list_pop_front(&m->head);

	if (m->count == 0) {
		assert_null(node);
		return;
	}
	assert_int_equal(ISO_CONTAINER(node, struct item, link)->number, m->order[0]);
	assert_false(iso_list_linked(node));
	model_remove(m, m->order[0]);
}

static void test_random_operations(void **state)
{
	struct item items[NODES];
	struct model m[2] = { 0 };
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 31);
	iso_list_init(&m[0].head);
	iso_list_init(&m[1].head);
	for (int i = 0; i < NODES; i++) {
		items[i].number = i;
		iso_list_init(&items[i].link);
	}
	for (int i = 0; i < 20000; i++) {
		struct item *item = &items[iso_rng_below(&rng, NODES)];
		struct model *a = &m[iso_rng_below(&rng, 2)];
		uint32_t what = iso_rng_below(&rng, 40);

		if (what == 0) {
			splice(a, a == &m[0] ? &m[1] : &m[0]);
		} else if (what < 8) {
			pop(a);
		} else if (iso_list_linked(&item->link) || what < 12) {
			iso_list_remove(&item->link); /* harmless on one that is in no list */
			assert_false(iso_list_linked(&item->link));
			model_remove(&m[0], item->number);
			model_remove(&m[1], item->number);
		} else if (what < 26) {
			iso_list_push_back(&a->head, &item->link);
			model_insert(a, a->count, item->number);
		} else {
			iso_list_push_front(&a->head, &item->link);
			model_insert(a, 0, item->number);
		}
		check(&m[0]);
		check(&m[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
