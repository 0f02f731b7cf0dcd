/*
 * ${NAME} in a string takes an environment variable; $${ is a literal ${. Templates have variables of their
 * own, which begin with a lower-case letter: those, and $${, stay for http/template.
 */
#ifndef ISO_CONFIG_EXPAND_PRIV_H
#define ISO_CONFIG_EXPAND_PRIV_H

#include "iso/base/err.h"
#include "iso/base/slice.h"

/*
 * *ret_text: malloc'ed (the caller frees it, by iso_secret_free), or NULL when there is nothing to expand;
 * what comes from the environment is not expanded again. ISO_OK; ISO_ENOTFOUND: the variable in *ret_name is
 * not set; ISO_EBAD: what begins in *ret_name is no ${NAME}; ISO_ENOMEM.
 */
ISO_MUST_USE int iso_expand(const char *text, bool template, char **ret_text, struct iso_slice *ret_name);

#endif
