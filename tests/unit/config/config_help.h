/*
 * Shared by the configuration's tests: loads a text and looks into the diagnostics.
 */
#ifndef ISO_TESTS_CONFIG_HELP_H
#define ISO_TESTS_CONFIG_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "iso/config/load.h"

struct loaded {
	struct iso_diag diag;
	struct iso_snapshot *snapshot; /* NULL: it did not load */
	int err;
};

/* For json_set_alloc_funcs: fails when so many have been made. */
static size_t allocations_left;

static inline void *failing_malloc(size_t size)
{
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return malloc(size);
}

static inline struct loaded load_named(const char *name, const char *text)
{
	struct loaded l = { .snapshot = NULL };

	assert_int_equal(iso_diag_init(&l.diag, name, 100), ISO_OK);
	l.err = iso_config_load_text(name, iso_slice_str(text), &l.diag, &l.snapshot);
	assert_true(l.err == ISO_OK ? l.snapshot != NULL && l.diag.errors == 0 : l.snapshot == NULL);
	assert_true(l.err != ISO_EBAD || l.diag.errors > 0);
	return l;
}

static inline struct loaded load(const char *text)
{
	return load_named("test.json", text);
}

static inline void done(struct loaded *l)
{
	iso_snapshot_unref(l->snapshot);
	iso_diag_done(&l->diag);
}

static inline const struct iso_diag_entry *entry_at(const struct loaded *l, const char *pointer)
{
	for (size_t i = 0; i < l->diag.count; i++) {
		if (strcmp(l->diag.entries[i].pointer, pointer) == 0)
			return &l->diag.entries[i];
	}
	return NULL;
}

static inline void show(struct loaded *l)
{
	iso_diag_print(&l->diag, stderr);
}

/* A good text must load; what it holds is then looked at. */
static inline struct loaded load_good(const char *text)
{
	struct loaded l = load(text);

	if (l.err != ISO_OK)
		show(&l);
	assert_int_equal(l.err, ISO_OK);
	return l;
}

/* Exactly one error, at that pointer, whose message and mend hold these words. */
static inline void expect_one(const char *text, const char *pointer, const char *message, const char *mend)
{
	struct loaded l = load(text);
	const struct iso_diag_entry *e = entry_at(&l, pointer);

	if (l.diag.errors != 1 || e == NULL || strstr(e->message, message) == NULL ||
	    strstr(e->mend, mend) == NULL) {
		fprintf(stderr, "for %s\nexpected one at \"%s\": %s; %s\n", text, pointer, message, mend);
		show(&l);
	}
	assert_int_equal(l.err, ISO_EBAD);
	assert_int_equal(l.diag.errors, 1);
	assert_non_null(e);
	assert_non_null(strstr(e->message, message));
	assert_non_null(strstr(e->mend, mend));
	assert_true(e->line > 0 && e->column > 0);
	done(&l);
}

/* A note and no error. */
static inline void expect_note(const char *text, const char *pointer, const char *message)
{
	struct loaded l = load_good(text);
	const struct iso_diag_entry *e = entry_at(&l, pointer);

	if (e == NULL || strstr(e->message, message) == NULL)
		show(&l);
	assert_non_null(e);
	assert_int_equal(e->level, ISO_DIAG_NOTE);
	assert_non_null(strstr(e->message, message));
	done(&l);
}

static inline void assert_slice(struct iso_slice s, const char *expected)
{
	assert_non_null(s.ptr);
	assert_string_equal(s.ptr, expected); /* texts of a snapshot are NUL-terminated */
	assert_int_equal(s.len, strlen(expected));
}

/* Building blocks: a listener, two regions in cleartext, and files around them with more keys in one place.
 */
#define LISTEN "\"listeners\": [{ \"address\": \"127.0.0.1:0\" }]"
#define PAIR                                                                                                 \
	"\"regions\": { \"a\": { \"url\": \"http://a.test\" }, \"b\": { \"url\": \"http://b.test:81/x\" } }"
#define WITH(more) "{ " LISTEN ", \"services\": { \"s\": { " PAIR " } }, " more " }"
#define SERVICE(more) "{ " LISTEN ", \"services\": { \"s\": { " PAIR ", " more " } } }"
#define REGION(more)                                                                                         \
	"{ " LISTEN ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"http://a.test\", " more   \
	" }, "                                                                                               \
	"\"b\": { \"url\": \"http://b.test\" } } } } }"
#define URL(url)                                                                                             \
	"{ " LISTEN ", \"services\": { \"s\": { \"regions\": { \"a\": { \"url\": \"" url "\" }, "            \
	"\"b\": { \"url\": \"http://b.test\" } } } } }"

#endif
