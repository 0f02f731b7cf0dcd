/*
 * A configuration for people's eyes. snapshot->description is what it was made from, in a normal form, ${}
 * not filled in and secrets masked.
 */
#ifndef ISO_CONFIG_DESCRIBE_H
#define ISO_CONFIG_DESCRIBE_H

#include <stdio.h>

#include "iso/config/snapshot.h"

/* "reload: POINTER: OLD -> NEW", a line each, at most fifty; secrets are not told apart. */
void iso_config_diff(const struct iso_snapshot *old, const struct iso_snapshot *new, FILE *out);

#endif
