/*
 * What the printed forms of the schema share.
 */
#ifndef ISO_CONFIG_SCHEMA_PRINT_H
#define ISO_CONFIG_SCHEMA_PRINT_H

#include "iso/config/schema.h"

enum { ISO_SCHEMA_ORDERS = 5 };

/* How routes are compared, the first first. */
extern const char *const iso_schema_route_order[ISO_SCHEMA_ORDERS];

/* "integer, 1 to 256", for people; `quote` stands around values. */
void iso_schema_put_type(FILE *out, const struct iso_schema_key *key, const char *quote);

#endif
