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

/* A sanitizer's malloc shall return NULL for what it cannot give, as malloc does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

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

/* Sizes at which an addition or a rounding would wrap: each fails, and the arena is as good as before. */
static void test_huge_sizes_fail(void **state)
{
	const size_t limits[] = { 10000, SIZE_MAX };
	struct iso_arena arena;

	(void)state;
	for (int i = 0; i < 2; i++) {
		iso_arena_init(&arena, NULL, limits[i]);
		assert_non_null(iso_arena_alloc(&arena, 100));
		for (size_t less = 0; less < 5000; less += 13)
			assert_null(iso_arena_alloc(&arena, SIZE_MAX - less));
		assert_null(iso_arena_alloc(&arena, SIZE_MAX / 2));
		assert_null(iso_arena_dup(&arena, iso_slice("", SIZE_MAX - 64)).ptr);
		assert_non_null(iso_arena_alloc(&arena, 100));
		iso_arena_done(&arena);
	}
}

static void test_nothing_is_not_exhausted(void **state)
{
	struct iso_arena arena;
	void *a, *b;

	(void)state;
	iso_arena_init(&arena, NULL, 10000);
	a = iso_arena_alloc(&arena, 0);
	b = iso_arena_zalloc(&arena, 0);
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	assert_non_null(iso_arena_dup(&arena, iso_slice(NULL, 0)).ptr);
	iso_arena_done(&arena);
	iso_arena_init(&arena, NULL, 0);
	assert_null(iso_arena_alloc(&arena, 0));
	iso_arena_done(&arena);
}

static void test_zalloc_clears_reused_blocks(void **state)
{
	struct iso_arena_pool pool;
	struct iso_arena arena;
	uint8_t *at;

	(void)state;
	iso_arena_pool_init(&pool, 1);
	iso_arena_init(&arena, &pool, 10000);
	at = iso_arena_alloc(&arena, 500);
	memset(at, 0xff, 500);
	iso_arena_done(&arena);
	assert_int_equal(pool.free_count, 1);
	iso_arena_init(&arena, &pool, 10000);
	at = iso_arena_zalloc(&arena, 500);
	for (int i = 0; i < 500; i++)
		assert_int_equal(at[i], 0);
	iso_arena_done(&arena);
	iso_arena_pool_done(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocations_do_not_overlap),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_dup_is_terminated),
		cmocka_unit_test(test_huge_sizes_fail),
		cmocka_unit_test(test_nothing_is_not_exhausted),
		cmocka_unit_test(test_zalloc_clears_reused_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
