/*
 * File names that a pattern stands for: `*`, `?` and `[...]` in the last part of a path.
 */
#ifndef ISO_CONFIG_PATTERN_H
#define ISO_CONFIG_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "iso/base/err.h"

struct iso_pattern_list {
	char **names; /* whole paths, in the order of their bytes */
	size_t n;
};

bool iso_pattern_is(const char *path);     /* has it such a character? */
bool iso_pattern_dir_is(const char *path); /* in another part than the last? */
/* At most `max`, hidden files left out. ISO_OK, also where there is none and no such directory; ISO_ELIMIT;
 * ISO_ESYS with errno; ISO_ENOMEM. */
ISO_MUST_USE int iso_pattern_find(const char *path, size_t max, struct iso_pattern_list *ret_list);
void iso_pattern_list_done(struct iso_pattern_list *list);

#endif
