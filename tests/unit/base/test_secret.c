/*
 * Secrets leave nothing behind. Freed memory cannot be looked at, so it is the arena's free list, and places
 * that are still owned, that show it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/arena.h"
#include "iso/base/secret.h"

static bool all_zero(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void test_wipes(void **state)
{
	uint8_t secret[100];

	(void)state;
	memset(secret, 0xab, sizeof(secret));
	iso_secret_wipe(secret, 99);
	assert_true(all_zero(secret, 99));
	assert_int_equal(secret[99], 0xab);
}

static void test_grows(void **state)
{
	char *text = iso_secret_grow(NULL, 0, 4);

	(void)state;
	assert_non_null(text);
	memcpy(text, "key", 4);
	text = iso_secret_grow(text, 4, 4000);
	assert_non_null(text);
	assert_string_equal(text, "key");
	iso_secret_free(text);
	iso_secret_free(NULL);
}

static void test_an_arena_is_wiped(void **state)
{
	struct iso_arena_pool pool;
	struct iso_arena arena;
	uint8_t *first, *again;

	(void)state;
	iso_arena_pool_init(&pool, 4);
	iso_arena_init(&arena, &pool, 1 << 20);
	first = iso_arena_alloc(&arena, 64);
	assert_non_null(first);
	memset(first, 0xab, 64);
	iso_arena_wipe(&arena);
	assert_null(arena.blocks);

	again = iso_arena_alloc(&arena, 64);
	assert_ptr_equal(again, first);
	assert_true(all_zero(again, 64));
	iso_arena_done(&arena);
	iso_arena_pool_done(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wipes),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_an_arena_is_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
