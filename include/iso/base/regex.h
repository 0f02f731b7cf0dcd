/*
 * Regular expressions of the configuration (PCRE2), held against what peers send: a match takes a bounded
 * number of steps, whatever the two are. Immutable once compiled: any thread.
 */
#ifndef ISO_BASE_REGEX_H
#define ISO_BASE_REGEX_H

#include <stdbool.h>

#include "iso/base/arena.h"
#include "iso/base/err.h"

enum { ISO_REGEX_STEPS = 100000, ISO_REGEX_WHY_MAX = 128 };

struct iso_regex;

/*
 * Compiles into the arena, which it must not outlive. ISO_OK; ISO_EBAD: why_ret says what is wrong and where;
 * ISO_ENOMEM.
 */
ISO_MUST_USE int iso_regex_compile(struct iso_arena *arena, struct iso_slice text,
				   const struct iso_regex **ret_regex, char ret_why[ISO_REGEX_WHY_MAX]);
/* Whether it matches the whole text. False too when it takes more than ISO_REGEX_STEPS, or memory is short.
 */
bool iso_regex_matches(const struct iso_regex *regex, struct iso_slice text);

#endif
