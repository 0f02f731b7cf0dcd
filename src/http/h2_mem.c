/*
 * See h2_mem.h. Thread: the loop's.
 */
#include "iso/http/h2_mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	BUFFER_MIN = 16 * 1024, /* requests of this size … */
	SLOT = 20 * 1024,       /* … up to this are frame buffers: five pages */
	PAGE = 4096,
	SLOTS = 50 * 1000, /* 1 GB of addresses, not of memory */
};

static bool is_slot(const struct iso_h2_mem *m, const void *ptr)
{
	const uint8_t *at = ptr;

	return m->region != NULL && at >= m->region && at < m->region + m->slots * SLOT;
}

static void *take_slot(struct iso_h2_mem *m)
{
	void *slot = m->free;

	if (slot != NULL) {
		memcpy(&m->free, slot, sizeof(m->free));
		return slot;
	}
	return m->used < m->slots ? m->region + SLOT * m->used++ : NULL;
}

static void *mem_malloc(size_t size, void *user)
{
	struct iso_h2_mem *m = user;
	void *slot = size >= BUFFER_MIN && size <= SLOT ? take_slot(m) : NULL;

	return slot != NULL ? slot : malloc(size);
}

static void mem_free(void *ptr, void *user)
{
	struct iso_h2_mem *m = user;

	if (ptr == NULL || !is_slot(m, ptr)) {
		free(ptr);
		return;
	}
	/* The link lives in the first page; the others are given back. */
	madvise((uint8_t *)ptr + PAGE, SLOT - PAGE, MADV_DONTNEED);
	memcpy(ptr, &m->free, sizeof(m->free));
	m->free = ptr;
}

static void *mem_calloc(size_t count, size_t size, void *user)
{
	(void)user;
	return calloc(count, size); /* frame buffers are not asked for this way */
}

static void *mem_realloc(void *ptr, size_t size, void *user)
{
	struct iso_h2_mem *m = user;
	void *to;

	if (ptr == NULL)
		return mem_malloc(size, user); /* this is how nghttp2 asks for its buffers */
	if (!is_slot(m, ptr))
		return realloc(ptr, size);
	if (size <= SLOT)
		return ptr;
	to = malloc(size);
	if (to == NULL)
		return NULL;
	memcpy(to, ptr, SLOT);
	mem_free(ptr, user);
	return to;
}

void iso_h2_mem_init(struct iso_h2_mem *m)
{
	void *region = mmap(NULL, (size_t)SLOTS * SLOT, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*m = (struct iso_h2_mem){ .mem = { m, mem_malloc, mem_free, mem_calloc, mem_realloc } };
	if (region != MAP_FAILED) {
		m->region = region;
		m->slots = SLOTS;
		/* A huge page would make all of a hundred buffers resident at the first touch of one. */
		madvise(region, (size_t)SLOTS * SLOT, MADV_NOHUGEPAGE);
	}
}

void iso_h2_mem_done(struct iso_h2_mem *m)
{
	if (m->region != NULL)
		munmap(m->region, m->slots * SLOT);
	m->region = NULL;
}
