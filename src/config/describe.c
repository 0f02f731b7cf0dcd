/*
 * A configuration for people's eyes: the text that it was made from in a normal form, ${} not filled in, the
 * values that are secrets masked; and what changed between two. Thread: the builder makes the text, anybody
 * reads.
 */
#include "iso/config/describe.h"

#include <jansson.h>
#include <stdlib.h>

#include "iso/base/secret.h"
#include "load_priv.h"

enum { LINES_MAX = 50, POINTER_MAX = 512, SHOWN_MAX = 80 };

static const char masked[] = "***";

/* Rows whose values are secrets by their nature; a variable names one and is none. */
static bool is_secret(const struct iso_schema_key *key)
{
	static const char *const rows[] = { "services.*.regions.*.headers.*", "services.*.health.headers.*",
					    "services.*.marker.secret", "routes[].request_headers.set.*",
					    "routes[].request_headers.add.*" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(key->path, rows[i]) == 0)
			return true;
	}
	return false;
}

/* Without memory for a mask there is no description: a secret must not stand in it. */
static void mask(struct iso_load *load, const struct iso_schema_key *key, json_t *value)
{
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach(value, i, member) if (iso_schema_child(key, ISO_SLICE("")) != NULL)
			mask(load, iso_schema_child(key, ISO_SLICE("")), member);
		return;
	}
	json_object_foreach(value, name, member)
	{
		const struct iso_schema_key *child = iso_schema_child(key, iso_slice_str(name));

		if (child == NULL)
			continue;
		if (is_secret(child))
			load->nomem |= json_object_set_new(value, name, json_string(masked)) != 0;
		else
			mask(load, child, member);
	}
}

void iso_load_describe(struct iso_load *load, const json_t *root)
{
	json_t *copy = json_deep_copy(root);
	char *text;

	if (copy == NULL) {
		load->nomem = true;
		return;
	}
	mask(load, iso_schema_row(0), copy);
	text = json_dumps(copy, JSON_INDENT(2));
	json_decref(copy);
	load->snapshot->description = iso_load_dup(load, iso_slice_str(text != NULL ? text : ""));
	load->nomem |= text == NULL;
	iso_secret_free(text);
}

struct diff {
	FILE *out;
	unsigned int lines;
};

static void show(struct diff *diff, const char *pointer, const json_t *old, const json_t *new)
{
	char *from = old != NULL ? json_dumps(old, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	char *to = new != NULL ? json_dumps(new, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

	if (++diff->lines <= LINES_MAX)
		fprintf(diff->out, "reload: %s: %.*s -> %.*s\n", pointer, SHOWN_MAX,
			from != NULL ? from : "nothing", SHOWN_MAX, to != NULL ? to : "nothing");
	iso_secret_free(from);
	iso_secret_free(to);
}

static void compare(struct diff *diff, const char *pointer, const json_t *old, const json_t *new);

static void compare_objects(struct diff *diff, const char *pointer, json_t *old, json_t *new)
{
	char child[POINTER_MAX];
	const char *name;
	json_t *member;

	json_object_foreach(old, name, member)
	{
		(void)snprintf(child, sizeof(child), "%s/%s", pointer, name);
		compare(diff, child, member, json_object_get(new, name));
	}
	json_object_foreach(new, name, member)
	{
		(void)snprintf(child, sizeof(child), "%s/%s", pointer, name);
		if (json_object_get(old, name) == NULL)
			show(diff, child, NULL, member);
	}
}

/* As deep as the schema is. */
static void compare(struct diff *diff, const char *pointer, const json_t *old, const json_t *new)
{
	char child[POINTER_MAX];

	if (json_equal(old, new))
		return;
	if (json_is_object(old) && json_is_object(new)) {
		compare_objects(diff, pointer, (json_t *)(uintptr_t)old, (json_t *)(uintptr_t) new);
		return;
	}
	if (!json_is_array(old) || !json_is_array(new)) {
		show(diff, pointer, old, new);
		return;
	}
	for (size_t i = 0; i < json_array_size(old) || i < json_array_size(new); i++) {
		(void)snprintf(child, sizeof(child), "%s/%zu", pointer, i);
		if (json_array_get(old, i) == NULL || json_array_get(new, i) == NULL)
			show(diff, child, json_array_get(old, i), json_array_get(new, i));
		else
			compare(diff, child, json_array_get(old, i), json_array_get(new, i));
	}
}

void iso_config_diff(const struct iso_snapshot *old, const struct iso_snapshot *new, FILE *out)
{
	json_t *from = json_loadb(old->description.ptr, old->description.len, 0, NULL);
	json_t *to = json_loadb(new->description.ptr, new->description.len, 0, NULL);
	struct diff diff = { .out = out };

	compare(&diff, "", from, to);
	if (diff.lines > LINES_MAX)
		fprintf(out, "reload: and %u changes more\n", diff.lines - LINES_MAX);
	if (diff.lines == 0 && old->hash != new->hash)
		fprintf(out, "reload: a secret, a file or the text's form has changed, and nothing else\n");
	json_decref(from);
	json_decref(to);
}
