/*
 * The schema: one table of every key of the configuration file. Defaults, validation, the JSON Schema, the
 * reference manual and `--print-defaults` come from it. Static and immutable: any thread.
 */
#ifndef ISO_CONFIG_SCHEMA_H
#define ISO_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "iso/base/slice.h"

enum iso_schema_type {
	ISO_SCHEMA_OBJECT, /* fixed names */
	ISO_SCHEMA_MAP,    /* names of the user's; the row of a member ends in ".*" */
	ISO_SCHEMA_ARRAY,  /* the row of an item ends in "[]" */
	ISO_SCHEMA_STRING,
	ISO_SCHEMA_TEMPLATE, /* a string with variables (http/template.h) */
	ISO_SCHEMA_DURATION, /* a string; min and max in microseconds */
	ISO_SCHEMA_SIZE,     /* a string; min and max in bytes */
	ISO_SCHEMA_INTEGER,
	ISO_SCHEMA_NUMBER,
	ISO_SCHEMA_BOOLEAN,
	ISO_SCHEMA_ENUM, /* a string, one of `values` */
};

enum iso_schema_need {
	ISO_SCHEMA_OPTIONAL,
	ISO_SCHEMA_REQUIRED,
	ISO_SCHEMA_CHOICE, /* one of the object's keys that have this, and no more, must be there */
};

struct iso_schema_key {
	const char *path; /* "services.*.health.interval"; the root is "" */
	enum iso_schema_type type;
	enum iso_schema_need need;
	double min, max;         /* of the value, the bytes, members or items; both 0: no limits */
	const char *fallback;    /* the default, as JSON; NULL: none */
	const char *values;      /* ENUM and INTEGER: "a|b"; STRING and MAP: a pattern for the JSON Schema */
	const char *unavailable; /* ENUM: values that this version does not have, "a|b", or NULL */
	const char *doc;         /* one sentence or two */
};

size_t iso_schema_count(void);
const struct iso_schema_key *iso_schema_row(size_t index);
/* The row with that path; NULL when there is none. */
const struct iso_schema_key *iso_schema_find(const char *path);
/* The row of a member of `parent` (of an item when the parent is an array); NULL: no such key. */
const struct iso_schema_key *iso_schema_child(const struct iso_schema_key *parent, struct iso_slice name);
bool iso_schema_is_child(const struct iso_schema_key *parent, const struct iso_schema_key *key);
/* The last part of the path: "interval", "*", "[]". */
const char *iso_schema_name(const struct iso_schema_key *key);
/* The key of `parent` that `name` was probably meant to be; NULL when nothing is near. */
const char *iso_schema_suggest(const struct iso_schema_key *parent, struct iso_slice name);
/* True when `value` is one of the alternatives of "a|b|c". */
bool iso_schema_one_of(const char *alternatives, struct iso_slice value);
/* Are two words a small typing error apart? For suggestions among names of the user's. */
bool iso_schema_near(struct iso_slice a, struct iso_slice b);

/* The JSON Schema (draft 2020-12), the reference manual as Markdown and as a page for man(1), and all
 * defaults as a JSON text. */
void iso_schema_print_json(FILE *out);
void iso_schema_print_markdown(FILE *out);
void iso_schema_print_man(FILE *out);
void iso_schema_print_defaults(FILE *out);

#endif
