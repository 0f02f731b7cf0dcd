/*
 * ${NAME} in a string takes an environment variable, ${file:PATH} the content of a file; $${ is a literal ${.
 * Templates have variables of their own, which begin with a lower-case letter: those, and $${, stay for
 * http/template.
 */
#ifndef ISO_CONFIG_EXPAND_PRIV_H
#define ISO_CONFIG_EXPAND_PRIV_H

#include "iso/base/err.h"
#include "iso/base/slice.h"

/* Reads files for ${file:PATH}. */
struct iso_expand_files {
	/* *ret_text: malloc'ed and NUL-terminated, freed by iso_secret_free. What it returns else than ISO_OK
	 * is what iso_expand returns. */
	int (*read)(void *ctx, struct iso_slice path, char **ret_text);
	void *ctx;
};

/*
 * *ret_text: malloc'ed (the caller frees it, by iso_secret_free), or NULL when there is nothing to expand;
 * what is filled in is not expanded again, in a template neither. ISO_OK; ISO_ENOTFOUND: the variable in
 * *ret_name is not set; ISO_EBAD: what begins in *ret_name is neither ${NAME} nor ${file:PATH};
 * ISO_EUNSUPPORTED: in a template a value that ends in $ stands before what begins in *ret_name; ISO_ENOMEM;
 * or what files->read returns.
 */
ISO_MUST_USE int iso_expand(const char *text, bool template, const struct iso_expand_files *files,
			    char **ret_text, struct iso_slice *ret_name);

#endif
