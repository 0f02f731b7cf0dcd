/*
 * Chunks and queues of segments: see buf.h. Thread: the pool's loop.
 */
#include "iso/base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "iso/base/err.h"

void iso_chunk_pool_init(struct iso_chunk_pool *pool, size_t live_max, size_t free_max)
{
	*pool = (struct iso_chunk_pool){ .live_max = live_max, .free_max = free_max };
}

void iso_chunk_pool_done(struct iso_chunk_pool *pool)
{
	iso_chunk_unref(pool->open);
	pool->open = NULL;
	assert(pool->live == 0);
	while (pool->free != NULL) {
		struct iso_chunk *chunk = pool->free;

		pool->free = chunk->next;
		free(chunk);
	}
	pool->free_count = 0;
}

struct iso_chunk *iso_chunk_acquire(struct iso_chunk_pool *pool)
{
	struct iso_chunk *chunk = pool->free;

	if (pool->live >= pool->live_max)
		return NULL;
	if (chunk != NULL) {
		pool->free = chunk->next;
		pool->free_count--;
	} else {
		chunk = malloc(sizeof(*chunk));
		if (chunk == NULL)
			return NULL;
		chunk->pool = pool;
	}
	pool->live++;
	chunk->next = NULL;
	chunk->refs = 1;
	chunk->used = 0;
	return chunk;
}

void iso_chunk_unref_slow(struct iso_chunk *chunk)
{
	struct iso_chunk_pool *pool = chunk->pool;

	assert(pool->live > 0);
	pool->live--;
	if (pool->free_count >= pool->free_max) {
		free(chunk);
		return;
	}
	chunk->next = pool->free;
	pool->free = chunk;
	pool->free_count++;
}

static uint32_t capacity(const struct iso_buf *buf)
{
	return buf->heap != NULL ? buf->cap : ISO_BUF_INLINE;
}

static struct iso_seg *ring(struct iso_buf *buf)
{
	return buf->heap != NULL ? buf->heap : buf->local;
}

struct iso_seg *iso_buf_at(struct iso_buf *buf, uint32_t index)
{
	assert(index < buf->count);
	return &ring(buf)[(buf->first + index) & (capacity(buf) - 1)]; /* a power of two */
}

struct iso_seg *iso_buf_front(struct iso_buf *buf)
{
	return buf->count > 0 ? &ring(buf)[buf->first] : NULL;
}

void iso_buf_done(struct iso_buf *buf)
{
	if (buf == NULL)
		return;
	for (uint32_t i = 0; i < buf->count; i++)
		iso_chunk_unref(iso_buf_at(buf, i)->chunk);
	free(buf->heap);
	iso_buf_init(buf);
}

/* Room for `more` segments. */
static int reserve(struct iso_buf *buf, uint32_t more)
{
	uint32_t cap = capacity(buf);
	struct iso_seg *heap;

	if (buf->count + more <= cap)
		return ISO_OK;
	while (cap < buf->count + more)
		cap *= 2;
	heap = malloc(cap * sizeof(*heap));
	if (heap == NULL)
		return ISO_ENOMEM;
	for (uint32_t i = 0; i < buf->count; i++)
		heap[i] = *iso_buf_at(buf, i);
	free(buf->heap);
	buf->heap = heap;
	buf->cap = cap;
	buf->first = 0;
	return ISO_OK;
}

/* The segment's reference becomes the queue's. Room must be there. */
static void push(struct iso_buf *buf, struct iso_seg seg)
{
	buf->count++;
	buf->bytes += seg.len;
	*iso_buf_at(buf, buf->count - 1) = seg;
}

int iso_buf_append_seg(struct iso_buf *buf, struct iso_chunk *chunk, uint8_t *ptr, uint32_t len,
		       uint32_t headroom)
{
	struct iso_seg *last = buf->count > 0 ? iso_buf_at(buf, buf->count - 1) : NULL;

	if (len == 0)
		return ISO_OK;
	if (last != NULL && last->chunk == chunk && last->ptr + last->len == ptr) {
		last->len += len;
		buf->bytes += len;
		return ISO_OK;
	}
	if (reserve(buf, 1) != 0)
		return ISO_ENOMEM;
	push(buf, (struct iso_seg){ iso_chunk_ref(chunk), ptr, len, (uint16_t)headroom, false });
	return ISO_OK;
}

/* The usual copy: it fits into the open chunk, and mostly joins the copy before it. */
static int append_small(struct iso_buf *buf, struct iso_chunk *open, const void *ptr, uint32_t len)
{
	uint8_t *at = open->bytes + open->used;

	if (iso_buf_append_seg(buf, open, at, len, 0) != 0)
		return ISO_ENOMEM;
	memcpy(at, ptr, len);
	open->used += len;
	return ISO_OK;
}

