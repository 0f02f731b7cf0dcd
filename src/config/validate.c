/*
 * The tree against the schema table: types, ranges, counts, unknown and missing keys; expansion of variables.
 * Wrong values become null so that the later steps, which treat null as absent, can go on and find the rest.
 */
#include "load_priv.h"

#include <stdio.h>

#include "expand_priv.h"
#include "iso/base/secret.h"
#include "units_priv.h"

enum { MEND_MAX = 256, SHOWN_MAX = 60 };

static const char *type_text(enum iso_schema_type type)
{
	switch (type) {
	case ISO_SCHEMA_OBJECT:
	case ISO_SCHEMA_MAP:
		return "an object";
	case ISO_SCHEMA_ARRAY:
		return "an array";
	case ISO_SCHEMA_DURATION:
		return "a duration";
	case ISO_SCHEMA_SIZE:
		return "a size";
	case ISO_SCHEMA_INTEGER:
		return "a whole number";
	case ISO_SCHEMA_NUMBER:
		return "a number";
	case ISO_SCHEMA_BOOLEAN:
		return "true or false";
	default:
		return "a string";
	}
}

static const char *type_mend(enum iso_schema_type type)
{
	switch (type) {
	case ISO_SCHEMA_OBJECT:
	case ISO_SCHEMA_MAP:
		return "write { \"name\": value }";
	case ISO_SCHEMA_ARRAY:
		return "write [ value ], also when there is only one";
	case ISO_SCHEMA_DURATION:
		return "write a string of a number and us, ms, s, m or h, such as \"250ms\" or \"10s\"";
	case ISO_SCHEMA_SIZE:
		return "write a string of a number and B, KiB, MiB or GiB, such as \"64KiB\"";
	case ISO_SCHEMA_INTEGER:
		return "write digits without quotes, such as 3";
	case ISO_SCHEMA_NUMBER:
		return "write a number without quotes, such as 0.2";
	case ISO_SCHEMA_BOOLEAN:
		return "write true or false without quotes";
	default:
		return "put it in double quotes";
	}
}

static const char *found_text(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_NULL:
		return "null";
	default:
		return "true or false";
	}
}

static bool has_type(const json_t *value, enum iso_schema_type type)
{
	switch (type) {
	case ISO_SCHEMA_OBJECT:
	case ISO_SCHEMA_MAP:
		return json_is_object(value);
	case ISO_SCHEMA_ARRAY:
		return json_is_array(value);
	case ISO_SCHEMA_INTEGER:
		return json_is_integer(value);
	case ISO_SCHEMA_NUMBER:
		return json_is_number(value);
	case ISO_SCHEMA_BOOLEAN:
		return json_is_boolean(value);
	default:
		return json_is_string(value);
	}
}

bool iso_load_name_ok(struct iso_slice name)
{
	if (name.len == 0 || name.len > 64)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = iso_ascii_lower(name.ptr[i]);
		bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!alnum && (i == 0 || (c != '.' && c != '_' && c != '-')))
			return false;
	}
	return true;
}

static void range_error(struct iso_load *load, const struct iso_schema_key *key, const char *what)
{
	static const struct {
		double factor;
		const char *unit;
	} durations[] = { { 3.6e9, "h" }, { 6e7, "m" }, { 1e6, "s" }, { 1e3, "ms" }, { 1, "us" } },
	  sizes[] = {
		  { 1073741824.0, "GiB" }, { 1048576.0, "MiB" }, { 1024.0, "KiB" }, { 1, "B" }, { 1, "B" }
	  };
	double bounds[2] = { key->min, key->max };
	char words[2][32], mend[MEND_MAX];

	for (int i = 0; i < 2; i++) {
		size_t u = 0;

		if (key->type != ISO_SCHEMA_DURATION && key->type != ISO_SCHEMA_SIZE) {
			(void)snprintf(words[i], sizeof(words[i]), "%.10g", bounds[i]);
			continue;
		}
		while (u < 4 &&
		       bounds[i] < (key->type == ISO_SCHEMA_SIZE ? sizes[u].factor : durations[u].factor))
			u++;
		(void)snprintf(words[i], sizeof(words[i]), "%.10g%s",
			       bounds[i] /
				       (key->type == ISO_SCHEMA_SIZE ? sizes[u].factor : durations[u].factor),
			       key->type == ISO_SCHEMA_SIZE ? sizes[u].unit : durations[u].unit);
	}
	(void)snprintf(mend, sizeof(mend), "give from %s to %s", words[0], words[1]);
	iso_load_error(load, ISO_PLACE_VALUE, mend, "%s is out of range", what);
}

