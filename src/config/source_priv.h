/*
 * The files that a configuration is made of, and which value of the whole comes from which. One thread, while
 * it is loaded; all memory is the snapshot's arena but the texts.
 */
#ifndef ISO_CONFIG_SOURCE_H
#define ISO_CONFIG_SOURCE_H

#include <stdint.h>

#include "place_priv.h"

enum { ISO_SOURCES_MAX = 1000, ISO_SOURCE_DEPTH_MAX = 8, ISO_SOURCE_BYTES_MAX = 64 << 20 };

struct iso_arena;

struct iso_source {
	struct iso_source *next;         /* in the order of reading; the main file is the first */
	const struct iso_source *parent; /* that includes it; NULL: the main file */
	const char *name;                /* as it is opened and shown */
	char *bytes;                     /* its own text, or NULL: the caller's */
	struct iso_slice text, dir;      /* dir: with its slash, "" when it has none */
	uint64_t device, inode, seen;    /* inode 0: no file */
	size_t item;                     /* of the parent's `include`, that named it */
	unsigned int depth;              /* 0: the main file */
};

/* What a file brought: a member of the whole with all that is in it, or items of an array. */
struct iso_origin {
	const struct iso_origin *next;
	const struct iso_source *source;
	const char *pointer;
	size_t first, count; /* of the array at `pointer`, which was the file's from item 0; count 0: all of
				it */
};

struct iso_sources {
	struct iso_source *first, *last;
	const struct iso_origin *origins;
	size_t count, bytes;
};

/* Puts it at the end; false: there are too many, or too much. */
bool iso_sources_add(struct iso_sources *sources, struct iso_source *source);
/* The one that is this file; NULL: none. */
const struct iso_source *iso_sources_find(const struct iso_sources *sources, uint64_t device, uint64_t inode);
/* The file that a place of the whole is in, and its pointer there. */
const struct iso_source *iso_sources_of(const struct iso_sources *sources, const char *pointer,
					char ret_pointer[ISO_POINTER_MAX]);
/* Overwrites and frees the texts. */
void iso_sources_done(struct iso_sources *sources);

#endif
