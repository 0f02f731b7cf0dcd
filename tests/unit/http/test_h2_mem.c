/*
 * Memory of an nghttp2 session: its two large pieces are found, given back while it idles, and never
 * mistaken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "iso/base/page_pool.h"
#include "iso/http/h2_mem.h"

enum { FRAME = 16 * 1024 };

static struct iso_h2_mem mem;

static void *get(size_t size)
{
	return mem.mem.malloc(size, mem.mem.mem_user_data);
}

static void put(void *ptr)
{
	mem.mem.free(ptr, mem.mem.mem_user_data);
}

static size_t resident(void *ptr, size_t pages)
{
	unsigned char in[8];
	size_t n = 0;

	assert_true(pages <= sizeof(in));
	assert_int_equal(mincore(ptr, pages * ISO_PAGE_BYTES, in), 0);
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	return n;
}

static int setup(void **state)
{
	(void)state;
	iso_h2_mem_init(&mem);
	return 0;
}

/* Asks as nghttp2 does: realloc of nothing for a buffer, calloc for the table. */
static void test_what_is_found_and_when(void **state)
{
	void *small = get(100), *frame, *table, *later;

	(void)state;
	assert_null(mem.frame_buffer);
	frame = mem.mem.realloc(NULL, FRAME + 10, mem.mem.mem_user_data);
	assert_ptr_equal(mem.frame_buffer, frame);
	later = get(FRAME + 10); /* the first is it */
	assert_ptr_equal(mem.frame_buffer, frame);
	put(later);
	table = mem.mem.calloc(ISO_PAGE_BYTES / 8, 8, mem.mem.mem_user_data);
	assert_ptr_equal(mem.table, table);
	iso_h2_mem_made(&mem);
	put(frame);
	put(table);
	assert_null(mem.frame_buffer);
	assert_null(mem.table);
	frame = get(FRAME); /* once it is made, what comes is a message's */
	table = mem.mem.calloc(1, ISO_PAGE_BYTES, mem.mem.mem_user_data);
	assert_null(mem.frame_buffer);
	assert_null(mem.table);
	iso_h2_mem_idle(&mem); /* and there is nothing to give back */
	put(frame);
	put(table);
	put(small);
	put(NULL);
}

static void test_what_is_not_found(void **state)
{
	void *at[3] = { get(FRAME - 1), mem.mem.calloc(1, ISO_PAGE_BYTES - 1, mem.mem.mem_user_data),
			mem.mem.calloc(1, ISO_PAGE_BYTES + 1, mem.mem.mem_user_data) };

	(void)state;
	assert_null(mem.frame_buffer);
	assert_null(mem.table);
	for (int i = 0; i < 3; i++)
		put(at[i]);
}

static void test_calloc_is_zeroed_and_does_not_wrap(void **state)
{
	static const size_t sizes[] = { 1, 24, 1000, ISO_PAGE_BYTES, FRAME, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int round = 0; round < 2; round++) {
			uint8_t *at = mem.mem.calloc(1, sizes[i], mem.mem.mem_user_data);

			assert_non_null(at);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(at[k], 0);
			memset(at, 0xaa, sizes[i]);
			put(at);
		}
	}
	assert_null(mem.mem.calloc(SIZE_MAX / 2, 3, mem.mem.mem_user_data));
	assert_null(mem.mem.calloc(3, SIZE_MAX / 2, mem.mem.mem_user_data));
	assert_null(mem.mem.calloc(SIZE_MAX, SIZE_MAX, mem.mem.mem_user_data));
}

static void test_a_buffer_that_moves_is_forgotten(void **state)
{
	uint8_t *frame = get(FRAME), *grown;

	(void)state;
	memset(frame, 7, FRAME);
	assert_ptr_equal(mem.frame_buffer, frame);
	grown = mem.mem.realloc(frame, 100000, mem.mem.mem_user_data);
	assert_non_null(grown);
	assert_null(mem.frame_buffer);
	iso_h2_mem_idle(&mem);
	for (int i = 0; i < FRAME; i++)
		assert_int_equal(grown[i], 7);
	put(grown);
}

