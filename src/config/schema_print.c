/*
 * The schema printed: as JSON Schema (draft 2020-12), as the reference manual, and as a JSON text of all
 * defaults.
 */
#include "iso/config/schema.h"

#include "schema_print_priv.h"
#include "schema_table.h"

#define VARIABLE "\\\\$\\\\{" /* a string may take its text from the environment */

static const char *const duration_pattern = "^([0-9]+([.][0-9]+)?(us|ms|s|m|h)|.*" VARIABLE ".*)$";
static const char *const size_pattern = "^([0-9]+([.][0-9]+)?(B|KiB|MiB|GiB)|.*" VARIABLE ".*)$";

const char *const iso_schema_route_order[ISO_SCHEMA_ORDERS] = {
	"host: exact, then the longest `*.suffix`, then none given (the port is ignored)",
	"path, segment by segment: written out, named (`{id}`), the star (`/x/*` also takes `/x`); then none",
	"methods: given, then not given",
	"conditions on headers, query, cookies, clients and percentage: more of them, then fewer",
	"`order`: lower, then higher",
};

static void indent(FILE *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		(void)fputs("  ", out);
}

static void print_string(FILE *out, const char *s)
{
	(void)fputc('"', out);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			(void)fputc('\\', out);
		(void)fputc(*s, out);
	}
	(void)fputc('"', out);
}

/* A number of microseconds with the largest unit that keeps it whole. */
static void print_duration(FILE *out, double us)
{
	static const struct {
		double us;
		const char *unit;
	} units[] = { { HOUR, "h" }, { MINUTE, "m" }, { SEC, "s" }, { MS, "ms" }, { 1, "us" } };
	size_t i = 0;

	while (i < 4 && (us < units[i].us || us / units[i].us != (double)(long long)(us / units[i].us)))
		i++;
	(void)fprintf(out, "%.0f%s", us / units[i].us, us > 0 ? units[i].unit : "s");
}

static void print_size(FILE *out, double bytes)
{
	static const struct {
		double bytes;
		const char *unit;
	} units[] = { { GIB, "GiB" }, { MIB, "MiB" }, { KIB, "KiB" }, { 1, "B" } };
	size_t i = 0;

	while (i < 3 && (bytes < units[i].bytes ||
			 bytes / units[i].bytes != (double)(long long)(bytes / units[i].bytes)))
		i++;
	(void)fprintf(out, "%.0f%s", bytes / units[i].bytes, units[i].unit);
}

static bool has_range(const struct iso_schema_key *key)
{
	return key->min > 0 || key->max > 0;
}

static void print_range(FILE *out, const struct iso_schema_key *key)
{
	void (*print)(FILE *, double) = key->type == ISO_SCHEMA_DURATION ? print_duration : print_size;

	if (key->type == ISO_SCHEMA_DURATION || key->type == ISO_SCHEMA_SIZE) {
		print(out, key->min);
		(void)fputs(" to ", out);
		print(out, key->max);
	} else {
		(void)fprintf(out, "%g to %.0f", key->min, key->max);
	}
}

static void print_enum(FILE *out, const char *values)
{
	struct iso_slice rest = iso_slice_str(values), part;
	const char *separator = "";

	(void)fputs("\"anyOf\": [ { \"enum\": [", out);
	while (iso_slice_next(&rest, '|', &part)) {
		(void)fprintf(out, "%s\"%.*s\"", separator, ISO_SLICE_FMT(part));
		separator = ", ";
	}
	(void)fputs("] }, { \"pattern\": \"" VARIABLE "\" } ]", out);
}

static void print_numbers(FILE *out, const char *values)
{
	struct iso_slice rest = iso_slice_str(values), part;
	const char *separator = "\"enum\": [";

	while (iso_slice_next(&rest, '|', &part)) {
		(void)fprintf(out, "%s%.*s", separator, ISO_SLICE_FMT(part));
		separator = ", ";
	}
	(void)fputc(']', out);
}

