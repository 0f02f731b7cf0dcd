/*
 * One arena per exchange: bump allocation, freed as a whole. Blocks come from a per-loop free list.
 */
#ifndef ISO_BASE_ARENA_H
#define ISO_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "iso/base/slice.h"

enum { ISO_ARENA_BLOCK = 4096 };

struct iso_arena_block;

struct iso_arena_pool {
	struct iso_arena_block *free;
	size_t free_count, free_max;
};

struct iso_arena {
	struct iso_arena_pool *pool;
	struct iso_arena_block *blocks;
	uint8_t *at;
	size_t left, total, max;
};

void iso_arena_pool_init(struct iso_arena_pool *pool, size_t free_max);
void iso_arena_pool_done(struct iso_arena_pool *pool);
/* max: bytes this arena may take in all; allocation fails beyond. pool may be NULL (plain heap blocks). */
void iso_arena_init(struct iso_arena *arena, struct iso_arena_pool *pool, size_t max);
void iso_arena_done(struct iso_arena *arena);
/* The same for an arena that holds secrets: its blocks are overwritten first. */
void iso_arena_wipe(struct iso_arena *arena);
/* Aligned to 16, not cleared; NULL when `max` or memory is exhausted. */
void *iso_arena_alloc(struct iso_arena *arena, size_t size);
/* The same, cleared. */
void *iso_arena_zalloc(struct iso_arena *arena, size_t size);
/* A copy (with a NUL behind it, not counted); ptr NULL when exhausted. */
struct iso_slice iso_arena_dup(struct iso_arena *arena, struct iso_slice s);

#endif
