/*
 * Where something stands in a JSON text: jansson keeps no positions, so the text is walked again for a
 * report. The text is one that jansson has accepted. Only the error path comes here.
 */
#ifndef ISO_CONFIG_PLACE_PRIV_H
#define ISO_CONFIG_PLACE_PRIV_H

#include <stdint.h>

#include "pointer_priv.h"

struct iso_place {
	uint32_t line, column; /* from 1; columns in characters, as jansson counts them */
};

enum iso_place_of { ISO_PLACE_VALUE, ISO_PLACE_KEY };

struct iso_place iso_place_at(struct iso_slice text, size_t offset);
/*
 * The place of the value that a pointer names, or of the key before it. True when it was found; else the
 * place of the nearest ancestor's value.
 */
bool iso_place_find(struct iso_slice text, const char *pointer, enum iso_place_of of,
		    struct iso_place *ret_place);

/* Calls `found` for each key that its object has had already, in the order of the text; at names it. */
void iso_place_duplicates(struct iso_slice text,
			  void (*found)(void *ctx, const struct iso_pointer *at, struct iso_place place),
			  void *ctx);

#endif