static bool in_range(const struct iso_schema_key *key, double value)
{
	return (key->min == 0 && key->max == 0) || (value >= key->min && value <= key->max);
}

static void expansion_error(struct iso_load *load, int err, struct iso_slice name)
{
	int shown = name.len < 20 ? (int)name.len : 20;

	switch (err) {
	case ISO_ENOTFOUND:
		iso_load_error(load, ISO_PLACE_VALUE, "set it, or write $${ for a literal ${",
			       "the environment variable %.*s is not set", ISO_SLICE_FMT(name));
		break;
	case ISO_EBAD:
		iso_load_error(load, ISO_PLACE_VALUE,
			       "write ${NAME} with letters, digits and underscores, ${file:PATH}, or $${ for "
			       "a literal ${",
			       "\"%.*s\" names neither an environment variable nor a file", shown, name.ptr);
		break;
	case ISO_EUNSUPPORTED:
		iso_load_error(load, ISO_PLACE_VALUE, "put something between the two",
			       "a value that ends in $ is filled in before \"%.*s\"", shown, name.ptr);
		break;
	case ISO_ESYS: /* of a file: reported */
		break;
	default:
		load->nomem = true;
	}
}

/* A new reference to the string with its variables filled in; NULL when that was reported. */
static json_t *expand(struct iso_load *load, const struct iso_schema_key *key, json_t *value)
{
	const struct iso_expand_files files = { iso_load_secret_file, load };
	struct iso_slice name = { NULL, 0 };
	char *text = NULL;
	int err = iso_expand(json_string_value(value), key->type == ISO_SCHEMA_TEMPLATE, &files, &text,
			     &name);
	json_t *expanded;

	if (err != ISO_OK) {
		expansion_error(load, err, name);
		return NULL;
	}
	if (text == NULL)
		return json_incref(value);
	expanded = json_string(text);
	iso_secret_free(text);
	if (expanded == NULL)
		iso_load_error(load, ISO_PLACE_VALUE,
			       "set the environment variable, or fill the file, with UTF-8 text",
			       "what is filled in here is not UTF-8");
	return expanded;
}

/* "one of a, b, c" */
static void list_values(const char *values, char *buf, size_t size)
{
	struct iso_slice rest = iso_slice_str(values), part;
	int n = snprintf(buf, size, "write one of");
	const char *separator = " ";

	while (iso_slice_next(&rest, '|', &part) && n > 0 && (size_t)n < size) {
		n += snprintf(buf + n, size - (size_t)n, "%s\"%.*s\"", separator, ISO_SLICE_FMT(part));
		separator = ", ";
	}
}

/* `what` is how it is shown. */
static bool check_enum(struct iso_load *load, const struct iso_schema_key *key, struct iso_slice text,
		       const char *what)
{
	char mend[MEND_MAX];

	if (iso_schema_one_of(key->values, text))
		return true;
	list_values(key->values, mend, sizeof(mend));
	if (key->unavailable != NULL && iso_schema_one_of(key->unavailable, text))
		iso_load_error(load, ISO_PLACE_VALUE, mend, "%s is not available in this version", what);
	else
		iso_load_error(load, ISO_PLACE_VALUE, mend, "%s is no value of this key", what);
	return false;
}

static bool check_units(struct iso_load *load, const struct iso_schema_key *key, struct iso_slice text,
			const char *what)
{
	uint64_t n = 0;
	int err = key->type == ISO_SCHEMA_DURATION ? iso_unit_duration(text, &n) : iso_unit_size(text, &n);

	if (err != ISO_OK)
		iso_load_error(load, ISO_PLACE_VALUE, type_mend(key->type), "%s is not %s", what,
			       type_text(key->type));
	else if (!in_range(key, (double)n))
		range_error(load, key, what);
	else
		return true;
	return false;
}

/* A value in quotes; what comes from a file is likely a secret: as it is written then. */
static void show(char what[SHOWN_MAX + 8], const char *written, struct iso_slice text)
{
	if (strstr(written, "${file:") != NULL)
		text = iso_slice_str(written);
	(void)snprintf(what, SHOWN_MAX + 8, "\"%.*s\"", text.len < SHOWN_MAX ? (int)text.len : SHOWN_MAX,
		       text.ptr);
}

