/*
 * The base without memory: an error, what was there stays, nothing is lost.
 */
#include "sweep.h"

#include "iso/base/arena.h"
#include "iso/base/buf.h"
#include "iso/base/diag.h"
#include "iso/base/hmap.h"
#include "iso/base/page_pool.h"
#include "iso/base/regex.h"
#include "iso/base/secret.h"
#include "iso/base/text.h"

static uint8_t bytes[5 * ISO_CHUNK_BYTES];

static void copy_into_a_buf(void)
{
	struct iso_chunk_pool pool;
	struct iso_buf buf;
	uint8_t out[sizeof(bytes) + 1];
	int err;

	iso_chunk_pool_init(&pool, 100, 100);
	iso_buf_init(&buf);
	assert_int_equal(iso_buf_append_copy(&buf, &pool, "before", 6), ISO_OK);
	sweep_arm();
	err = iso_buf_append_copy(&buf, &pool, bytes, sizeof(bytes));
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(buf.bytes, err == ISO_OK ? 6 + sizeof(bytes) : 6);
	assert_int_equal(iso_buf_peek(&buf, out, 6), 6);
	assert_memory_equal(out, "before", 6);
	iso_buf_done(&buf);
	iso_chunk_pool_done(&pool);
}

/* Two buffers of many segments each. */
static void two_bufs(struct iso_chunk_pool *pool, struct iso_buf *a, struct iso_buf *b)
{
	iso_chunk_pool_init(pool, 100, 100);
	iso_buf_init(a);
	iso_buf_init(b);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(iso_buf_append_copy(a, pool, "aa", 2), ISO_OK);
		assert_int_equal(iso_buf_append_copy(b, pool, "b", 1), ISO_OK);
	}
	assert_true(a->count == 20 && b->count == 20);
}

static void move_a_buf(void)
{
	struct iso_chunk_pool pool;
	struct iso_buf a, b;
	int err;

	two_bufs(&pool, &a, &b);
	sweep_arm();
	err = iso_buf_move(&a, &b);
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(a.bytes, err == ISO_OK ? 60 : 40);
	assert_int_equal(b.bytes, err == ISO_OK ? 0 : 20);
	iso_buf_done(&a);
	iso_buf_done(&b);
	iso_chunk_pool_done(&pool);
}

static void share_a_buf(void)
{
	struct iso_chunk_pool pool;
	struct iso_buf a, b;
	int err;

	two_bufs(&pool, &a, &b);
	sweep_arm();
	err = iso_buf_share(&a, &b);
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(a.bytes, err == ISO_OK ? 60 : 40);
	assert_int_equal(b.bytes, 20);
	iso_buf_done(&a);
	iso_buf_done(&b);
	iso_chunk_pool_done(&pool);
}

static void append_segments(void)
{
	struct iso_chunk_pool pool;
	struct iso_chunk *chunk;
	struct iso_buf buf;
	int err = ISO_OK;
	uint32_t n = 0;

	iso_chunk_pool_init(&pool, 1, 1);
	iso_buf_init(&buf);
	chunk = iso_chunk_acquire(&pool);
	assert_non_null(chunk);
	sweep_arm();
	for (; n < 100 && err == ISO_OK; n++)
		err = iso_buf_append_seg(&buf, chunk, chunk->bytes + 3 * n, 2, 0);
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(buf.bytes, 2 * (err == ISO_OK ? n : n - 1));
	iso_chunk_unref(chunk);
	iso_buf_done(&buf);
	iso_chunk_pool_done(&pool); /* no reference was taken in vain */
}

static void fill_an_arena(void)
{
	struct iso_arena_pool pool;
	struct iso_arena arena;
	struct iso_slice copy = ISO_SLICE("");
	int given = 0;

	iso_arena_pool_init(&pool, 4);
	iso_arena_init(&arena, &pool, 1 << 20);
	sweep_arm();
	while (given < 50 && iso_arena_alloc(&arena, 1000) != NULL)
		given++;
	if (given == 50)
		copy = iso_arena_dup(&arena, iso_slice((const char *)bytes, 20000));
	sweep_disarm();
	assert_int_equal(given == 50 && copy.ptr != NULL, !sweep_failed());
	iso_arena_done(&arena);
	iso_arena_pool_done(&pool);
}

static void fill_a_map(void)
{
	static char keys[100][4];
	static const uint64_t seed[2] = { 1, 2 };
	struct iso_hmap map;
	int err = ISO_OK, n = 0;

	iso_hmap_init(&map, 1000, seed);
	sweep_arm();
	for (; n < 100 && err == ISO_OK; n++) {
		keys[n][0] = (char)n;
		err = iso_hmap_add(&map, iso_slice(keys[n], 4), keys[n]);
	}
	sweep_disarm();
	sweep_tells(err);
	n -= err != ISO_OK;
	assert_int_equal(map.count, n);
	for (int i = 0; i < n; i++)
		assert_ptr_equal(iso_hmap_get(&map, iso_slice(keys[i], 4)), keys[i]);
	iso_hmap_done(&map);
}

