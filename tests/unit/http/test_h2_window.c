/*
 * Windows that a peer's SETTINGS take beyond 2^31-1, on a real server session fed with frames made by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "iso/http/h2_window.h"

enum { WINDOW_MAX = INT32_MAX, WINDOW_USUAL = 65535 };

static nghttp2_session *session;
static struct iso_h2_window window;
static int32_t streams[4];
static int opened, bursts, settings;

static int on_begin_frame(nghttp2_session *s, const nghttp2_frame_hd *hd, void *user)
{
	(void)user;
	if (hd->type != NGHTTP2_SETTINGS || (hd->flags & NGHTTP2_FLAG_ACK) != 0)
		return 0;
	iso_h2_window_begin(&window, s);
	for (int i = 0; i < opened; i++)
		iso_h2_window_stream(&window, s, streams[i]);
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
	(void)user;
	if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
		settings++;
		bursts += iso_h2_window_burst(&window, s);
	}
	return 0;
}

static void feed(const uint8_t *bytes, size_t n)
{
	assert_int_equal(nghttp2_session_mem_recv(session, bytes, n), n);
}

static void frame(uint8_t type, uint8_t flags, int32_t stream, const uint8_t *payload, uint8_t n)
{
	uint8_t bytes[64] = { 0, 0, n, type, flags, 0, 0, 0, (uint8_t)stream };

	memcpy(bytes + 9, payload, n);
	feed(bytes, 9u + n);
}

static void put_u32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void open_stream(void)
{
	/* :method GET, :path /, :scheme https, :authority a (RFC 7541 appendix A). */
	static const uint8_t block[] = { 0x82, 0x84, 0x87, 0x41, 0x01, 'a' };

	streams[opened] = 1 + 2 * opened;
	frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, streams[opened], block,
	      sizeof(block));
	opened++;
}

static void widen(int32_t stream, uint32_t by)
{
	uint8_t payload[4];

	put_u32(payload, by);
	frame(NGHTTP2_WINDOW_UPDATE, 0, stream, payload, sizeof(payload));
}

/* INITIAL_WINDOW_SIZE is setting 4. True: a window went beyond what there is. */
static bool set_initial(uint32_t size)
{
	uint8_t payload[6] = { 0, 4 };
	int before = bursts, seen = settings;

	put_u32(payload + 2, size);
	frame(NGHTTP2_SETTINGS, 0, 0, payload, sizeof(payload));
	assert_int_equal(settings, seen + 1);
	return bursts > before;
}

static int setup(void **state)
{
	nghttp2_session_callbacks *callbacks;

	(void)state;
	opened = bursts = settings = 0;
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	assert_int_equal(nghttp2_session_server_new(&session, callbacks, NULL), 0);
	nghttp2_session_callbacks_del(callbacks);
	feed((const uint8_t *)NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	frame(NGHTTP2_SETTINGS, 0, 0, (const uint8_t *)"", 0);
	assert_int_equal(bursts, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nghttp2_session_del(session);
	return 0;
}

static void test_no_stream_is_open(void **state)
{
	(void)state;
	assert_false(set_initial(WINDOW_MAX));
	assert_false(set_initial(0));
	assert_false(set_initial(WINDOW_MAX));
	assert_false(set_initial(WINDOW_MAX));
}

static void test_a_stream_that_was_not_widened(void **state)
{
	(void)state;
	open_stream();
	assert_false(set_initial(WINDOW_MAX));
	assert_false(set_initial(0));
	assert_false(set_initial(WINDOW_USUAL));
}

static void test_the_last_byte_that_fits(void **state)
{
	(void)state;
	open_stream();
	widen(1, WINDOW_MAX - WINDOW_USUAL - 1);
	assert_false(set_initial(WINDOW_USUAL + 1));
}

static void test_one_byte_too_many(void **state)
{
	(void)state;
	open_stream();
	widen(1, WINDOW_MAX - WINDOW_USUAL);
	assert_true(set_initial(WINDOW_USUAL + 1));
}

static void test_one_byte_at_the_very_end(void **state)
{
	(void)state;
	open_stream();
	widen(1, 1);
	assert_true(set_initial(WINDOW_MAX));
}

static void test_a_full_window_that_shrinks(void **state)
{
	(void)state;
	open_stream();
	widen(1, WINDOW_MAX - WINDOW_USUAL);
	assert_false(set_initial(WINDOW_USUAL));
	assert_false(set_initial(100));
	assert_false(set_initial(WINDOW_USUAL)); /* and is as it was */
	assert_true(set_initial(WINDOW_USUAL + 1));
}

/* The widest counts, wherever it stands. */
static void test_one_of_several(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		open_stream();
	widen(3, WINDOW_MAX - WINDOW_USUAL - 10);
	widen(5, 100);
	assert_false(set_initial(WINDOW_USUAL + 10));
	assert_true(set_initial(WINDOW_USUAL + 11));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_stream_is_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_stream_that_was_not_widened, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_last_byte_that_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_byte_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_byte_at_the_very_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_window_that_shrinks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_of_several, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