/* The table of streams goes only when it is all zeros; the frame buffer's content never matters. */
static void test_idle_gives_back(void **state)
{
	uint8_t *frame = get(FRAME), *table = mem.mem.calloc(1, ISO_PAGE_BYTES, mem.mem.mem_user_data);

	(void)state;
	memset(frame, 1, FRAME);
	table[4000] = 1;
	iso_h2_mem_idle(&mem);
	assert_int_equal(resident(frame, FRAME / ISO_PAGE_BYTES), 0);
	assert_int_equal(resident(table, 1), 1);
	assert_int_equal(table[4000], 1);
	table[4000] = 0;
	iso_h2_mem_idle(&mem);
	assert_int_equal(resident(table, 1), 0);
	assert_int_equal(table[4000], 0);
	memset(frame, 2, FRAME); /* both are still allocated */
	iso_h2_mem_idle(&mem);
	iso_h2_mem_idle(&mem);
	put(frame);
	put(table);
}

static int responded;

static ssize_t read_nothing(nghttp2_session *s, int32_t id, uint8_t *buf, size_t n, uint32_t *flags,
			    nghttp2_data_source *source, void *user)
{
	(void)s;
	(void)id;
	(void)source;
	(void)user;
	memset(buf, 'x', n < 100 ? n : 100);
	*flags = NGHTTP2_DATA_FLAG_EOF;
	return n < 100 ? (ssize_t)n : 100;
}

static int on_request(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
	const nghttp2_nv nv = { (uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200", 7, 3, 0 };
	const nghttp2_data_provider body = { .read_callback = read_nothing };

	(void)user;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	return nghttp2_submit_response(s, frame->hd.stream_id, &nv, 1, &body);
}

static int on_response(nghttp2_session *s, int32_t id, uint32_t code, void *user)
{
	(void)s;
	(void)id;
	(void)user;
	assert_int_equal(code, 0);
	responded++;
	return 0;
}

static void pass(nghttp2_session *from, nghttp2_session *to)
{
	const uint8_t *bytes;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(from, &bytes)) > 0)
		assert_int_equal(nghttp2_session_mem_recv(to, bytes, (size_t)n), n);
	assert_int_equal(n, 0);
}

/* A real session idles after each of many requests and goes on as if nothing had been. */
static void test_a_session_lives_through_it(void **state)
{
	const nghttp2_nv nv[] = {
		{ (uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t) "GET", 7, 3, 0 },
		{ (uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "https", 7, 5, 0 },
		{ (uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t) "/", 5, 1, 0 },
		{ (uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "a", 10, 1, 0 },
	};
	nghttp2_session_callbacks *callbacks;
	nghttp2_session *server, *client;

	(void)state;
	responded = 0;
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_request);
	assert_int_equal(nghttp2_session_server_new3(&server, callbacks, NULL, NULL, &mem.mem), 0);
	iso_h2_mem_made(&mem);
	assert_non_null(mem.frame_buffer);
	nghttp2_session_callbacks_del(callbacks);
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_response);
	assert_int_equal(nghttp2_session_client_new(&client, callbacks, NULL), 0);
	nghttp2_session_callbacks_del(callbacks);
	assert_int_equal(nghttp2_submit_settings(server, 0, NULL, 0), 0);
	assert_int_equal(nghttp2_submit_settings(client, 0, NULL, 0), 0);
	for (int i = 1; i <= 50; i++) {
		assert_true(nghttp2_submit_request(client, NULL, nv, 4, NULL, NULL) > 0);
		pass(client, server);
		pass(server, client);
		assert_int_equal(responded, i);
		pass(client, server);
		pass(server, client); /* nothing any more */
		iso_h2_mem_idle(&mem);
		assert_int_equal(resident(mem.frame_buffer, FRAME / ISO_PAGE_BYTES), 0);
	}
	nghttp2_session_del(client);
	nghttp2_session_del(server);
	assert_null(mem.frame_buffer);
	assert_null(mem.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_is_found_and_when, setup),
		cmocka_unit_test_setup(test_what_is_not_found, setup),
		cmocka_unit_test_setup(test_calloc_is_zeroed_and_does_not_wrap, setup),
		cmocka_unit_test_setup(test_a_buffer_that_moves_is_forgotten, setup),
		cmocka_unit_test_setup(test_idle_gives_back, setup),
		cmocka_unit_test_setup(test_a_session_lives_through_it, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
