/*
 * The board under readers: never freed while it is read, always fresh on entry. Meant for ThreadSanitizer and
 * AddressSanitizer, which see what the assertions cannot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <pthread.h>
#include <cmocka.h>

#include "iso/upstream/board.h"

enum { READERS = 3, BOARDS = 3000 };

static struct iso_board_stand stand;
static _Atomic bool stop;
static _Atomic int torn;

static void *reader_main(void *arg)
{
	uint32_t reader = (uint32_t)(intptr_t)arg;
	uint64_t last = 0;

	while (!atomic_load(&stop)) {
		const struct iso_board *board = iso_board_enter(&stand, reader);

		for (int i = 1; i < ISO_REGION_SLOTS; i++)
			if (board->regions[i].weight != board->regions[0].weight)
				atomic_fetch_add(&torn, 1);
		if (board->version < last)
			atomic_fetch_add(&torn, 1);
		last = board->version;
		iso_board_leave(&stand, reader);
	}
	return NULL;
}

static void test_readers_see_whole_boards(void **state)
{
	pthread_t threads[READERS];

	(void)state;
	assert_int_equal(iso_board_stand_init(&stand), ISO_OK);
	for (intptr_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader_main, (void *)i), 0);
	for (uint32_t n = 1; n <= BOARDS; n++) {
		struct iso_board *board = calloc(1, sizeof(*board));

		assert_non_null(board);
		for (int i = 0; i < ISO_REGION_SLOTS; i++)
			board->regions[i].weight = n;
		iso_board_publish(&stand, board);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&torn), 0);
	assert_int_equal(atomic_load(&stand.shared.version), BOARDS + 1);
	iso_board_stand_done(&stand);
}

static void test_a_board_that_is_read_stays(void **state)
{
	const struct iso_board *held;
	int kept = 0;

	(void)state;
	assert_int_equal(iso_board_stand_init(&stand), ISO_OK);
	held = iso_board_enter(&stand, 5);
	for (int i = 0; i < 3; i++)
		iso_board_publish(&stand, calloc(1, sizeof(struct iso_board)));
	assert_int_equal(held->version, 1);
	for (const struct iso_board *b = stand.own.retired; b != NULL; b = b->next)
		kept++;
	assert_int_equal(kept, 3);
	iso_board_leave(&stand, 5);
	iso_board_publish(&stand, calloc(1, sizeof(struct iso_board)));
	assert_null(stand.own.retired); /* nobody reads: all but the current one are gone */
	iso_board_stand_done(&stand);
}

/* One request of the process has it, and gives it back when it could not go. */
static void test_a_trial_is_taken_once_and_given_back(void **state)
{
	(void)state;
	assert_int_equal(iso_board_stand_init(&stand), ISO_OK);
	assert_true(iso_board_take_trial(&stand, 5, 101));
	assert_false(iso_board_take_trial(&stand, 5, 101));
	assert_int_equal(iso_board_trial_taken(&stand, 5), 101);
	iso_board_return_trial(&stand, 5, 99); /* not that one any more */
	assert_false(iso_board_take_trial(&stand, 5, 101));
	iso_board_return_trial(&stand, 5, 101);
	assert_int_equal(iso_board_trial_taken(&stand, 5), 0);
	assert_true(iso_board_take_trial(&stand, 5, 101));
	assert_true(iso_board_take_trial(&stand, 6, 101)); /* another region's */
	iso_board_stand_done(&stand);
}

static void test_when_it_was_full(void **state)
{
	(void)state;
	assert_int_equal(iso_board_stand_init(&stand), ISO_OK);
	assert_int_equal(iso_board_full_us(&stand, 63), 0);
	iso_board_note_full(&stand, 63, 1000000);
	assert_int_equal(iso_board_full_us(&stand, 63), 1000000);
	iso_board_note_full(&stand, 63, 1010000); /* not again within 10 ms */
	assert_int_equal(iso_board_full_us(&stand, 63), 1000000);
	iso_board_note_full(&stand, 63, 1010001);
	assert_int_equal(iso_board_full_us(&stand, 63), 1010001);
	assert_int_equal(iso_board_full_us(&stand, 62), 0);
	iso_board_stand_done(&stand);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_see_whole_boards),
		cmocka_unit_test(test_a_board_that_is_read_stays),
		cmocka_unit_test(test_a_trial_is_taken_once_and_given_back),
		cmocka_unit_test(test_when_it_was_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
