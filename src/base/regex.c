/*
 * See regex.h. The code lives in the arena, by PCRE2's own memory hooks, so that nobody has to free it; a
 * match borrows its working memory from the heap, as only routes with an expression pay for it.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "iso/base/regex.h"

#include <pcre2.h>
#include <stdio.h>

struct iso_regex {
	pcre2_code *code;
	pcre2_match_context *limits;
};

static void *take(size_t size, void *arena)
{
	return iso_arena_alloc(arena, size);
}

/* The arena goes as a whole. */
static void leave(void *memory, void *arena)
{
	(void)memory;
	(void)arena;
}

int iso_regex_compile(struct iso_arena *arena, struct iso_slice text, const struct iso_regex **ret_regex,
		      char ret_why[ISO_REGEX_WHY_MAX])
{
	pcre2_general_context *memory = pcre2_general_context_create(take, leave, arena);
	pcre2_compile_context *context = memory != NULL ? pcre2_compile_context_create(memory) : NULL;
	struct iso_regex *regex = iso_arena_zalloc(arena, sizeof(*regex));
	PCRE2_SIZE at = 0;
	int err = 0;

	if (context == NULL || regex == NULL)
		return ISO_ENOMEM;
	regex->limits = pcre2_match_context_create(memory);
	if (regex->limits == NULL)
		return ISO_ENOMEM;
	(void)pcre2_set_match_limit(regex->limits, ISO_REGEX_STEPS);
	regex->code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
				    PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C, &err, &at,
				    context);
	if (regex->code != NULL) {
		*ret_regex = regex;
		return ISO_OK;
	}
	if (err == PCRE2_ERROR_HEAP_FAILED)
		return ISO_ENOMEM;
	if (pcre2_get_error_message(err, (PCRE2_UCHAR *)ret_why, ISO_REGEX_WHY_MAX - 32) < 0)
		(void)snprintf(ret_why, ISO_REGEX_WHY_MAX, "it cannot be compiled");
	(void)snprintf(ret_why + strlen(ret_why), 32, " at its character %zu", (size_t)at + 1);
	return ISO_EBAD;
}

bool iso_regex_matches(const struct iso_regex *regex, struct iso_slice text)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	int found;

	if (data == NULL)
		return false;
	found = pcre2_match(regex->code, (PCRE2_SPTR)text.ptr, text.len, 0, 0, data, regex->limits);
	pcre2_match_data_free(data);
	return found >= 0;
}
