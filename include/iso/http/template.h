/*
 * Texts with variables, "/v2/${id}": parsed once, filled in for each request. "$${" stands for "${". Pure;
 * immutable once parsed: any thread.
 */
#ifndef ISO_HTTP_TEMPLATE_H
#define ISO_HTTP_TEMPLATE_H

#include "iso/base/arena.h"
#include "iso/base/err.h"

struct iso_template_part {
	struct iso_slice text; /* as it stands, or the variable's name */
	bool variable;
};

struct iso_template {
	const struct iso_template_part *parts;
	uint32_t n;
};

/*
 * The text is borrowed for the template's life. ISO_OK; ISO_EBAD: a "${" that is no variable (lower-case
 * letters, digits and underscores, a letter first); ISO_ENOMEM.
 */
ISO_MUST_USE int iso_template_parse(struct iso_arena *arena, struct iso_slice text,
				    struct iso_template *ret_template);

/* What a variable stands for now; "" for nothing. */
typedef struct iso_slice iso_template_value_fn(const void *ctx, struct iso_slice name);

/* The text with its variables filled in, in the arena where it has any; ptr NULL: no memory. */
struct iso_slice iso_template_render(const struct iso_template *template, struct iso_arena *arena,
				     iso_template_value_fn *value, const void *ctx);

#endif
