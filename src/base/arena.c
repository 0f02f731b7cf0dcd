/*
 * Arenas: blocks of 4 KiB from a free list; what is larger gets a block of its own. Thread: the pool's loop.
 */
#include "iso/base/arena.h"

#include <stdlib.h>

#include "iso/base/secret.h"

enum { ALIGN = 16 };

struct iso_arena_block {
	struct iso_arena_block *next;
	size_t size; /* of bytes */
	_Alignas(ALIGN) uint8_t bytes[];
};

enum { BLOCK_PAYLOAD = ISO_ARENA_BLOCK - sizeof(struct iso_arena_block) };

void iso_arena_pool_init(struct iso_arena_pool *pool, size_t free_max)
{
	pool->free = NULL;
	pool->free_count = 0;
	pool->free_max = free_max;
}

void iso_arena_pool_done(struct iso_arena_pool *pool)
{
	while (pool->free != NULL) {
		struct iso_arena_block *block = pool->free;

		pool->free = block->next;
		free(block);
	}
	pool->free_count = 0;
}

void iso_arena_init(struct iso_arena *arena, struct iso_arena_pool *pool, size_t max)
{
	*arena = (struct iso_arena){ .pool = pool, .max = max };
}

static void block_free(struct iso_arena_pool *pool, struct iso_arena_block *block)
{
	if (pool == NULL || block->size != BLOCK_PAYLOAD || pool->free_count >= pool->free_max) {
		free(block);
		return;
	}
	block->next = pool->free;
	pool->free = block;
	pool->free_count++;
}

void iso_arena_done(struct iso_arena *arena)
{
	if (arena == NULL)
		return;
	while (arena->blocks != NULL) {
		struct iso_arena_block *block = arena->blocks;

		arena->blocks = block->next;
		block_free(arena->pool, block);
	}
	arena->at = NULL;
	arena->left = arena->total = 0;
}

void iso_arena_wipe(struct iso_arena *arena)
{
	for (struct iso_arena_block *block = arena->blocks; block != NULL; block = block->next)
		iso_secret_wipe(block->bytes, block->size);
	iso_arena_done(arena);
}

static struct iso_arena_block *block_new(struct iso_arena *arena, size_t size)
{
	struct iso_arena_pool *pool = arena->pool;
	struct iso_arena_block *block;

	if (size > arena->max - arena->total)
		return NULL;
	if (size == BLOCK_PAYLOAD && pool != NULL && pool->free != NULL) {
		block = pool->free;
		pool->free = block->next;
		pool->free_count--;
	} else {
		block = malloc(sizeof(*block) + size);
		if (block == NULL)
			return NULL;
	}
	block->size = size;
	arena->total += size;
	return block;
}

void *iso_arena_alloc(struct iso_arena *arena, size_t size)
{
	/* Nothing takes a place too: NULL always means exhausted. */
	size_t need = size == 0 ? ALIGN : (size + ALIGN - 1) / ALIGN * ALIGN;
	struct iso_arena_block *block;
	void *at;

	if (need < size)
		return NULL;
	if (need <= arena->left) {
		at = arena->at;
		arena->at += need;
		arena->left -= need;
		return at;
	}
	if (need > BLOCK_PAYLOAD / 2) {
		block = block_new(arena, need);
		if (block == NULL)
			return NULL;
		/* Behind the current block, whose rest stays in use. */
		if (arena->blocks != NULL) {
			block->next = arena->blocks->next;
			arena->blocks->next = block;
		} else {
			block->next = NULL;
			arena->blocks = block;
		}
		return block->bytes;
	}
	block = block_new(arena, BLOCK_PAYLOAD);
	if (block == NULL)
		return NULL;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->at = block->bytes + need;
	arena->left = BLOCK_PAYLOAD - need;
	return block->bytes;
}

void *iso_arena_zalloc(struct iso_arena *arena, size_t size)
{
	void *at = iso_arena_alloc(arena, size);

	if (at != NULL)
		memset(at, 0, size);
	return at;
}

struct iso_slice iso_arena_dup(struct iso_arena *arena, struct iso_slice s)
{
	char *at = iso_arena_alloc(arena, s.len + 1);

	if (at == NULL)
		return iso_slice(NULL, 0);
	if (s.len > 0)
		memcpy(at, s.ptr, s.len);
	at[s.len] = '\0';
	return iso_slice(at, s.len);
}
