/*
 * Lets each allocation fail in turn. For the tests named test_no_memory.c, which are linked so that malloc,
 * calloc, realloc, aligned_alloc, strdup and strndup of the project's own objects come here (CMake:
 * -Wl,--wrap). A library's allocations come here when the test hands it sweep_malloc and its like.
 *
 * A case prepares, calls sweep_arm, does its work, calls sweep_disarm and looks at the outcome. It is run
 * until nothing fails any more, twice: one allocation alone fails, or all from one on. AddressSanitizer sees
 * what is lost on the way. Only the thread that armed it is concerned.
 */
#ifndef ISO_TEST_SWEEP_H
#define ISO_TEST_SWEEP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/err.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

enum { SWEEP_MOST = 20000 };

static struct {
	size_t fail_at; /* from 1 */
	bool all_from;
} sweep_plan;

static _Thread_local struct {
	bool armed;
	size_t seen, failed;
} sweep_now;

static inline bool sweep_fails(void)
{
	bool fails;

	if (!sweep_now.armed)
		return false;
	sweep_now.seen++;
	fails = sweep_plan.all_from ? sweep_now.seen >= sweep_plan.fail_at
				    : sweep_now.seen == sweep_plan.fail_at;
	sweep_now.failed += fails;
	return fails;
}

static inline void sweep_arm(void)
{
	sweep_now.armed = true;
}

static inline void sweep_disarm(void)
{
	sweep_now.armed = false;
}

void *__wrap_malloc(size_t size)
{
	return sweep_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return sweep_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	return sweep_fails() ? NULL : __real_realloc(ptr, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return sweep_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *s)
{
	return sweep_fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return sweep_fails() ? NULL : __real_strndup(s, n);
}

/* Whether an allocation has failed in the case that runs: then, and only then, it may miss its aim. */
static inline bool sweep_failed(void)
{
	return sweep_now.failed > 0;
}

/*
 * The outcome of a case that tells of every failure: an error when an allocation failed, and none otherwise.
 */
static inline void sweep_tells(int err)
{
	assert_int_equal(err, sweep_failed() ? ISO_ENOMEM : ISO_OK);
}

/* At least `least` allocations must have been met: a case that allocates nothing proves nothing. */
static inline void sweep(void (*once)(void), size_t least)
{
	for (int all = 0; all < 2; all++) {
		size_t n = 0;

		do {
			sweep_plan.fail_at = ++n;
			sweep_plan.all_from = all == 1;
			sweep_now.seen = sweep_now.failed = 0;
			once();
			assert_false(sweep_now.armed);
			assert_true(n < SWEEP_MOST);
		} while (sweep_failed());
		if (n <= least)
			fail_msg("only %zu allocations", n - 1);
	}
}

#endif
