/*
 * The tape: what it gives back, what it is charged for, and that no body holds much more memory than that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/err.h"
#include "iso/http/body_tape.h"

enum { KIB = 1024, LIMIT = 64 * KIB };

struct rig {
	struct iso_chunk_pool pool;
	struct iso_tape_account account;
};

static void rig_init(struct rig *rig, size_t chunks, uint64_t limit)
{
	memset(rig, 0, sizeof(*rig));
	iso_chunk_pool_init(&rig->pool, chunks, 0);
	atomic_store(&rig->account.limit, limit);
}

/* A piece as a codec makes it: in a chunk of its own, which it fills with `len` bytes. */
static void piece(struct rig *rig, struct iso_buf *ret_buf, size_t len, uint8_t value)
{
	struct iso_chunk *chunk = iso_chunk_acquire(&rig->pool);

	assert_non_null(chunk);
	iso_buf_init(ret_buf);
	memset(chunk->bytes, value, len);
	chunk->used = (uint32_t)len;
	assert_int_equal(iso_buf_append_seg(ret_buf, chunk, chunk->bytes, (uint32_t)len, 9), ISO_OK);
	iso_chunk_unref(chunk);
}

static void record(struct rig *rig, struct iso_tape *tape, size_t len, uint8_t value)
{
	struct iso_buf buf;

	piece(rig, &buf, len, value);
	iso_tape_record(tape, &buf, &rig->pool);
	iso_buf_done(&buf);
}

static uint64_t charged(struct rig *rig)
{
	return atomic_load(&rig->account.bytes);
}

static void rig_done(struct rig *rig)
{
	assert_int_equal(charged(rig), 0);
	iso_chunk_pool_done(&rig->pool);
}

static void test_small_pieces_do_not_hold_chunks(void **state)
{
	static const size_t sizes[] = { 1, 100, 1023, 1024, 1025, 4096, 8191, 12287 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct iso_tape tape;
		struct rig rig;
		size_t kept = 0;

		rig_init(&rig, 100, 1 << 20);
		iso_tape_init(&tape, LIMIT, &rig.account);
		for (; kept + sizes[i] <= LIMIT; kept += sizes[i])
			record(&rig, &tape, sizes[i], 'a');
		assert_false(tape.lost);
		assert_int_equal(tape.buf.bytes, kept);
		assert_int_equal(charged(&rig), kept);
		assert_true(rig.pool.live <= LIMIT / ISO_CHUNK_BYTES + 1);
		iso_tape_done(&tape);
		rig_done(&rig);
	}
}

static void test_large_pieces_are_shared_and_charged_whole(void **state)
{
	struct iso_tape tape;
	struct iso_buf buf;
	struct rig rig;

	(void)state;
	rig_init(&rig, 100, 1 << 20);
	iso_tape_init(&tape, LIMIT, &rig.account);
	piece(&rig, &buf, 12288, 'a');
	iso_tape_record(&tape, &buf, &rig.pool);
	assert_int_equal(rig.pool.live, 1); /* no copy */
	assert_ptr_equal(iso_buf_front(&tape.buf)->ptr, iso_buf_front(&buf)->ptr);
	assert_int_equal(iso_buf_front(&buf)->headroom, 0);
	iso_buf_done(&buf);
	record(&rig, &tape, 16384, 'b');
	assert_int_equal(charged(&rig), 2 * ISO_CHUNK_BYTES);
	assert_int_equal(tape.buf.bytes, 12288 + 16384);
	iso_tape_done(&tape);
	rig_done(&rig);
}

static void test_replay_is_the_body_any_number_of_times(void **state)
{
	static const size_t sizes[] = { 5, 16000, 300, 12288, 1, 9000 };
	uint8_t want[LIMIT], got[LIMIT];
	size_t len = 0;
	struct iso_tape tape;
	struct rig rig;

	(void)state;
	rig_init(&rig, 100, 1 << 20);
	iso_tape_init(&tape, LIMIT, &rig.account);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		record(&rig, &tape, sizes[i], (uint8_t)('a' + i));
		memset(want + len, (int)('a' + i), sizes[i]);
		len += sizes[i];
	}
	for (int i = 0; i < 3; i++) {
		struct iso_buf to;

		iso_buf_init(&to);
		assert_int_equal(iso_tape_replay(&tape, &to), ISO_OK);
		assert_int_equal(iso_buf_peek(&to, got, sizeof(got)), len);
		assert_memory_equal(got, want, len);
		iso_buf_done(&to);
	}
	iso_tape_done(&tape);
	rig_done(&rig);
}

static void test_too_large_is_not_full(void **state)
{
	struct iso_tape tape;
	struct rig rig;

	(void)state;
	rig_init(&rig, 100, 1 << 20);
	iso_tape_init(&tape, 20000, &rig.account);
	record(&rig, &tape, 16000, 'a');
	record(&rig, &tape, 4000, 'a');
	assert_false(tape.lost);
	record(&rig, &tape, 1, 'a');
	assert_true(tape.lost);
	assert_false(tape.full);
	assert_int_equal(charged(&rig), 0);
	record(&rig, &tape, 1, 'a'); /* lost for good */
	assert_int_equal(charged(&rig), 0);
	iso_tape_done(&tape);
	rig_done(&rig);
}

static void test_a_full_account_says_so(void **state)
{
	struct iso_tape first, second;
	struct rig rig;

	(void)state;
	rig_init(&rig, 100, 20000);
	iso_tape_init(&first, LIMIT, &rig.account);
	iso_tape_init(&second, LIMIT, &rig.account);
	record(&rig, &first, 16000, 'a');
	record(&rig, &second, 3000, 'a');
	record(&rig, &second, 1000, 'a');
	assert_true(second.lost && second.full);
	assert_int_equal(charged(&rig), ISO_CHUNK_BYTES);
	iso_tape_lose(&first);
	assert_false(first.full);
	assert_int_equal(charged(&rig), 0);
	iso_tape_done(&first);
	iso_tape_done(&second);
	rig_done(&rig);
}

static void test_without_memory_it_is_lost_and_full(void **state)
{
	struct iso_tape tape;
	struct iso_buf buf;
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 1 << 20);
	iso_tape_init(&tape, LIMIT, &rig.account);
	piece(&rig, &buf, 1000, 'a'); /* the only chunk: there is none to copy into */
	iso_tape_record(&tape, &buf, &rig.pool);
	assert_true(tape.lost && tape.full);
	assert_int_equal(charged(&rig), 0);
	iso_buf_done(&buf);
	iso_tape_done(&tape);
	iso_tape_done(NULL);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_pieces_do_not_hold_chunks),
		cmocka_unit_test(test_large_pieces_are_shared_and_charged_whole),
		cmocka_unit_test(test_replay_is_the_body_any_number_of_times),
		cmocka_unit_test(test_too_large_is_not_full),
		cmocka_unit_test(test_a_full_account_says_so),
		cmocka_unit_test(test_without_memory_it_is_lost_and_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
