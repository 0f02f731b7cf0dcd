/*
 * Chunks and buffers against a plain byte array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/buf.h"
#include "iso/base/err.h"
#include "iso/base/rng.h"

enum { MODEL_MAX = 1 << 20 };

struct model {
	struct iso_buf buf;
	uint8_t *bytes;
	size_t len;
};

static void check_model(const struct model *m)
{
	uint8_t *out = malloc(m->len + 1);

	assert_int_equal(m->buf.bytes, m->len);
	assert_int_equal(iso_buf_peek(&m->buf, out, m->len + 1), m->len);
	assert_memory_equal(out, m->bytes, m->len);
	free(out);
}

static void append_copy(struct model *m, struct iso_chunk_pool *pool, struct iso_rng *rng)
{
	size_t n = iso_rng_below(rng, iso_rng_below(rng, 4) == 0 ? 40000 : 300);

	if (m->len + n > MODEL_MAX)
		return;
	for (size_t i = 0; i < n; i++)
		m->bytes[m->len + i] = (uint8_t)iso_rng_next(rng);
	assert_int_equal(iso_buf_append_copy(&m->buf, pool, m->bytes + m->len, n), ISO_OK);
	m->len += n;
}

static void consume(struct model *m, struct iso_rng *rng)
{
	size_t n = m->len == 0 ? 0 : iso_rng_below(rng, (uint32_t)m->len + 1);

	iso_buf_consume(&m->buf, n);
	m->len -= n;
	memmove(m->bytes, m->bytes + n, m->len);
}

static void move(struct model *to, struct model *from)
{
	if (to->len + from->len > MODEL_MAX)
		return;
	assert_int_equal(iso_buf_move(&to->buf, &from->buf), ISO_OK);
	memcpy(to->bytes + to->len, from->bytes, from->len);
	to->len += from->len;
	from->len = 0;
}

static void share(struct model *to, struct model *from)
{
	if (to->len + from->len > MODEL_MAX)
		return;
	assert_int_equal(iso_buf_share(&to->buf, &from->buf), ISO_OK);
	memcpy(to->bytes + to->len, from->bytes, from->len);
	to->len += from->len;
}

static void test_random_operations(void **state)
{
	struct iso_chunk_pool pool;
	struct model m[3];
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 1);
	iso_chunk_pool_init(&pool, 100000, 16);
	for (int i = 0; i < 3; i++) {
		iso_buf_init(&m[i].buf);
		m[i].bytes = malloc(MODEL_MAX);
		m[i].len = 0;
	}
	for (int step = 0; step < 4000; step++) {
		struct model *a = &m[iso_rng_below(&rng, 3)], *b = &m[iso_rng_below(&rng, 3)];

		switch (iso_rng_below(&rng, 6)) {
		case 0:
		case 1:
			append_copy(a, &pool, &rng);
			break;
		case 2:
		case 3:
			consume(a, &rng);
			break;
		case 4:
			if (a != b)
				move(a, b);
			break;
		default:
			if (a != b)
				share(a, b);
		}
		check_model(a);
		check_model(b);
	}
	for (int i = 0; i < 3; i++) {
		iso_buf_done(&m[i].buf);
		free(m[i].bytes);
	}
	iso_chunk_pool_done(&pool); /* asserts that every chunk has come back */
}

static void test_append_seg_joins_what_is_contiguous(void **state)
{
	struct iso_chunk_pool pool;
	struct iso_chunk *chunk;
	struct iso_buf buf;

	(void)state;
	iso_chunk_pool_init(&pool, 4, 4);
	iso_buf_init(&buf);
	chunk = iso_chunk_acquire(&pool);
	assert_int_equal(iso_buf_append_seg(&buf, chunk, chunk->bytes, 100, 9), ISO_OK);
	assert_int_equal(iso_buf_append_seg(&buf, chunk, chunk->bytes + 100, 50, 0), ISO_OK);
	assert_int_equal(buf.count, 1);
	assert_int_equal(iso_buf_append_seg(&buf, chunk, chunk->bytes + 160, 50, 0), ISO_OK);
	assert_int_equal(buf.count, 2);
	assert_int_equal(iso_buf_append_seg(&buf, chunk, chunk->bytes + 300, 0, 0), ISO_OK);
	assert_int_equal(buf.count, 2); /* nothing is no segment */
	iso_chunk_unref(chunk);
	iso_buf_done(&buf);
	iso_chunk_pool_done(&pool);
}

static void test_headroom_grows_by_consuming_but_never_when_shared(void **state)
{
	struct iso_chunk_pool pool;
	struct iso_buf buf, other;
	uint8_t bytes[200] = { 0 };

	(void)state;
	iso_chunk_pool_init(&pool, 4, 4);
	iso_buf_init(&buf);
	iso_buf_init(&other);
	assert_int_equal(iso_buf_append_copy(&buf, &pool, bytes, sizeof(bytes)), ISO_OK);
	assert_int_equal(iso_buf_front(&buf)->headroom, 0);
	iso_buf_consume(&buf, 10);
	assert_int_equal(iso_buf_front(&buf)->headroom, 10);
	iso_buf_consume(&buf, 100);
	assert_int_equal(iso_buf_front(&buf)->headroom, ISO_CHUNK_HEADROOM);
	assert_int_equal(iso_buf_share(&other, &buf), ISO_OK);
	iso_buf_consume(&buf, 20);
	assert_int_equal(iso_buf_front(&buf)->headroom, 0);
	iso_buf_consume(&other, 20);
	assert_int_equal(iso_buf_front(&other)->headroom, 0);
	iso_buf_done(&buf);
	iso_buf_done(&other);
	iso_chunk_pool_done(&pool);
}

