/*
 * Typed reading of values that validate.c has passed, with the schema's defaults.
 */
#include "load_priv.h"

#include <assert.h>

#include "units_priv.h"

json_t *iso_load_member(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return json_is_null(value) ? NULL : value;
}

bool iso_load_has(const json_t *object, const char *name)
{
	return iso_load_member(object, name) != NULL;
}

static const struct iso_schema_key *row(const char *path)
{
	const struct iso_schema_key *key = iso_schema_find(path);

	assert(key != NULL);
	return key;
}

/* A new reference to the value or its default; NULL when there is neither. */
static json_t *value_of(struct iso_load *load, const json_t *object, const struct iso_schema_key *key)
{
	json_t *value = iso_load_member(object, iso_schema_name(key));

	if (value != NULL || key->fallback == NULL)
		return json_incref(value);
	value = json_loads(key->fallback, JSON_DECODE_ANY, NULL);
	if (value == NULL)
		load->nomem = true;
	return value;
}

static uint64_t to_u64(const json_t *value, enum iso_schema_type type)
{
	struct iso_slice text = iso_slice_str(json_string_value(value));
	uint64_t n = 0;

	if (type == ISO_SCHEMA_INTEGER)
		return (uint64_t)json_integer_value(value);
	if (type == ISO_SCHEMA_DURATION ? iso_unit_duration(text, &n) : iso_unit_size(text, &n))
		n = 0; /* validate.c would not have let it pass */
	return n;
}

uint64_t iso_load_u64(struct iso_load *load, const json_t *object, const char *path)
{
	const struct iso_schema_key *key = row(path);
	json_t *value = value_of(load, object, key);
	uint64_t n = value != NULL ? to_u64(value, key->type) : 0;

	json_decref(value);
	return n;
}

double iso_load_number(struct iso_load *load, const json_t *object, const char *path)
{
	json_t *value = value_of(load, object, row(path));
	double n = json_number_value(value);

	json_decref(value);
	return n;
}

bool iso_load_bool(struct iso_load *load, const json_t *object, const char *path)
{
	json_t *value = value_of(load, object, row(path));
	bool yes = json_is_true(value);

	json_decref(value);
	return yes;
}

unsigned int iso_load_enum(struct iso_load *load, const json_t *object, const char *path)
{
	const struct iso_schema_key *key = row(path);
	json_t *value = value_of(load, object, key);
	struct iso_slice rest = iso_slice_str(key->values), part;
	unsigned int i = 0, found = 0; /* the first where there is no value for want of memory */

	assert(key->type == ISO_SCHEMA_ENUM);
	for (; iso_slice_next(&rest, '|', &part); i++) {
		if (iso_slice_eq(part, iso_slice_str(json_string_value(value))))
			found = i;
	}
	json_decref(value);
	return found;
}

struct iso_slice iso_load_dup(struct iso_load *load, struct iso_slice s)
{
	struct iso_slice copy = iso_arena_dup(&load->snapshot->arena, s);

	if (copy.ptr != NULL)
		return copy;
	load->nomem = true;
	return ISO_SLICE("");
}

struct iso_slice iso_load_dup_lower(struct iso_load *load, struct iso_slice s)
{
	char *copy = iso_arena_alloc(&load->snapshot->arena, s.len + 1);

	if (copy == NULL) {
		load->nomem = true;
		return ISO_SLICE("");
	}
	for (size_t i = 0; i < s.len; i++)
		copy[i] = iso_ascii_lower(s.ptr[i]);
	copy[s.len] = '\0';
	return iso_slice(copy, s.len);
}

struct iso_slice iso_load_text(struct iso_load *load, const json_t *object, const char *path)
{
	json_t *value = value_of(load, object, row(path));
	struct iso_slice s = iso_load_dup(load, iso_slice_str(value != NULL ? json_string_value(value) : ""));

	json_decref(value);
	return s;
}

struct iso_slice iso_load_file(struct iso_load *load, struct iso_slice name)
{
	struct iso_slice dir = iso_load_source(load)->dir;
	size_t n = dir.len + name.len;
	char *path;

	if (name.len == 0 || name.ptr[0] == '/' || dir.len == 0)
		return name;
	path = iso_load_alloc(load, 1, n + 1);
	if (path == NULL)
		return ISO_SLICE("");
	memcpy(path, dir.ptr, dir.len);
	memcpy(path + dir.len, name.ptr, name.len);
	return iso_slice(path, n);
}

static void watch(struct iso_load *load, const struct iso_cfg_file **list, struct iso_cfg_file file)
{
	struct iso_cfg_file *copy = iso_load_alloc(load, 1, sizeof(*copy));

	if (copy == NULL)
		return;
	file.next = *list;
	*copy = file;
	*list = copy;
}

struct iso_slice iso_load_watched_file(struct iso_load *load, struct iso_slice name)
{
	struct iso_slice path = iso_load_file(load, name);

	if (path.len > 0)
		watch(load, &load->snapshot->files,
		      (struct iso_cfg_file){ .path = path.ptr, .seen = iso_cfg_file_look(path.ptr) });
	return path;
}

void iso_load_watch_pattern(struct iso_load *load, const char *path)
{
	watch(load, &load->patterns,
	      (struct iso_cfg_file){ .path = path, .seen = iso_cfg_pattern_look(path), .pattern = true });
}

void iso_load_watch_sources(struct iso_load *load, const json_t *root)
{
	if (!iso_load_bool(load, root, "watch"))
		return;
	for (const struct iso_source *source = load->sources.first; source != NULL; source = source->next) {
		struct iso_slice name = iso_load_dup(load, iso_slice_str(source->name));

		if (source->inode != 0)
			watch(load, &load->snapshot->files,
			      (struct iso_cfg_file){ .path = name.ptr, .seen = source->seen });
	}
	for (const struct iso_cfg_file *pattern = load->patterns; pattern != NULL; pattern = pattern->next)
		watch(load, &load->snapshot->files, *pattern);
}

void iso_load_statuses(struct iso_load *load, const json_t *object, const char *path,
		       struct iso_statuses *statuses)
{
	json_t *array = value_of(load, object, row(path)), *item;
	size_t i;

	statuses->n = 0;
	json_array_foreach(array, i, item)
	{
		if (json_is_integer(item) && statuses->n < ISO_STATUSES_MAX)
			statuses->v[statuses->n++] = (uint16_t)json_integer_value(item);
	}
	json_decref(array);
}

void *iso_load_alloc(struct iso_load *load, size_t count, size_t size)
{
	void *p = iso_arena_zalloc(&load->snapshot->arena, count * size);

	if (p == NULL)
		load->nomem = true;
	return p;
}

size_t iso_load_networks(struct iso_load *load, const json_t *object, const char *name,
			 struct iso_cidr cidrs[ISO_LOAD_NETWORKS_MAX])
{
	json_t *array = iso_load_member(object, name), *item;
	size_t mark = iso_pointer_key(&load->at, iso_slice_str(name)), n = 0, i;

	json_array_foreach(array, i, item)
	{
		size_t at = iso_pointer_index(&load->at, i);
		const char *text = json_string_value(item);

		if (text != NULL && n < ISO_LOAD_NETWORKS_MAX &&
		    iso_cidr_parse(iso_slice_str(text), &cidrs[n]) == ISO_OK)
			n++;
		else if (text != NULL)
			iso_load_error(
				load, ISO_PLACE_VALUE,
				"write it as 10.0.0.0/8 or 2001:db8::/32, with no bits behind the prefix",
				"\"%.60s\" is no network", text);
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
	return n;
}
