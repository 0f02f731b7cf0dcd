/*
 * The heap against a plain table that is searched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/heap.h"
#include "iso/base/list.h"
#include "iso/base/rng.h"

enum { NODES = 60 };

struct item {
	int number;
	struct iso_heap_node node;
	bool in;
	uint64_t key;
};

static void check(const struct iso_heap *heap, const struct item *items)
{
	uint64_t least = UINT64_MAX;
	size_t count = 0;

	for (int i = 0; i < NODES; i++) {
		assert_int_equal(iso_heap_linked(&items[i].node), items[i].in);
		if (!items[i].in)
			continue;
		count++;
		least = items[i].key < least ? items[i].key : least;
	}
	assert_int_equal(heap->count, count);
	if (count == 0)
		assert_null(iso_heap_first(heap));
	else
		assert_true(iso_heap_first(heap)->key == least);
}

static void pop(struct iso_heap *heap)
{
	struct iso_heap_node *node = iso_heap_pop(heap);
	struct item *item;

	if (node == NULL)
		return;
	item = ISO_CONTAINER(node, struct item, node);
	assert_true(item->in && item->key == node->key);
	item->in = false;
}

static void step(struct iso_heap *heap, struct item *item, struct iso_rng *rng)
{
	uint64_t key = iso_rng_below(rng, 40); /* few, so that many are equal */

	switch (iso_rng_below(rng, 4)) {
	case 0:
		pop(heap);
		break;
	case 1:
		iso_heap_remove(heap, &item->node);
		item->in = false;
		break;
	default:
		if (item->in)
			iso_heap_move(heap, &item->node, key);
		else
			assert_int_equal(iso_heap_push(heap, &item->node, key), ISO_OK);
		item->in = true;
		item->key = key;
	}
}

static void test_random_operations(void **state)
{
	struct item items[NODES] = { 0 };
	struct iso_heap heap;
	struct iso_rng rng;
	uint64_t last = 0;

	(void)state;
	iso_rng_seed(&rng, 5);
	iso_heap_init(&heap, NODES);
	for (int i = 0; i < 20000; i++) {
		step(&heap, &items[iso_rng_below(&rng, NODES)], &rng);
		check(&heap, items);
	}
	assert_true(heap.count > 0);
	while (heap.count > 0) {
		assert_true(iso_heap_first(&heap)->key >= last);
		last = iso_heap_first(&heap)->key;
		pop(&heap);
	}
	check(&heap, items);
	iso_heap_done(&heap);
}

static void test_limit(void **state)
{
	struct iso_heap_node nodes[3];
	struct iso_heap heap;

	(void)state;
	for (int i = 0; i < 3; i++)
		iso_heap_node_init(&nodes[i]);
	iso_heap_init(&heap, 2);
	assert_int_equal(iso_heap_push(&heap, &nodes[0], UINT64_MAX), ISO_OK);
	assert_int_equal(iso_heap_push(&heap, &nodes[1], 0), ISO_OK);
	assert_int_equal(iso_heap_push(&heap, &nodes[2], 1), ISO_ELIMIT);
	assert_false(iso_heap_linked(&nodes[2]));
	iso_heap_remove(&heap, &nodes[2]); /* harmless */
	assert_ptr_equal(iso_heap_first(&heap), &nodes[1]);
	iso_heap_done(&heap);
	assert_false(iso_heap_linked(&nodes[0]));
	assert_false(iso_heap_linked(&nodes[1]));
	assert_null(iso_heap_pop(&heap));
	iso_heap_done(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
