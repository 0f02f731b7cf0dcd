/*
 * See secret.h.
 */
#include "iso/base/secret.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void iso_secret_wipe(void *memory, size_t bytes)
{
	explicit_bzero(memory, bytes);
}

void iso_secret_free(void *memory)
{
	if (memory == NULL)
		return;
	explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

void *iso_secret_grow(void *memory, size_t old_bytes, size_t bytes)
{
	void *grown = malloc(bytes);

	if (grown == NULL)
		return NULL;
	if (old_bytes > 0)
		memcpy(grown, memory, old_bytes);
	iso_secret_free(memory);
	return grown;
}