/* The members that say what a value must be, without those about children. */
static void print_constraints(FILE *out, const struct iso_schema_key *key, unsigned depth)
{
	static const char *const types[] = {
		[ISO_SCHEMA_OBJECT] = "object",   [ISO_SCHEMA_MAP] = "object",
		[ISO_SCHEMA_ARRAY] = "array",     [ISO_SCHEMA_STRING] = "string",
		[ISO_SCHEMA_TEMPLATE] = "string", [ISO_SCHEMA_DURATION] = "string",
		[ISO_SCHEMA_SIZE] = "string",     [ISO_SCHEMA_INTEGER] = "integer",
		[ISO_SCHEMA_NUMBER] = "number",   [ISO_SCHEMA_BOOLEAN] = "boolean",
		[ISO_SCHEMA_ENUM] = "string",
	};
	const char *low = "minimum", *high = "maximum";

	indent(out, depth);
	(void)fprintf(out, "\"type\": \"%s\"", types[key->type]);
	if (key->type == ISO_SCHEMA_ENUM) {
		(void)fputs(",\n", out);
		indent(out, depth);
		print_enum(out, key->values);
	}
	if (key->type == ISO_SCHEMA_DURATION || key->type == ISO_SCHEMA_SIZE) {
		(void)fputs(",\n", out);
		indent(out, depth);
		(void)fprintf(out, "\"pattern\": \"%s\"",
			      key->type == ISO_SCHEMA_SIZE ? size_pattern : duration_pattern);
		return;
	}
	if (key->type == ISO_SCHEMA_STRING && key->values != NULL) {
		(void)fputs(",\n", out);
		indent(out, depth);
		(void)fprintf(out, "\"pattern\": \"^(%s|.*" VARIABLE ".*)$\"", key->values);
	}
	if (key->type == ISO_SCHEMA_INTEGER && key->values != NULL) {
		(void)fputs(",\n", out);
		indent(out, depth);
		print_numbers(out, key->values);
		return;
	}
	if (key->type == ISO_SCHEMA_ARRAY && iso_schema_child(key, ISO_SLICE(""))->type == ISO_SCHEMA_ENUM) {
		(void)fputs(",\n", out);
		indent(out, depth);
		(void)fputs("\"uniqueItems\": true", out);
	}
	if (!has_range(key))
		return;
	if (key->type == ISO_SCHEMA_ARRAY) {
		low = "minItems";
		high = "maxItems";
	} else if (key->type == ISO_SCHEMA_STRING || key->type == ISO_SCHEMA_TEMPLATE) {
		low = "minLength";
		high = "maxLength";
	} else if (key->type == ISO_SCHEMA_MAP) {
		low = "minProperties";
		high = "maxProperties";
	}
	(void)fprintf(out, ",\n");
	indent(out, depth);
	(void)fprintf(out, "\"%s\": %g,\n", low, key->min);
	indent(out, depth);
	(void)fprintf(out, "\"%s\": %.0f", high, key->max);
}

static void print_required(FILE *out, const struct iso_schema_key *parent, unsigned depth)
{
	const struct iso_schema_key *end = iso_schema_row(0) + iso_schema_count();
	bool root = parent == iso_schema_row(0);
	const char *separator = "";

	for (const struct iso_schema_key *key = parent + 1; key < end; key++) {
		if (!iso_schema_is_child(parent, key) || key->need != ISO_SCHEMA_REQUIRED)
			continue;
		if (separator[0] == '\0') {
			(void)fputs(",\n", out);
			indent(out, depth);
			/* What the file itself does not have may be in one that it includes. */
			(void)fputs(root ? "\"anyOf\": [ { \"required\": [\"include\"] }, { " : "", out);
			(void)fputs("\"required\": [", out);
		}
		(void)fprintf(out, "%s\"%s\"", separator, iso_schema_name(key));
		separator = ", ";
	}
	if (separator[0] != '\0')
		(void)fputs(root ? "] } ]" : "]", out);
}

static void print_choice(FILE *out, const struct iso_schema_key *parent, unsigned depth)
{
	const struct iso_schema_key *end = iso_schema_row(0) + iso_schema_count();
	const char *separator = "";

	for (const struct iso_schema_key *key = parent + 1; key < end; key++) {
		if (!iso_schema_is_child(parent, key) || key->need != ISO_SCHEMA_CHOICE)
			continue;
		if (separator[0] == '\0') {
			(void)fputs(",\n", out);
			indent(out, depth);
			(void)fputs("\"oneOf\": [", out);
		}
		(void)fprintf(out, "%s{ \"required\": [\"%s\"] }", separator, iso_schema_name(key));
		separator = ", ";
	}
	if (separator[0] != '\0')
		(void)fputc(']', out);
}

