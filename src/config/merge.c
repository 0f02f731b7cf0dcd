/*
 * One more file's tree becomes part of the whole. Objects are joined member by member, `listeners` and
 * `routes` are appended; what both have otherwise is an error that names both places.
 */
#include <stdio.h>

#include "load_priv.h"

static void add_origin(struct iso_load *load, const struct iso_source *source, size_t first, size_t count)
{
	struct iso_origin *origin;

	if (load->at.full) /* an absurdly long name, which is reported later: as of the main file */
		return;
	origin = iso_load_alloc(load, 1, sizeof(*origin));
	if (origin == NULL)
		return;
	*origin = (struct iso_origin){ .next = load->sources.origins,
				       .source = source,
				       .pointer = iso_load_dup(load, iso_slice_str(load->at.text)).ptr,
				       .first = first,
				       .count = count };
	load->sources.origins = origin;
}

static void append(struct iso_load *load, const struct iso_source *source, json_t *into, json_t *from)
{
	if (json_array_size(from) > 0)
		add_origin(load, source, json_array_size(into), json_array_size(from));
	load->nomem |= json_array_extend(into, from) != 0;
}

/* load->at is the place in both. */
static void conflict(struct iso_load *load, const struct iso_source *source, const char *name)
{
	char first[ISO_LOAD_WHERE_MAX];

	iso_load_where(load, load->at.text, ISO_PLACE_KEY, first);
	load->reading = source;
	iso_load_error(load, ISO_PLACE_KEY, "keep one of the two", "\"%.60s\" is given already, in %s", name,
		       first);
	load->reading = NULL;
}

static bool is_appended(const struct iso_schema_key *key)
{
	return key != NULL && (strcmp(key->path, "listeners") == 0 || strcmp(key->path, "routes") == 0);
}

/* As deep as the schema's objects of fixed names are, and one object of other names. */
static void merge_members(struct iso_load *load, const struct iso_source *source,
			  const struct iso_schema_key *parent, json_t *into, json_t *from)
{
	const char *name;
	json_t *member;

	json_object_foreach(from, name, member)
	{
		const struct iso_schema_key *key = iso_schema_child(parent, iso_slice_str(name));
		json_t *have = json_object_get(into, name);
		size_t mark = iso_pointer_key(&load->at, iso_slice_str(name));
		bool both = json_is_object(have) && json_is_object(member) && key != NULL;

		if (have == NULL) {
			add_origin(load, source, 0, 0);
			load->nomem |= json_object_set(into, name, member) != 0;
		} else if (is_appended(key) && json_is_array(have) && json_is_array(member)) {
			append(load, source, have, member);
		} else if (both && parent->type == ISO_SCHEMA_OBJECT) {
			merge_members(load, source, key, have, member);
		} else {
			conflict(load, source, name);
		}
		iso_pointer_cut(&load->at, mark);
	}
}

void iso_load_merge(struct iso_load *load, const struct iso_source *source, json_t *into, json_t *from)
{
	(void)json_object_del(from, "$schema"); /* each file may have one of its own */
	merge_members(load, source, iso_schema_row(0), into, from);
}