static void test_pool_limit_fails_and_appends_nothing(void **state)
{
	struct iso_chunk_pool pool;
	struct iso_buf buf;
	uint8_t *large = calloc(3, ISO_CHUNK_BYTES);

	(void)state;
	iso_chunk_pool_init(&pool, 2, 2);
	iso_buf_init(&buf);
	assert_int_equal(iso_buf_append_copy(&buf, &pool, large, 10), ISO_OK);
	assert_int_equal(iso_buf_append_copy(&buf, &pool, large, 3 * ISO_CHUNK_BYTES), ISO_ENOMEM);
	assert_int_equal(buf.bytes, 10);
	iso_buf_done(&buf);
	iso_chunk_pool_done(&pool);
	free(large);
}

static void test_done_takes_null(void **state)
{
	(void)state;
	iso_buf_done(NULL);
	iso_chunk_unref(NULL);
}

/* Small pieces are the usual case: one segment, and no allocation. */
static void test_small_copies_join(void **state)
{
	struct iso_chunk_pool pool;
	struct iso_buf buf, other;

	(void)state;
	iso_chunk_pool_init(&pool, 4, 4);
	iso_buf_init(&buf);
	iso_buf_init(&other);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(iso_buf_append_copy(&buf, &pool, "0123456789", 10), ISO_OK);
	assert_int_equal(buf.count, 1);
	assert_null(buf.heap);
	assert_int_equal(pool.live, 1);
	/* Another buffer's piece in between parts them. */
	assert_int_equal(iso_buf_append_copy(&other, &pool, "x", 1), ISO_OK);
	assert_int_equal(iso_buf_append_copy(&buf, &pool, "y", 1), ISO_OK);
	assert_int_equal(buf.count, 2);
	iso_buf_consume(&buf, 10000);
	assert_int_equal(iso_buf_front(&buf)->ptr[0], 'y');
	assert_int_equal(iso_buf_front(&buf)->headroom, 0); /* before it lies the other buffer's byte */
	iso_buf_done(&buf);
	iso_buf_done(&other);
	iso_chunk_pool_done(&pool);
}

static void test_inline_places_suffice_for_four(void **state)
{
	struct iso_chunk_pool pool;
	struct iso_buf buf, between;

	(void)state;
	iso_chunk_pool_init(&pool, 4, 4);
	iso_buf_init(&buf);
	iso_buf_init(&between);
	for (int i = 0; i < ISO_BUF_INLINE; i++) {
		assert_int_equal(iso_buf_append_copy(&buf, &pool, "ab", 2), ISO_OK);
		assert_int_equal(iso_buf_append_copy(&between, &pool, "-", 1), ISO_OK);
	}
	assert_int_equal(buf.count, ISO_BUF_INLINE);
	assert_null(buf.heap);
	assert_int_equal(iso_buf_append_copy(&buf, &pool, "ab", 2), ISO_OK);
	assert_int_equal(buf.cap, 2 * ISO_BUF_INLINE);
	iso_buf_done(&buf);
	iso_buf_done(&between);
	iso_chunk_pool_done(&pool);
}

/* The chunk for copies starts over when nobody reads it any more, and not before. */
static void test_open_chunk_is_reused(void **state)
{
	struct iso_chunk_pool pool;
	struct iso_buf buf;
	char bytes[1000] = { 0 };

	(void)state;
	iso_chunk_pool_init(&pool, 1, 1);
	iso_buf_init(&buf);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(iso_buf_append_copy(&buf, &pool, bytes, sizeof(bytes)), ISO_OK);
		iso_buf_consume(&buf, sizeof(bytes));
	}
	for (int i = 0; i < 16; i++)
		assert_int_equal(iso_buf_append_copy(&buf, &pool, bytes, sizeof(bytes)), ISO_OK);
	assert_int_equal(iso_buf_append_copy(&buf, &pool, bytes, sizeof(bytes)), ISO_ENOMEM);
	assert_int_equal(buf.bytes, 16000);
	iso_buf_done(&buf);
	iso_chunk_pool_done(&pool);
}

static void test_peek_is_bounded(void **state)
{
	struct iso_chunk_pool pool;
	struct iso_buf buf;
	char out[4] = "....";

	(void)state;
	iso_chunk_pool_init(&pool, 1, 1);
	iso_buf_init(&buf);
	assert_int_equal(iso_buf_peek(&buf, out, sizeof(out)), 0);
	assert_null(iso_buf_front(&buf));
	assert_int_equal(iso_buf_append_copy(&buf, &pool, "abcdef", 6), ISO_OK);
	assert_int_equal(iso_buf_peek(&buf, out, 3), 3);
	assert_memory_equal(out, "abc.", 4);
	assert_int_equal(buf.bytes, 6);
	iso_buf_done(&buf);
	iso_chunk_pool_done(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_append_seg_joins_what_is_contiguous),
		cmocka_unit_test(test_headroom_grows_by_consuming_but_never_when_shared),
		cmocka_unit_test(test_pool_limit_fails_and_appends_nothing),
		cmocka_unit_test(test_done_takes_null),
		cmocka_unit_test(test_small_copies_join),
		cmocka_unit_test(test_inline_places_suffice_for_four),
		cmocka_unit_test(test_open_chunk_is_reused),
		cmocka_unit_test(test_peek_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
