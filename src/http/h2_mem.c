/*
 * See h2_mem.h. Thread: the session's loop.
 */
#include "iso/http/h2_mem.h"

#include <stdint.h>
#include <string.h>

#include "iso/base/page_pool.h"

enum { FRAME_BUFFER_MIN = 16 * 1024 };

static void *mem_malloc(size_t size, void *user)
{
	struct iso_h2_mem *m = user;
	void *ptr = iso_page_alloc(size);

	if (!m->made && m->frame_buffer == NULL && size >= FRAME_BUFFER_MIN)
		m->frame_buffer = ptr;
	return ptr;
}

static void mem_free(void *ptr, void *user)
{
	struct iso_h2_mem *m = user;

	if (ptr != NULL && ptr == m->frame_buffer)
		m->frame_buffer = NULL;
	if (ptr != NULL && ptr == m->table)
		m->table = NULL;
	iso_page_free(ptr);
}

static void *mem_calloc(size_t count, size_t size, void *user)
{
	struct iso_h2_mem *m = user;
	void *ptr;

	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	ptr = iso_page_alloc(count * size);
	if (ptr == NULL)
		return NULL;
	if (count * size != ISO_PAGE_BYTES)
		memset(ptr, 0, count * size);
	else if (!m->made && m->table == NULL)
		m->table = ptr;
	return ptr;
}

static void *mem_realloc(void *ptr, size_t size, void *user)
{
	struct iso_h2_mem *m = user;

	if (ptr == NULL)
		return mem_malloc(size, user); /* this is how nghttp2 asks for its buffers */
	if (ptr == m->frame_buffer)
		m->frame_buffer = NULL;
	return iso_page_realloc(ptr, size);
}

void iso_h2_mem_init(struct iso_h2_mem *m)
{
	*m = (struct iso_h2_mem){ .mem = { m, mem_malloc, mem_free, mem_calloc, mem_realloc } };
}

void iso_h2_mem_made(struct iso_h2_mem *m)
{
	m->made = true;
}

void iso_h2_mem_idle(struct iso_h2_mem *m)
{
	if (m->frame_buffer != NULL)
		iso_page_discard(m->frame_buffer);
	if (m->table != NULL)
		iso_page_discard_zero(m->table);
}
