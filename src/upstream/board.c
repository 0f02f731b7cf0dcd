/*
 * Publication by pointer; reclamation by epochs: a reader shows the version it may hold, or that it holds
 * none. All accesses to the shared members are sequentially consistent: a reader that shows an epoch before
 * it loads the pointer is either seen by the writer's scan or loads the new pointer.
 */
#include "iso/upstream/board.h"

#include <assert.h>
#include <stdlib.h>

enum { FULL_STEP_US = 10 * 1000 };

static const uint64_t resting = UINT64_MAX;

static void free_board(struct iso_board *board)
{
	if (board == NULL)
		return;
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		struct iso_affected *affected = board->regions[i].affected;

		if (affected != NULL && --affected->refs == 0)
			free(affected);
	}
	free(board);
}

int iso_board_stand_init(struct iso_board_stand *stand)
{
	struct iso_board *board = calloc(1, sizeof(*board));

	if (board == NULL)
		return ISO_ENOMEM;
	board->version = 1;
	stand->own.retired = NULL;
	atomic_init(&stand->shared.current, board);
	atomic_init(&stand->shared.version, 1);
	for (uint32_t i = 0; i < ISO_WORKERS_MAX; i++)
		atomic_init(&stand->shared.readers[i].seen, resting);
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		atomic_init(&stand->shared.trials[i], 0);
		atomic_init(&stand->shared.loads[i].running, 0);
	}
	return ISO_OK;
}

void iso_board_stand_done(struct iso_board_stand *stand)
{
	struct iso_board *board = stand->own.retired;

	while (board != NULL) {
		struct iso_board *next = board->next;

		free_board(board);
		board = next;
	}
	stand->own.retired = NULL;
	free_board(atomic_exchange(&stand->shared.current, NULL));
}

static void reclaim(struct iso_board_stand *stand)
{
	uint64_t oldest = resting;
	struct iso_board **link = &stand->own.retired;

	for (uint32_t i = 0; i < ISO_WORKERS_MAX; i++) {
		uint64_t seen = atomic_load(&stand->shared.readers[i].seen);

		if (seen < oldest)
			oldest = seen;
	}
	while (*link != NULL) {
		struct iso_board *board = *link;

		if (board->version < oldest) {
			*link = board->next;
			free_board(board);
		} else {
			link = &board->next;
		}
	}
}

void iso_board_publish(struct iso_board_stand *stand, struct iso_board *board)
{
	struct iso_board *old;

	board->version = atomic_load(&stand->shared.version) + 1;
	old = atomic_exchange(&stand->shared.current, board);
	atomic_store(&stand->shared.version, board->version);
	old->next = stand->own.retired;
	stand->own.retired = old;
	reclaim(stand);
}

const struct iso_board *iso_board_enter(struct iso_board_stand *stand, uint32_t reader)
{
	assert(reader < ISO_WORKERS_MAX);
	/* The version may be older than the board loaded next; that only keeps boards longer. */
	atomic_store(&stand->shared.readers[reader].seen, atomic_load(&stand->shared.version));
	return atomic_load(&stand->shared.current);
}

void iso_board_leave(struct iso_board_stand *stand, uint32_t reader)
{
	atomic_store(&stand->shared.readers[reader].seen, resting);
}

bool iso_board_take_trial(struct iso_board_stand *stand, uint32_t slot, uint32_t trial)
{
	uint32_t last = atomic_load(&stand->shared.trials[slot]);

	return last != trial && atomic_compare_exchange_strong(&stand->shared.trials[slot], &last, trial);
}

void iso_board_return_trial(struct iso_board_stand *stand, uint32_t slot, uint32_t trial)
{
	/* 0 names no trial. Whoever has taken a newer one keeps it. */
	(void)atomic_compare_exchange_strong(&stand->shared.trials[slot], &trial, 0);
}

uint32_t iso_board_trial_taken(struct iso_board_stand *stand, uint32_t slot)
{
	return atomic_load(&stand->shared.trials[slot]);
}

/* Relaxed: it is a number, and orders nothing. */
void iso_board_load_add(struct iso_board_stand *stand, uint32_t slot)
{
	(void)atomic_fetch_add_explicit(&stand->shared.loads[slot].running, 1, memory_order_relaxed);
}

void iso_board_load_remove(struct iso_board_stand *stand, uint32_t slot)
{
	uint32_t had = atomic_fetch_sub_explicit(&stand->shared.loads[slot].running, 1, memory_order_relaxed);

	assert(had > 0);
	(void)had;
}

uint32_t iso_board_load(const struct iso_board_stand *stand, uint32_t slot)
{
	return atomic_load_explicit(&stand->shared.loads[slot].running, memory_order_relaxed);
}

void iso_board_note_full(struct iso_board_stand *stand, uint32_t slot, uint64_t now_us)
{
	_Atomic uint64_t *at = &stand->shared.loads[slot].full_us;

	/* A region that is full is so at every pick: its line need not go to and fro each time. */
	if (atomic_load_explicit(at, memory_order_relaxed) + FULL_STEP_US < now_us)
		atomic_store_explicit(at, now_us, memory_order_relaxed);
}

uint64_t iso_board_full_us(const struct iso_board_stand *stand, uint32_t slot)
{
	return atomic_load_explicit(&stand->shared.loads[slot].full_us, memory_order_relaxed);
}