static void print_node(FILE *out, const struct iso_schema_key *key, unsigned depth);

static void print_properties(FILE *out, const struct iso_schema_key *parent, unsigned depth)
{
	const struct iso_schema_key *end = iso_schema_row(0) + iso_schema_count();
	const char *separator = "";

	(void)fputs(",\n", out);
	indent(out, depth);
	(void)fputs("\"additionalProperties\": false", out);
	print_required(out, parent, depth);
	print_choice(out, parent, depth);
	(void)fputs(",\n", out);
	indent(out, depth);
	(void)fputs("\"properties\": {\n", out);
	for (const struct iso_schema_key *key = parent + 1; key < end; key++) {
		if (!iso_schema_is_child(parent, key))
			continue;
		(void)fputs(separator, out);
		separator = ",\n";
		indent(out, depth + 1);
		(void)fprintf(out, "\"%s\": ", iso_schema_name(key));
		print_node(out, key, depth + 1);
	}
	(void)fputc('\n', out);
	indent(out, depth);
	(void)fputc('}', out);
}

static void print_description(FILE *out, const struct iso_schema_key *key, unsigned depth)
{
	indent(out, depth);
	(void)fputs("\"description\": ", out);
	print_string(out, key->doc);
	if (key->fallback != NULL) {
		(void)fputs(",\n", out);
		indent(out, depth);
		(void)fprintf(out, "\"default\": %s", key->fallback);
	}
	if (key->type == ISO_SCHEMA_DURATION || key->type == ISO_SCHEMA_SIZE) {
		(void)fputs(",\n", out);
		indent(out, depth);
		(void)fputs("\"$comment\": \"", out);
		print_range(out, key);
		(void)fputc('"', out);
	}
	(void)fputs(",\n", out);
}

static void print_node(FILE *out, const struct iso_schema_key *key, unsigned depth)
{
	const struct iso_schema_key *member = iso_schema_child(key, ISO_SLICE(""));

	(void)fputs("{\n", out);
	if (depth == 0) {
		(void)fputs("  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
			    "  \"title\": \"isochrone configuration\",\n",
			    out);
	}
	print_description(out, key, depth + 1);
	print_constraints(out, key, depth + 1);
	if (key->type == ISO_SCHEMA_OBJECT)
		print_properties(out, key, depth + 1);
	if (key->type == ISO_SCHEMA_MAP && key->values != NULL) {
		(void)fputs(",\n", out);
		indent(out, depth + 1);
		(void)fprintf(out, "\"propertyNames\": { \"pattern\": \"^%s$\" }", key->values);
	}
	if (key->type == ISO_SCHEMA_MAP || key->type == ISO_SCHEMA_ARRAY) {
		(void)fputs(",\n", out);
		indent(out, depth + 1);
		(void)fprintf(out,
			      "\"%s\": ", key->type == ISO_SCHEMA_MAP ? "additionalProperties" : "items");
		print_node(out, member, depth + 1);
	}
	(void)fputc('\n', out);
	indent(out, depth);
	(void)fputc('}', out);
}

void iso_schema_print_json(FILE *out)
{
	print_node(out, iso_schema_row(0), 0);
	(void)fputc('\n', out);
}

void iso_schema_put_type(FILE *out, const struct iso_schema_key *key, const char *quote)
{
	static const char *const types[] = {
		[ISO_SCHEMA_OBJECT] = "object",
		[ISO_SCHEMA_MAP] = "object of names",
		[ISO_SCHEMA_ARRAY] = "array",
		[ISO_SCHEMA_STRING] = "string",
		[ISO_SCHEMA_TEMPLATE] = "string with variables",
		[ISO_SCHEMA_DURATION] = "duration",
		[ISO_SCHEMA_SIZE] = "size",
		[ISO_SCHEMA_INTEGER] = "integer",
		[ISO_SCHEMA_NUMBER] = "number",
		[ISO_SCHEMA_BOOLEAN] = "boolean",
		[ISO_SCHEMA_ENUM] = "one of",
	};
	struct iso_slice rest = iso_slice_str(key->values), part;
	const char *separator = " ";

	(void)fputs(types[key->type], out);
	while (key->type == ISO_SCHEMA_ENUM && iso_slice_next(&rest, '|', &part)) {
		(void)fprintf(out, "%s%s%.*s%s", separator, quote, ISO_SLICE_FMT(part), quote);
		separator = ", ";
	}
	if (has_range(key) && key->type != ISO_SCHEMA_STRING && key->type != ISO_SCHEMA_TEMPLATE) {
		(void)fputs(", ", out);
		print_range(out, key);
		if (key->type == ISO_SCHEMA_ARRAY)
			(void)fputs(" items", out);
		else if (key->type == ISO_SCHEMA_MAP)
			(void)fputs(" members", out);
	}
}

