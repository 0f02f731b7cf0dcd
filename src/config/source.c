/*
 * See source_priv.h.
 */
#include "source_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "iso/base/err.h"
#include "iso/base/secret.h"

bool iso_sources_add(struct iso_sources *sources, struct iso_source *source)
{
	if (sources->count == ISO_SOURCES_MAX || sources->bytes + source->text.len > ISO_SOURCE_BYTES_MAX)
		return false;
	sources->count++;
	sources->bytes += source->text.len;
	if (sources->last != NULL)
		sources->last->next = source;
	else
		sources->first = source;
	sources->last = source;
	return true;
}

const struct iso_source *iso_sources_find(const struct iso_sources *sources, uint64_t device, uint64_t inode)
{
	const struct iso_source *source = sources->first;

	while (source != NULL && (source->inode == 0 || source->device != device || source->inode != inode))
		source = source->next;
	return source;
}

/* How much of the pointer the origin says something about, in bytes; 0: nothing. *ret_item: for items of an
 * array, which of the file's it is. */
static size_t covers(const struct iso_origin *origin, const char *pointer, size_t *ret_item)
{
	size_t n = strlen(origin->pointer), digits;
	uint64_t item;

	if (strncmp(origin->pointer, pointer, n) != 0 || (pointer[n] != '\0' && pointer[n] != '/'))
		return 0;
	if (origin->count == 0)
		return n;
	if (pointer[n] == '\0')
		return 0;
	digits = strcspn(pointer + n + 1, "/");
	if (iso_slice_u64(iso_slice(pointer + n + 1, digits), &item) != ISO_OK || item < origin->first ||
	    item - origin->first >= origin->count)
		return 0;
	*ret_item = (size_t)item - origin->first;
	return n + 1 + digits;
}

const struct iso_source *iso_sources_of(const struct iso_sources *sources, const char *pointer,
					char ret_pointer[ISO_POINTER_MAX])
{
	const struct iso_origin *best = NULL;
	size_t most = 0, item = 0, best_item = 0;

	for (const struct iso_origin *origin = sources->origins; origin != NULL; origin = origin->next) {
		size_t n = covers(origin, pointer, &item);

		if (n <= most)
			continue;
		most = n;
		best = origin;
		best_item = item;
	}
	if (best != NULL && best->count > 0)
		(void)snprintf(ret_pointer, ISO_POINTER_MAX, "%s/%zu%s", best->pointer, best_item,
			       pointer + most);
	else
		(void)snprintf(ret_pointer, ISO_POINTER_MAX, "%s", pointer);
	return best != NULL ? best->source : sources->first;
}

void iso_sources_done(struct iso_sources *sources)
{
	for (struct iso_source *source = sources->first; source != NULL; source = source->next)
		iso_secret_free(source->bytes);
	*sources = (struct iso_sources){ .first = NULL };
}