static void write_a_text(void)
{
	struct iso_text text;
	size_t len = 0;

	iso_text_init(&text, 1 << 20);
	sweep_arm();
	for (int i = 0; i < 200; i++) {
		if (iso_text_ok(&text) == ISO_OK)
			len = text.len;
		iso_text_str(&text, "some words ");
		iso_text_u64(&text, 123456789);
		iso_text_fmt(&text, "%s %d", "formatted", i);
		iso_text_json(&text, ISO_SLICE("\"quoted\n\""));
		iso_text_double(&text, 1.5, 3);
	}
	sweep_disarm();
	sweep_tells(iso_text_ok(&text));
	/* The error sticks: what came before it stays, nothing comes after it. */
	assert_true(text.len >= len && (!sweep_failed() || text.len - len < 100));
	iso_text_done(&text);
}

static void tell_of_mistakes(void)
{
	struct iso_diag diag;
	size_t told = 0;
	int err;

	sweep_arm();
	err = iso_diag_init(&diag, "a-file.json", 50);
	for (unsigned int i = 0; err == ISO_OK && i < 30; i++) {
		struct iso_diag_place place = { 30 - i, i, "/a/pointer", NULL };

		iso_diag_add(&diag, ISO_DIAG_ERROR, place, "it is %s|mend it by %u", "wrong", i);
		told++;
	}
	sweep_disarm();
	if (err != ISO_OK) {
		sweep_tells(err);
		return;
	}
	assert_int_equal(diag.errors, told); /* counted, when it cannot be kept, too */
	assert_int_equal(diag.count + diag.dropped, told);
	assert_true(diag.dropped == 0 || sweep_failed());
	for (size_t i = 0; i < diag.count; i++)
		assert_true(diag.entries[i].message != NULL && diag.entries[i].mend != NULL &&
			    diag.entries[i].pointer != NULL);
	iso_diag_done(&diag);
}

static void grow_a_secret(void)
{
	char *at = malloc(10), *grown;

	assert_non_null(at);
	memcpy(at, "0123456789", 10);
	sweep_arm();
	grown = iso_secret_grow(at, 10, 5000);
	sweep_disarm();
	assert_int_equal(grown == NULL, sweep_failed());
	assert_memory_equal(grown != NULL ? grown : at, "0123456789", 10); /* the old one stays */
	iso_secret_free(grown != NULL ? grown : at);
}

/* Sizes that are no class of the pool's are malloc's. */
static void grow_a_page(void)
{
	uint8_t *at, *grown = NULL;

	sweep_arm();
	at = iso_page_alloc(100);
	if (at != NULL) {
		memset(at, 7, 100);
		grown = iso_page_realloc(at, 9000);
	}
	sweep_disarm();
	assert_int_equal(at == NULL || grown == NULL, sweep_failed());
	if (at != NULL) {
		uint8_t *is = grown != NULL ? grown : at;

		for (int i = 0; i < 100; i++)
			assert_int_equal(is[i], 7);
		iso_page_free(is);
	}
}

static void compile_a_regex(void)
{
	const struct iso_regex *regex = NULL;
	char why[ISO_REGEX_WHY_MAX];
	struct iso_arena arena;
	int err;

	iso_arena_init(&arena, NULL, 1 << 20);
	sweep_arm();
	err = iso_regex_compile(&arena, ISO_SLICE("/orders/[0-9]{1,9}/(a|b|c)+"), &regex, why);
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(regex == NULL, err != ISO_OK);
	if (regex != NULL)
		assert_true(iso_regex_matches(regex, ISO_SLICE("/orders/12/abc")));
	iso_arena_done(&arena);
}

static void test_bufs(void **state)
{
	(void)state;
	sweep(copy_into_a_buf, 4);
	sweep(move_a_buf, 1);
	sweep(share_a_buf, 1);
	sweep(append_segments, 2);
}

static void test_arena(void **state)
{
	(void)state;
	sweep(fill_an_arena, 10);
}

static void test_hmap(void **state)
{
	(void)state;
	sweep(fill_a_map, 3);
}

static void test_text(void **state)
{
	(void)state;
	sweep(write_a_text, 5);
}

static void test_diag(void **state)
{
	(void)state;
	sweep(tell_of_mistakes, 60);
}

static void test_secret(void **state)
{
	(void)state;
	sweep(grow_a_secret, 1);
}

static void test_page_pool(void **state)
{
	(void)state;
	sweep(grow_a_page, 2);
}

static void test_regex(void **state)
{
	(void)state;
	sweep(compile_a_regex, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bufs),      cmocka_unit_test(test_arena), cmocka_unit_test(test_hmap),
		cmocka_unit_test(test_text),      cmocka_unit_test(test_diag),  cmocka_unit_test(test_secret),
		cmocka_unit_test(test_page_pool), cmocka_unit_test(test_regex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
