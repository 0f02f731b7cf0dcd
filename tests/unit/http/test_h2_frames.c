/*
 * Frame headers in a stream of bytes, however it is cut; and which closed streams a peer may still send on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "iso/http/h2_closed.h"
#include "iso/http/h2_frames.h"

/* Three bytes before the first frame; DATA of 5 on 1, an empty HEADERS on 3 (reserved bit set), PING. */
static const uint8_t wire[] = { 'P', 'R', 'I', 0, 0, 5, 0, 1,    0, 0, 0, 1, 'h', 'e', 'l',
				'l', 'o', 0,   0, 0, 1, 4, 0x80, 0, 0, 3, 0, 0,   8,   6,
				0,   0,   0,   0, 0, 1, 2, 3,    4, 5, 6, 7, 8 };

static void check(const struct iso_h2_frame *f, int i)
{
	static const struct iso_h2_frame wanted[] = {
		{ .length = 5, .type = 0, .flags = 1, .stream_id = 1 },
		{ .length = 0, .type = 1, .flags = 4, .stream_id = 3 },
		{ .length = 8, .type = 6, .flags = 0, .stream_id = 0 },
	};

	assert_in_range(i, 0, 2);
	assert_int_equal(f->length, wanted[i].length);
	assert_int_equal(f->type, wanted[i].type);
	assert_int_equal(f->flags, wanted[i].flags);
	assert_int_equal(f->stream_id, wanted[i].stream_id);
}

static void test_pieces_of_every_size(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= sizeof(wire); piece++) {
		struct iso_h2_frames f;
		struct iso_h2_frame frame;
		int found = 0;

		iso_h2_frames_init(&f, 3);
		for (size_t from = 0; from < sizeof(wire); from += piece) {
			size_t n = sizeof(wire) - from < piece ? sizeof(wire) - from : piece, at = 0;

			while (iso_h2_frames_next(&f, wire + from, n, &at, &frame))
				check(&frame, found++);
			assert_int_equal(at, n);
			assert_int_equal(iso_h2_frames_inside(&f), from + n != 3 && from + n != 17 &&
									   from + n != 26 &&
									   from + n != sizeof(wire));
		}
		assert_int_equal(found, 3);
	}
}

static void test_late_or_not(void **state)
{
	struct iso_h2_closed c;

	(void)state;
	iso_h2_closed_init(&c, 4);
	assert_false(iso_h2_closed_is_late(&c, 1)); /* it opens one */
	iso_h2_closed_opened(&c, 9);
	assert_false(iso_h2_closed_is_late(&c, 11));
	assert_true(iso_h2_closed_is_late(&c, 9));
	assert_true(iso_h2_closed_is_late(&c, 3)); /* passed over */
	iso_h2_closed_reset(&c, 9);
	assert_false(iso_h2_closed_is_late(&c, 9));
	assert_true(iso_h2_closed_is_late(&c, 7));
	iso_h2_closed_done(&c);
}

static void test_memory_is_bounded(void **state)
{
	struct iso_h2_closed c;

	(void)state;
	iso_h2_closed_init(&c, 4);
	iso_h2_closed_opened(&c, 1001);
	for (int32_t id = 1; id <= 1001; id += 2)
		iso_h2_closed_reset(&c, id);
	for (int32_t id = 995; id <= 1001; id += 2)
		assert_false(iso_h2_closed_is_late(&c, id));
	assert_true(iso_h2_closed_is_late(&c, 993)); /* longer ago than any round trip */
	iso_h2_closed_done(&c);
	iso_h2_closed_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_of_every_size),
		cmocka_unit_test(test_late_or_not),
		cmocka_unit_test(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
