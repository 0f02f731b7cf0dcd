/*
 * See page_pool.h. Two classes, each a region of address space cut into slots of one size. A thread keeps the
 * slots that it freed, the last few with their memory (they are taken again in a moment), the others without.
 * AddressSanitizer is told what of a slot is in use.
 */
#include "iso/base/page_pool.h"

#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	LARGE_MIN = 16 * 1024,
	LARGE_MAX = 24 * 1024, /* OpenSSL's handshake buffer is 21.3 KiB */
	SLOTS = 60 * 1000,     /* 1.4 GB of addresses, not of memory */
	WARM = 32,             /* freed slots of a thread that keep their memory */
};

enum class_id { PAGE, LARGE, CLASSES };

static const size_t slot_bytes[CLASSES] = { ISO_PAGE_BYTES, LARGE_MAX };

struct region {
	/* NULL: not made yet, or no address space; malloc serves. Atomic: a thread that frees what malloc
	 * gave looks at it while another one makes it. */
	_Atomic(uint8_t *) start;
	uint32_t *next; /* per slot: the one below it on its list; outside, or a link would hold a page */
	_Atomic uint32_t used; /* slots ever taken */
};

/* Freed slots by index + 1; 0: none. */
struct freed {
	uint32_t warm, cold;
	uint32_t warm_count;
};

static struct region regions[CLASSES];
static _Thread_local struct freed freed[CLASSES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *reserve(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			0);

	if (at == MAP_FAILED)
		return NULL;
	/* A huge page would make all of a hundred buffers resident at the first touch of one. */
	madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

static uint8_t *start_of(enum class_id id)
{
	return atomic_load_explicit(&regions[id].start, memory_order_acquire);
}

static void make_regions(void)
{
	for (int i = 0; i < CLASSES; i++) {
		uint32_t *next = reserve(SLOTS * sizeof(*next));

		if (next == NULL)
			continue;
		regions[i].next = next;
		atomic_store_explicit(&regions[i].start, reserve(SLOTS * slot_bytes[i]),
				      memory_order_release);
	}
}

/* The class of a pointer of ours; CLASSES: malloc's. */
static enum class_id class_of(const void *ptr)
{
	for (int i = 0; i < CLASSES; i++) {
		const uint8_t *at = ptr, *start = start_of((enum class_id)i);

		if (start != NULL && at >= start && at < start + SLOTS * slot_bytes[i])
			return (enum class_id)i;
	}
	return CLASSES;
}

static uint32_t pop(const struct region *r, uint32_t *list)
{
	uint32_t slot = *list;

	if (slot != 0)
		*list = r->next[slot - 1];
	return slot;
}

static void *take(enum class_id id)
{
	struct region *r = &regions[id];
	struct freed *f = &freed[id];
	uint8_t *start = start_of(id);
	uint32_t slot, fresh;

	if (start == NULL)
		return NULL;
	slot = pop(r, &f->warm);
	if (slot != 0) {
		f->warm_count--;
	} else {
		slot = pop(r, &f->cold);
	}
	if (slot != 0)
		return start + (slot - 1) * slot_bytes[id];
	fresh = atomic_load_explicit(&r->used, memory_order_relaxed);
	do {
		if (fresh >= SLOTS)
			return NULL;
	} while (!atomic_compare_exchange_weak(&r->used, &fresh, fresh + 1));
	return start + fresh * slot_bytes[id];
}

static void put(enum class_id id, void *ptr)
{
	struct region *r = &regions[id];
	struct freed *f = &freed[id];
	uint32_t slot = (uint32_t)((size_t)((uint8_t *)ptr - start_of(id)) / slot_bytes[id]) + 1;
	bool warm = id == LARGE && f->warm_count < WARM; /* a page must come back zeroed: always cold */
	uint32_t *list = warm ? &f->warm : &f->cold;

	if (warm)
		f->warm_count++;
	else
		madvise(ptr, slot_bytes[id], MADV_DONTNEED);
	ASAN_POISON_MEMORY_REGION(ptr, slot_bytes[id]);
	r->next[slot - 1] = *list;
	*list = slot;
}

void *iso_page_alloc(size_t size)
{
	bool page = size == ISO_PAGE_BYTES;
	void *ptr = NULL;

	if (page || (size >= LARGE_MIN && size <= LARGE_MAX)) {
		pthread_once(&once, make_regions);
		ptr = take(page ? PAGE : LARGE);
	}
	if (ptr == NULL)
		return page ? calloc(1, size) : malloc(size);
	ASAN_UNPOISON_MEMORY_REGION(ptr, size);
	return ptr;
}

void iso_page_free(void *ptr)
{
	enum class_id id = class_of(ptr);

	if (id == CLASSES)
		free(ptr);
	else
		put(id, ptr);
}

void *iso_page_realloc(void *ptr, size_t size)
{
	enum class_id id = class_of(ptr);
	void *to;

	if (ptr == NULL)
		return iso_page_alloc(size);
	if (size == 0) {
		iso_page_free(ptr);
		return NULL;
	}
	if (id == CLASSES)
		return realloc(ptr, size);
	ASAN_UNPOISON_MEMORY_REGION(ptr, slot_bytes[id]);
	if (size <= slot_bytes[id])
		return ptr;
	to = iso_page_alloc(size);
	if (to == NULL)
		return NULL;
	memcpy(to, ptr, slot_bytes[id]);
	iso_page_free(ptr);
	return to;
}

void iso_page_discard(void *ptr)
{
	enum class_id id = class_of(ptr);

	if (id != CLASSES)
		madvise(ptr, slot_bytes[id], MADV_DONTNEED);
}

void iso_page_discard_zero(void *page)
{
	static const uint8_t zeros[ISO_PAGE_BYTES];

	if (class_of(page) == PAGE && memcmp(page, zeros, sizeof(zeros)) == 0)
		madvise(page, ISO_PAGE_BYTES, MADV_DONTNEED);
}