int iso_buf_append_copy(struct iso_buf *buf, struct iso_chunk_pool *pool, const void *ptr, size_t len)
{
	const uint8_t *from = ptr;
	struct iso_buf added;

	if (len == 0)
		return ISO_OK;
	if (pool->open != NULL && pool->open->refs == 1)
		pool->open->used = 0; /* all copies in it are gone */
	if (pool->open != NULL && len <= ISO_CHUNK_BYTES - pool->open->used)
		return append_small(buf, pool->open, ptr, (uint32_t)len);
	/* Everything that can fail comes first, so that a failure appends nothing. */
	if (reserve(buf, (uint32_t)(len / ISO_CHUNK_BYTES + 2)) != 0)
		return ISO_ENOMEM;
	iso_buf_init(&added);
	while (len > 0) {
		struct iso_chunk *chunk = pool->open;
		size_t take;

		if (chunk == NULL || chunk->used == ISO_CHUNK_BYTES) {
			struct iso_chunk *fresh = iso_chunk_acquire(pool);

			if (fresh == NULL) {
				iso_buf_done(&added);
				return ISO_ENOMEM;
			}
			iso_chunk_unref(chunk);
			pool->open = chunk = fresh;
		}
		take = ISO_CHUNK_BYTES - chunk->used;
		if (take > len)
			take = len;
		memcpy(chunk->bytes + chunk->used, from, take);
		if (iso_buf_append_seg(&added, chunk, chunk->bytes + chunk->used, (uint32_t)take, 0) != 0) {
			iso_buf_done(&added);
			return ISO_ENOMEM;
		}
		chunk->used += (uint32_t)take;
		from += take;
		len -= take;
	}
	return iso_buf_move(buf, &added);
}

static void gain_headroom(struct iso_seg *seg, size_t len)
{
	size_t now = seg->headroom + len;

	if (!seg->shared)
		seg->headroom = (uint16_t)(now < ISO_CHUNK_HEADROOM ? now : ISO_CHUNK_HEADROOM);
}

void iso_buf_consume(struct iso_buf *buf, size_t len)
{
	assert(len <= buf->bytes);
	while (len > 0) {
		struct iso_seg *seg = iso_buf_front(buf);

		if (len < seg->len) {
			seg->ptr += len;
			seg->len -= (uint32_t)len;
			gain_headroom(seg, len);
			buf->bytes -= len;
			return;
		}
		len -= seg->len;
		buf->bytes -= seg->len;
		iso_chunk_unref(seg->chunk);
		buf->first = (buf->first + 1) & (capacity(buf) - 1);
		buf->count--;
	}
	if (buf->count == 0)
		buf->first = 0;
}

int iso_buf_move(struct iso_buf *to, struct iso_buf *from)
{
	assert(to != from);
	if (from->count == 0)
		return ISO_OK;
	if (to->count == 0 && from->heap != NULL && from->count > capacity(to)) {
		free(to->heap); /* the larger ring changes hands */
		*to = *from;
		iso_buf_init(from);
		return ISO_OK;
	}
	if (reserve(to, from->count) != 0)
		return ISO_ENOMEM;
	for (uint32_t i = 0; i < from->count; i++)
		push(to, *iso_buf_at(from, i));
	free(from->heap);
	iso_buf_init(from);
	return ISO_OK;
}

int iso_buf_share(struct iso_buf *to, struct iso_buf *from)
{
	assert(to != from);
	if (reserve(to, from->count) != 0)
		return ISO_ENOMEM;
	for (uint32_t i = 0; i < from->count; i++) {
		struct iso_seg *seg = iso_buf_at(from, i);

		seg->headroom = 0; /* two readers now: nothing around it may be written */
		seg->shared = true;
		push(to, (struct iso_seg){ iso_chunk_ref(seg->chunk), seg->ptr, seg->len, 0, true });
	}
	return ISO_OK;
}

size_t iso_buf_peek(const struct iso_buf *buf, void *ret_bytes, size_t len)
{
	struct iso_buf *b = (struct iso_buf *)(uintptr_t)buf; /* only read */
	uint8_t *to = ret_bytes;
	size_t done = 0;

	for (uint32_t i = 0; i < buf->count && done < len; i++) {
		const struct iso_seg *seg = iso_buf_at(b, i);
		size_t take = len - done < seg->len ? len - done : seg->len;

		memcpy(to + done, seg->ptr, take);
		done += take;
	}
	return done;
}
