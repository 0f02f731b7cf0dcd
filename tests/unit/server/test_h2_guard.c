/*
 * The flood guard: each budget to the frame, the window, what justifies WINDOW_UPDATEs, late frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "h2_guard_priv.h"

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PING = 6,
	WINDOW_UPDATE = 8,
	CONTINUATION,
	UNKNOWN = 99
};

enum { STREAMS = 200 };

static const struct iso_cfg_limits limits = {
	.header_bytes = 64 * 1024, .h2_resets = 20, .h2_control_frames = 50, .h2_empty_frames = 10
};
static struct iso_h2_guard guard;

static int teardown(void **state)
{
	(void)state;
	iso_h2_guard_done(&guard);
	return 0;
}

/* One frame, its header in two pieces, its payload in one. */
static enum iso_cut give(uint64_t now_us, uint8_t type, uint8_t flags, size_t length)
{
	uint8_t head[9] = {
		(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, type, flags, 0, 0, 0, 1
	};
	static const uint8_t payload[16384] = { 1 };
	enum iso_cut cut = iso_h2_guard_read(&guard, &limits, now_us, head, 4);

	if (cut == ISO_CUT_NONE)
		cut = iso_h2_guard_read(&guard, &limits, now_us, head + 4, 5);
	return cut != ISO_CUT_NONE ? cut : iso_h2_guard_read(&guard, &limits, now_us, payload, length);
}

static bool is_open(void *arg, int32_t stream_id)
{
	(void)arg;
	return stream_id == 1;
}

static void begin(void)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

	iso_h2_guard_init(&guard, STREAMS, is_open, NULL);
	assert_int_equal(iso_h2_guard_read(&guard, &limits, 0, (const uint8_t *)preface, 24), ISO_CUT_NONE);
}

static int setup(void **state)
{
	(void)state;
	begin();
	return 0;
}

/* How many such frames pass before one is cut, and what for. */
static int passes(uint8_t type, uint8_t flags, size_t length, uint64_t now_us, enum iso_cut *ret_cut)
{
	for (int n = 0; n < 100000; n++) {
		*ret_cut = give(now_us, type, flags, length);
		if (*ret_cut != ISO_CUT_NONE)
			return n;
	}
	return -1;
}

static void test_budgets(void **state)
{
	static const struct {
		uint8_t type, flags;
		size_t length;
		int passes;
		enum iso_cut cut;
	} cases[] = {
		{ RST_STREAM, 0, 4, 20, ISO_CUT_RESETS },
		{ SETTINGS, 0, 6, 50, ISO_CUT_SETTINGS },
		{ SETTINGS, 1, 0, 50, ISO_CUT_SETTINGS }, /* acknowledgements that nobody asked for */
		{ PING, 0, 8, 50, ISO_CUT_PING },
		{ PRIORITY, 0, 5, 50, ISO_CUT_PRIORITY },
		{ UNKNOWN, 0, 100, 50, ISO_CUT_PRIORITY },
		{ WINDOW_UPDATE, 0, 4, 54, ISO_CUT_WINDOW_UPDATE }, /* four are free */
		{ DATA, 0, 0, 10, ISO_CUT_EMPTY_FRAMES },
		{ DATA, 8, 2, 10, ISO_CUT_EMPTY_FRAMES }, /* padding alone */
		{ DATA, 8, 3, -1, ISO_CUT_NONE },
		{ DATA, 1, 0, -1, ISO_CUT_NONE }, /* the end of a stream */
		{ DATA, 0, 1, -1, ISO_CUT_NONE },
		{ HEADERS, 4, 40, -1, ISO_CUT_NONE },
		{ HEADERS, 4, 0, 10, ISO_CUT_EMPTY_FRAMES },
		{ CONTINUATION, 0, 1, 64, ISO_CUT_CONTINUATION },
		{ CONTINUATION, 0, 16384, 8, ISO_CUT_CONTINUATION }, /* 128 KiB of block */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum iso_cut cut;

		begin();
		assert_int_equal(passes(cases[i].type, cases[i].flags, cases[i].length, 5, &cut),
				 cases[i].passes);
		assert_int_equal(cut, cases[i].cut);
	}
}

