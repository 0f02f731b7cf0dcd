/*
 * Arenas: alignment, limits, reuse of blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/base/arena.h"
#include "iso/base/rng.h"

static void test_allocations_do_not_overlap(void **state)
{
	struct iso_arena_pool pool;
	struct iso_arena arena;
	struct iso_rng rng;
	uint8_t *at[300];
	size_t size[300];

	(void)state;
	iso_rng_seed(&rng, 7);
	iso_arena_pool_init(&pool, 4);
	for (int round = 0; round < 5; round++) {
		iso_arena_init(&arena, &pool, 1 << 20);
		for (int i = 0; i < 300; i++) {
			size[i] = iso_rng_below(&rng, i % 20 == 0 ? 9000 : 200);
			at[i] = iso_arena_alloc(&arena, size[i]);
			assert_non_null(at[i]);
			assert_int_equal((uintptr_t)at[i] % 16, 0);
			memset(at[i], i, size[i]);
		}
		for (int i = 0; i < 300; i++)
			for (size_t k = 0; k < size[i]; k++)
				assert_int_equal(at[i][k], (uint8_t)i);
		iso_arena_done(&arena);
		assert_true(pool.free_count <= 4);
	}
	iso_arena_pool_done(&pool);
}

static void test_limit(void **state)
{
	struct iso_arena arena;

	(void)state;
	iso_arena_init(&arena, NULL, 10000);
	assert_non_null(iso_arena_alloc(&arena, 3000));
	assert_null(iso_arena_alloc(&arena, 9000));
	assert_null(iso_arena_alloc(&arena, SIZE_MAX)); /* rounding up must not wrap */
	assert_non_null(iso_arena_alloc(&arena, 100));
	iso_arena_done(&arena);
	iso_arena_done(NULL);
}

static void test_dup_is_terminated(void **state)
{
	struct iso_arena arena;
	struct iso_slice copy;

	(void)state;
	iso_arena_init(&arena, NULL, 10000);
	copy = iso_arena_dup(&arena, ISO_SLICE("abc"));
	assert_int_equal(copy.len, 3);
	assert_string_equal(copy.ptr, "abc");
	iso_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocations_do_not_overlap),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_dup_is_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
