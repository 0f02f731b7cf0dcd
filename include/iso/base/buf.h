/*
 * Body bytes: fixed chunks from a per-loop pool, segments that point into them, and a queue of segments.
 *
 * One loop thread owns a pool, its chunks and every buf over them; counts are plain. A chunk is filled from
 * the front (`used`) and handed back when the last segment lets go, so that a byte which was decrypted into a
 * chunk is read from there when it is encrypted again and is copied nowhere between.
 */
#ifndef ISO_BASE_BUF_H
#define ISO_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ISO_CHUNK_BYTES = 16384, /* one full TLS record's plaintext */
	ISO_CHUNK_HEADROOM = 64, /* room in front for a frame or chunk header */
	ISO_BUF_INLINE = 4,
};

struct iso_chunk_pool;

struct iso_chunk {
	struct iso_chunk *next; /* while free or in a queue of its owner */
	struct iso_chunk_pool *pool;
	uint32_t refs;
	uint32_t used; /* bytes of `bytes` given out, from the front */
	uint8_t headroom[ISO_CHUNK_HEADROOM];
	uint8_t bytes[ISO_CHUNK_BYTES];
};

struct iso_chunk_pool {
	struct iso_chunk *free;
	struct iso_chunk *open; /* small copies of all buffers of this loop go here */
	size_t free_count, free_max;
	size_t live, live_max; /* chunks handed out; acquire fails beyond live_max */
};

/* live_max: most chunks out at once; free_max: most kept for reuse. */
void iso_chunk_pool_init(struct iso_chunk_pool *pool, size_t live_max, size_t free_max);
/* Every chunk must have come back. */
void iso_chunk_pool_done(struct iso_chunk_pool *pool);
/* A chunk with one reference, used 0; NULL when the pool's limit or memory is exhausted. */
struct iso_chunk *iso_chunk_acquire(struct iso_chunk_pool *pool);
/* Half of what may be out is: whoever can should ask its peer for less. */
static inline bool iso_chunk_pool_pressed(const struct iso_chunk_pool *pool)
{
	return pool->live >= pool->live_max / 2;
}

/* Seven eighths are: what holds much must let go. */
static inline bool iso_chunk_pool_short(const struct iso_chunk_pool *pool)
{
	return pool->live >= pool->live_max / 8 * 7;
}

void iso_chunk_unref_slow(struct iso_chunk *chunk);

static inline struct iso_chunk *iso_chunk_ref(struct iso_chunk *chunk)
{
	chunk->refs++;
	return chunk;
}

/* NULL is fine. */
static inline void iso_chunk_unref(struct iso_chunk *chunk)
{
	if (chunk != NULL && --chunk->refs == 0)
		iso_chunk_unref_slow(chunk);
}

struct iso_seg {
	struct iso_chunk *chunk; /* one reference */
	uint8_t *ptr;
	uint32_t len;
	/*
	 * Bytes directly before ptr that nobody reads any more (at most ISO_CHUNK_HEADROOM are told), so that
	 * a frame header may be written there and header and payload leave as one range.
	 */
	uint16_t headroom;
	bool shared; /* another queue reads these bytes too: headroom stays 0 */
};

/* A queue of segments. Zero-initialised is empty and valid. */
struct iso_buf {
	struct iso_seg *heap; /* NULL while `local` suffices */
	uint32_t first, count, cap;
	size_t bytes;
	struct iso_seg local[ISO_BUF_INLINE];
};

static inline void iso_buf_init(struct iso_buf *buf)
{
	buf->heap = NULL;
	buf->first = buf->count = buf->cap = 0;
	buf->bytes = 0;
}

void iso_buf_done(struct iso_buf *buf); /* drops every segment; NULL is fine */
/* Takes a new reference on the chunk; joins with the last segment when contiguous. ISO_OK or ISO_ENOMEM. */
int iso_buf_append_seg(struct iso_buf *buf, struct iso_chunk *chunk, uint8_t *ptr, uint32_t len,
		       uint32_t headroom) __attribute__((warn_unused_result));
/* Copies; for small pieces that are not worth a chunk of their own. ISO_OK or ISO_ENOMEM (nothing appended).
 */
int iso_buf_append_copy(struct iso_buf *buf, struct iso_chunk_pool *pool, const void *ptr, size_t len)
	__attribute__((warn_unused_result));
/* The first segment; NULL when empty. Borrowed until the next call on buf. */
struct iso_seg *iso_buf_front(struct iso_buf *buf);
/* Segment `index` from the front; index < count. */
struct iso_seg *iso_buf_at(struct iso_buf *buf, uint32_t index);
/* Drops `len` bytes from the front; len <= bytes. What is left of a segment gains headroom. */
void iso_buf_consume(struct iso_buf *buf, size_t len);
/* Moves all segments of `from` to the end of `to`. On ISO_ENOMEM both are unchanged. */
int iso_buf_move(struct iso_buf *to, struct iso_buf *from) __attribute__((warn_unused_result));
/* Appends references to all of `from`, which stays; shared segments have no headroom on either side after. */
int iso_buf_share(struct iso_buf *to, struct iso_buf *from) __attribute__((warn_unused_result));
/* Copies the first min(len, bytes) bytes out without consuming; returns how many. */
size_t iso_buf_peek(const struct iso_buf *buf, void *ret_bytes, size_t len);

#endif