/* A new reference to the value as it is to be used; NULL when it was reported. */
static json_t *check_string(struct iso_load *load, const struct iso_schema_key *key, json_t *value)
{
	json_t *expanded = expand(load, key, value);
	struct iso_slice text;
	bool ok = expanded != NULL;
	char what[SHOWN_MAX + 8];

	if (!ok)
		return NULL;
	text = iso_slice(json_string_value(expanded), json_string_length(expanded));
	show(what, json_string_value(value), text);
	if (key->type == ISO_SCHEMA_ENUM) {
		ok = check_enum(load, key, text, what);
	} else if (key->type != ISO_SCHEMA_STRING && key->type != ISO_SCHEMA_TEMPLATE) {
		ok = check_units(load, key, text, what);
	} else if (!in_range(key, (double)text.len)) {
		bool is_short = (double)text.len < key->min;

		ok = false;
		iso_load_error(load, ISO_PLACE_VALUE,
			       text.len == 0 ? "give a text, or leave the key out"
			       : is_short    ? "lengthen it"
					     : "shorten it",
			       "the text is %s",
			       text.len == 0 ? "empty"
			       : is_short    ? "too short"
					     : "too long");
	}
	if (ok)
		return expanded;
	json_decref(expanded);
	return NULL;
}

static bool check_number(struct iso_load *load, const struct iso_schema_key *key, const json_t *value)
{
	char what[48];

	if (in_range(key, json_number_value(value)))
		return true;
	(void)snprintf(what, sizeof(what), "%.10g", json_number_value(value));
	range_error(load, key, what);
	return false;
}

static void unknown_key(struct iso_load *load, const struct iso_schema_key *parent, struct iso_slice name)
{
	const char *meant = iso_schema_suggest(parent, name);
	const struct iso_schema_key *end = iso_schema_row(0) + iso_schema_count();
	int shown = name.len < SHOWN_MAX ? (int)name.len : SHOWN_MAX;
	char mend[MEND_MAX];
	int n;

	if (meant != NULL) {
		(void)snprintf(mend, sizeof(mend), "did you mean \"%s\"?", meant);
		iso_load_error(load, ISO_PLACE_KEY, mend, "\"%.*s\" is no key of this object", shown,
			       name.ptr);
		return;
	}
	n = snprintf(mend, sizeof(mend), "remove it; the keys here are");
	for (const struct iso_schema_key *key = parent + 1; key < end && n > 0 && (size_t)n < sizeof(mend);
	     key++) {
		if (iso_schema_is_child(parent, key))
			n += snprintf(mend + n, sizeof(mend) - (size_t)n, " %s", iso_schema_name(key));
	}
	iso_load_error(load, ISO_PLACE_KEY, mend, "\"%.*s\" is no key of this object", shown, name.ptr);
}

/* Is a key that is missing there after all, misspelt? That was reported. */
static bool is_misspelt(const struct iso_schema_key *parent, const json_t *object, const char *name)
{
	json_t *value;
	const char *given;

	json_object_foreach((json_t *)(uintptr_t)object, given, value)
	{
		const char *meant = iso_schema_child(parent, iso_slice_str(given)) == NULL
					    ? iso_schema_suggest(parent, iso_slice_str(given))
					    : NULL;

		if (meant != NULL && strcmp(meant, name) == 0)
			return true;
	}
	return false;
}

static void check_required(struct iso_load *load, const struct iso_schema_key *parent, const json_t *object)
{
	const struct iso_schema_key *end = iso_schema_row(0) + iso_schema_count();
	char mend[MEND_MAX];

	if (load->partial && parent == iso_schema_row(0))
		return;
	for (const struct iso_schema_key *key = parent + 1; key < end; key++) {
		const char *name = iso_schema_name(key);

		if (key->need != ISO_SCHEMA_REQUIRED || !iso_schema_is_child(parent, key) ||
		    json_object_get(object, name) != NULL || is_misspelt(parent, object, name))
			continue;
		(void)snprintf(mend, sizeof(mend), "add \"%s\", %s", name, type_text(key->type));
		iso_load_error(load, ISO_PLACE_VALUE, mend, "\"%s\" is missing", name);
	}
}