static void test_a_window_is_ten_seconds(void **state)
{
	enum iso_cut cut;

	(void)state;
	assert_int_equal(passes(PING, 0, 8, 1000000, &cut), 50);
	begin(); /* what is cut is not read on */
	assert_int_equal(passes(DATA, 0, 0, 1000000, &cut), 10);
	begin();
	for (int i = 0; i < 50; i++)
		assert_int_equal(give(1000000, PING, 0, 8), ISO_CUT_NONE);
	assert_int_equal(passes(PING, 0, 8, 10000000, &cut), 50);
	begin();
	for (int i = 0; i < 50; i++)
		assert_int_equal(give(1000000, PING, 0, 8), ISO_CUT_NONE);
	assert_int_equal(give(9999999, PING, 0, 8), ISO_CUT_PING);
}

static void test_window_updates_are_justified_by_data_and_streams(void **state)
{
	enum iso_cut cut;

	(void)state;
	for (int i = 0; i < 1000; i++)
		iso_h2_guard_sent_data(&guard);
	assert_int_equal(passes(WINDOW_UPDATE, 0, 4, 1, &cut), 4 + 3 * 1000 + 50);
	begin();
	for (int32_t i = 0; i < 100; i++)
		iso_h2_guard_opened(&guard, 2 * i + 1);
	assert_int_equal(passes(WINDOW_UPDATE, 0, 4, 1, &cut), 4 + 4 * 100 + 50);
}

static void test_a_block_of_headers_starts_anew(void **state)
{
	(void)state;
	for (int block = 0; block < 1000; block++) {
		assert_int_equal(give(1, HEADERS, 0, 16384), ISO_CUT_NONE);
		for (int i = 0; i < 7; i++)
			assert_int_equal(give(1, CONTINUATION, 0, 16384), ISO_CUT_NONE);
	}
}

static void test_errors_count_as_resets(void **state)
{
	enum iso_cut cut;

	(void)state;
	for (int i = 0; i < 15; i++)
		assert_int_equal(iso_h2_guard_error(&guard, &limits, 1), ISO_CUT_NONE);
	assert_int_equal(passes(RST_STREAM, 0, 4, 1, &cut), 5);
}

/* RFC 9113 section 5.1: what crosses a reset of ours is no fault; what comes for another closed stream is. */
static void test_late_frames(void **state)
{
	(void)state;
	assert_false(iso_h2_guard_is_late(&guard, 1));
	iso_h2_guard_opened(&guard, 1);
	iso_h2_guard_opened(&guard, 5);
	assert_true(iso_h2_guard_is_late(&guard, 1));
	assert_true(iso_h2_guard_is_late(&guard, 3)); /* passed over: section 5.1.1 */
	assert_false(iso_h2_guard_is_late(&guard, 7));
	iso_h2_guard_sent_reset(&guard, 1);
	assert_false(iso_h2_guard_is_late(&guard, 1));
	for (int32_t id = 101; id < 101 + 2 * (STREAMS - 1); id += 2)
		iso_h2_guard_sent_reset(&guard, id);
	assert_false(iso_h2_guard_is_late(&guard, 1)); /* one of as many as may run at once */
	for (int32_t id = 1001; id < 1001 + 2 * (1 + ISO_GUARD_RESETS_MORE); id += 2)
		iso_h2_guard_sent_reset(&guard, id);
	assert_true(iso_h2_guard_is_late(&guard, 1)); /* the memory is bounded */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_budgets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_window_is_ten_seconds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_window_updates_are_justified_by_data_and_streams, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_block_of_headers_starts_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors_count_as_resets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_frames, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