void iso_schema_print_markdown(FILE *out)
{
	(void)fputs(
		"# Configuration reference\n\n"
		"This file is generated from the schema table; change the table, not this text.\n\n"
		"In a key, `*` stands for a name of your own and `[]` for an item of an array.\n\n"
		"* A duration is a string with a unit: `\"250ms\"`, `\"1.5s\"`, `\"5m\"`, `\"1h\"` "
		"(`us`, `ms`, `s`, `m`, `h`).\n"
		"* A size is a string with a unit: `\"512B\"`, `\"64KiB\"`, `\"1MiB\"` "
		"(`B`, `KiB`, `MiB`, `GiB`).\n"
		"* `${NAME}` in a string is replaced by that environment variable, which must be set. "
		"`${file:PATH}` is replaced by the content of a file of at most 64 KiB, without the newline "
		"at its end; a relative name starts at the directory of the file that it stands in, and a "
		"change of the file is a reload. `$${` is a literal `${`.\n"
		"* Unknown keys, duplicate keys, wrong types and values out of range are errors; all "
		"of them are "
		"reported at once.\n\n"
		"| key | type | default | meaning |\n| --- | --- | --- | --- |\n",
		out);
	for (size_t i = 1; i < iso_schema_count(); i++) {
		static const char *const needs[] = { " | | ", " | required | ", " | one of several | " };
		const struct iso_schema_key *key = iso_schema_row(i);

		(void)fprintf(out, "| `%s` | ", key->path);
		iso_schema_put_type(out, key, "`");
		if (key->fallback != NULL)
			(void)fprintf(out, " | `%s` | ", key->fallback);
		else
			(void)fputs(needs[key->need], out);
		(void)fprintf(out, "%s |\n", key->doc);
	}
	(void)fputs(
		"\n## Which route wins\n\n"
		"The most specific rule that matches the request, compared in this order and never by the "
		"order in the file:\n\n",
		out);
	for (size_t i = 0; i < ISO_SCHEMA_ORDERS; i++)
		(void)fprintf(out, "%zu. %s%s\n", i + 1, iso_schema_route_order[i],
			      i + 1 < ISO_SCHEMA_ORDERS ? ";" : ".");
	(void)fputs(
		"\nTwo rules that are equal in all of it and would both take some request are an error.\n",
		out);
}

/* True when a default is somewhere below (or at) the key. */
static bool has_default(const struct iso_schema_key *key)
{
	const struct iso_schema_key *end = iso_schema_row(0) + iso_schema_count();

	if (key->fallback != NULL)
		return true;
	for (const struct iso_schema_key *child = key + 1; child < end; child++) {
		if (iso_schema_is_child(key, child) && has_default(child))
			return true;
	}
	return false;
}

static void print_default(FILE *out, const struct iso_schema_key *key, unsigned depth)
{
	const struct iso_schema_key *end = iso_schema_row(0) + iso_schema_count();
	bool array = key->type == ISO_SCHEMA_ARRAY;
	const char *separator = "";

	if (key->fallback != NULL) {
		(void)fputs(key->fallback, out);
		return;
	}
	(void)fputs(array ? "[\n" : "{\n", out);
	for (const struct iso_schema_key *child = key + 1; child < end; child++) {
		if (!iso_schema_is_child(key, child) || !has_default(child))
			continue;
		(void)fputs(separator, out);
		separator = ",\n";
		indent(out, depth + 1);
		if (!array)
			(void)fprintf(out, "\"%s\": ", iso_schema_name(child));
		print_default(out, child, depth + 1);
	}
	(void)fputc('\n', out);
	indent(out, depth);
	(void)fputc(array ? ']' : '}', out);
}

void iso_schema_print_defaults(FILE *out)
{
	print_default(out, iso_schema_row(0), 0);
	(void)fputc('\n', out);
}