/* Of the keys that exclude each other one must be there. */
static void check_choice(struct iso_load *load, const struct iso_schema_key *parent, const json_t *object)
{
	const struct iso_schema_key *end = iso_schema_row(0) + iso_schema_count();
	unsigned int choices = 0, given = 0;
	bool misspelt = false;
	char mend[MEND_MAX];
	int n = snprintf(mend, sizeof(mend), "give one of");

	for (const struct iso_schema_key *key = parent + 1; key < end; key++) {
		if (key->need != ISO_SCHEMA_CHOICE || !iso_schema_is_child(parent, key))
			continue;
		if (json_object_get(object, iso_schema_name(key)) != NULL)
			given++;
		misspelt |= is_misspelt(parent, object, iso_schema_name(key));
		if (n > 0 && (size_t)n < sizeof(mend))
			n += snprintf(mend + n, sizeof(mend) - (size_t)n, "%s \"%s\"", choices > 0 ? "," : "",
				      iso_schema_name(key));
		choices++;
	}
	if (choices > 0 && given != 1 && !(given == 0 && misspelt))
		iso_load_error(load, ISO_PLACE_VALUE, mend,
			       given == 0 ? "what it is about is missing" : "keys that exclude each other");
}

/* Takes the checked value; puts it in the place of the old one. */
static void replace(struct iso_load *load, json_t *object, const char *name, json_t *old, json_t *checked)
{
	if (checked == NULL)
		checked = json_null();
	if (checked == old)
		json_decref(checked);
	else if (json_object_set_new(object, name, checked) != 0)
		load->nomem = true;
}

static void check_members(struct iso_load *load, const struct iso_schema_key *parent, json_t *object)
{
	const char *name;
	json_t *member;

	json_object_foreach(object, name, member)
	{
		struct iso_slice text = iso_slice_str(name);
		const struct iso_schema_key *key = iso_schema_child(parent, text);
		size_t mark = iso_pointer_key(&load->at, text);
		json_t *checked;

		if (key == NULL) {
			unknown_key(load, parent, text);
		} else {
			checked = iso_load_check(load, key, member);
			if (parent->type == ISO_SCHEMA_MAP && parent->values != NULL &&
			    !iso_load_name_ok(text)) {
				iso_load_error(load, ISO_PLACE_KEY,
					       "use 1 to 64 letters, digits, '.', '_' and '-', a letter or "
					       "digit first",
					       "this name is not well formed");
				json_decref(checked);
				checked = NULL;
			}
			replace(load, object, name, member, checked);
		}
		iso_pointer_cut(&load->at, mark);
	}
	check_required(load, parent, object);
	check_choice(load, parent, object);
}

static void check_items(struct iso_load *load, const struct iso_schema_key *parent, json_t *array)
{
	const struct iso_schema_key *key = iso_schema_child(parent, ISO_SLICE(""));
	size_t i;
	json_t *item;

	json_array_foreach(array, i, item)
	{
		size_t mark = iso_pointer_index(&load->at, i);
		json_t *checked = iso_load_check(load, key, item);

		if (checked == NULL)
			checked = json_null();
		if (checked == item)
			json_decref(checked);
		else if (json_array_set_new(array, i, checked) != 0)
			load->nomem = true;
		iso_pointer_cut(&load->at, mark);
	}
}

static bool check_count(struct iso_load *load, const struct iso_schema_key *key, size_t count)
{
	char what[48];

	if (in_range(key, (double)count))
		return true;
	(void)snprintf(what, sizeof(what), "a number of %zu %s", count,
		       key->type == ISO_SCHEMA_ARRAY ? "items" : "members");
	range_error(load, key, what);
	return false;
}

/* What was wrong inside is null. */
json_t *iso_load_check(struct iso_load *load, const struct iso_schema_key *key, json_t *value)
{
	bool ok = true;

	if (!has_type(value, key->type)) {
		iso_load_error(load, ISO_PLACE_VALUE, type_mend(key->type), "this is %s, but must be %s",
			       found_text(value), type_text(key->type));
		return NULL;
	}
	switch (key->type) {
	case ISO_SCHEMA_OBJECT:
		check_members(load, key, value);
		break;
	case ISO_SCHEMA_MAP:
		ok = check_count(load, key, json_object_size(value));
		check_members(load, key, value);
		break;
	case ISO_SCHEMA_ARRAY:
		ok = check_count(load, key, json_array_size(value));
		check_items(load, key, value);
		break;
	case ISO_SCHEMA_INTEGER:
	case ISO_SCHEMA_NUMBER:
		ok = check_number(load, key, value);
		break;
	case ISO_SCHEMA_BOOLEAN:
		break;
	default:
		return check_string(load, key, value);
	}
	return ok ? json_incref(value) : NULL;
}

void iso_load_validate(struct iso_load *load, json_t *root)
{
	json_decref(iso_load_check(load, iso_schema_row(0), root));
}
