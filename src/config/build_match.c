/*
 * What a route takes: patterns of host and path, methods, conditions.
 */
#include "load_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "iso/http/uri.h"

enum { MEND_MAX = 256 };

static bool method_ok(struct iso_slice method)
{
	for (size_t i = 0; i < method.len; i++) {
		char c = method.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL)))
			return false;
	}
	return true;
}

static bool set_methods(struct iso_load *load, const json_t *match, struct iso_route_rule *rule)
{
	json_t *array = iso_load_member(match, "methods"), *item;
	struct iso_slice *methods = iso_load_alloc(load, json_array_size(array) + 1, sizeof(*methods));
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("methods")), i;
	bool ok = methods != NULL;

	json_array_foreach(array, i, item)
	{
		size_t at = iso_pointer_index(&load->at, i);
		struct iso_slice method = iso_slice_str(json_string_value(item));

		if (json_is_null(item)) {
			ok = false;
		} else if (!method_ok(method)) {
			iso_load_error(load, ISO_PLACE_VALUE, "write it in upper case, such as GET",
				       "\"%.*s\" is no method", (int)(method.len < 60 ? method.len : 60),
				       method.ptr);
			ok = false;
		} else if (ok) {
			methods[rule->method_count++] = iso_load_dup(load, method);
		}
		iso_pointer_cut(&load->at, at);
	}
	rule->methods = methods;
	iso_pointer_cut(&load->at, mark);
	return ok;
}

static bool set_host(struct iso_load *load, const json_t *match, struct iso_route_rule *rule)
{
	const char *why;

	rule->host = iso_load_dup_lower(load, iso_load_text(load, match, "routes[].match.host"));
	why = rule->host.len > 0 ? iso_route_host_problem(rule->host) : NULL;
	if (why != NULL)
		iso_load_error_in(load, "host", "write it as api.example.com or *.example.com", "%s", why);
	return why == NULL;
}

static bool set_path(struct iso_load *load, const json_t *match, struct iso_route_rule *rule)
{
	struct iso_slice normal;
	char mend[MEND_MAX] = "escape it as %XX with hexadecimal digits, and never %00";
	const char *why;
	int err;

	rule->path = iso_load_text(load, match, "routes[].match.path");
	why = rule->path.len > 0 ? iso_route_path_problem(rule->path) : NULL;
	if (rule->path.len == 0)
		return true;
	if (why != NULL) {
		iso_load_error_in(load, "path", "write it as /orders, /orders/{id} or /orders/*", "%s", why);
		return false;
	}
	err = iso_uri_normalise(&load->snapshot->arena, rule->path, &normal);
	if (err == ISO_OK && iso_slice_eq(normal, rule->path))
		return true;
	if (err == ISO_OK)
		(void)snprintf(mend, sizeof(mend), "write it as %.*s", ISO_SLICE_FMT(normal));
	iso_load_error_in(load, "path", mend,
			  "this never matches: paths are normalised before they are matched");
	return false;
}

static bool condition_regex(struct iso_load *load, const json_t *object, struct iso_condition *condition)
{
	char why[ISO_REGEX_WHY_MAX];
	int err = iso_regex_compile(&load->snapshot->arena,
				    iso_slice_str(json_string_value(iso_load_member(object, "regex"))),
				    &condition->regex, why);

	load->nomem |= err == ISO_ENOMEM;
	if (err == ISO_EBAD)
		iso_load_error_in(load, "regex",
				  "write a Perl-compatible regular expression of the whole value",
				  "this is no regular expression: %s", why);
	return err == ISO_OK;
}

/* False: reported. */
static bool build_condition(struct iso_load *load, const json_t *object, struct iso_condition *condition)
{
	static const char *const names[] = { "present", "exact", "prefix", "regex" };
	static const enum iso_condition_is kinds[] = { ISO_CONDITION_PRESENT, ISO_CONDITION_EXACT,
						       ISO_CONDITION_PREFIX, ISO_CONDITION_REGEX };
	uint32_t given = 0;

	for (uint32_t i = 0; i < 4; i++) {
		if (iso_load_has(object, names[i]))
			condition->is = kinds[i];
		given += iso_load_has(object, names[i]) ? 1 : 0;
	}
	if (given != 1)
		return false; /* reported already */
	if (condition->is == ISO_CONDITION_REGEX)
		return condition_regex(load, object, condition);
	if (condition->is == ISO_CONDITION_PRESENT && json_is_false(iso_load_member(object, "present")))
		condition->is = ISO_CONDITION_ABSENT;
	else if (condition->is != ISO_CONDITION_PRESENT)
		condition->value = iso_load_dup(
			load, iso_slice_str(json_string_value(iso_load_member(
				      object, names[condition->is == ISO_CONDITION_EXACT ? 1 : 2]))));
	return true;
}

/* The conditions on headers, query parameters or cookies. False: one was reported. */
static bool add_named(struct iso_load *load, const json_t *match, enum iso_condition_of of,
		      struct iso_route_rule *rule, struct iso_condition *conditions)
{
	static const char *const keys[] = { "headers", "query", "cookies" };
	json_t *map = iso_load_member(match, keys[of]), *object;
	size_t mark = iso_pointer_key(&load->at, iso_slice_str(keys[of]));
	bool ok = !json_is_null(json_object_get(match, keys[of]));
	const char *name;

	json_object_foreach(map, name, object)
	{
		size_t at = iso_pointer_key(&load->at, iso_slice_str(name));
		struct iso_condition condition = { .of = of };

		condition.name = of == ISO_CONDITION_HEADER ? iso_load_dup_lower(load, iso_slice_str(name))
							    : iso_load_dup(load, iso_slice_str(name));
		if (of != ISO_CONDITION_QUERY && !iso_load_token_ok(condition.name)) {
			iso_load_error(load, ISO_PLACE_KEY, "use letters, digits and '-'",
				       "this is no name of a %s",
				       of == ISO_CONDITION_HEADER ? "header field" : "cookie");
			ok = false;
		} else if (of == ISO_CONDITION_HEADER && iso_field_id(condition.name) == ISO_FIELD_HOST) {
			iso_load_error(load, ISO_PLACE_KEY, "use `host` in `match`",
				       "the host is no header field here");
			ok = false;
		} else if (json_is_null(object) || !build_condition(load, object, &condition)) {
			ok = false;
		} else if (rule->condition_count < ISO_ROUTE_CONDITIONS_MAX - 2) {
			conditions[rule->condition_count++] = condition;
		} else {
			iso_load_error(load, ISO_PLACE_VALUE, "ask less",
				       "a route has more than 30 conditions");
			ok = false;
		}
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
	return ok;
}

static void add_clients(struct iso_load *load, const json_t *match, struct iso_route_rule *rule,
			struct iso_condition *conditions)
{
	struct iso_cidr cidrs[ISO_LOAD_NETWORKS_MAX], *copy;
	size_t n = iso_load_networks(load, match, "clients", cidrs);

	if (n == 0)
		return;
	copy = iso_load_alloc(load, n, sizeof(*copy));
	if (copy == NULL)
		return;
	memcpy(copy, cidrs, n * sizeof(*copy));
	conditions[rule->condition_count++] = (struct iso_condition){ .of = ISO_CONDITION_CLIENT,
								      .networks = copy,
								      .network_count = (uint32_t)n };
}

static void add_percentage(struct iso_load *load, const json_t *match, struct iso_route_rule *rule,
			   struct iso_condition *conditions)
{
	double percentage = iso_load_number(load, match, "routes[].match.percentage");

	if (iso_load_has(match, "percentage"))
		conditions[rule->condition_count++] = (struct iso_condition){
			.of = ISO_CONDITION_PERCENTAGE, .share = (uint32_t)(percentage / 100 * UINT32_MAX)
		};
}

static int compare(const void *one, const void *other)
{
	const struct iso_condition *a = one, *b = other;
	int by_name;

	if (a->of != b->of)
		return a->of < b->of ? -1 : 1;
	by_name = memcmp(a->name.len > 0 ? a->name.ptr : "", b->name.len > 0 ? b->name.ptr : "",
			 a->name.len < b->name.len ? a->name.len : b->name.len);
	return by_name != 0 ? by_name : (a->name.len > b->name.len) - (a->name.len < b->name.len);
}

static bool set_conditions(struct iso_load *load, const json_t *match, struct iso_route_rule *rule)
{
	struct iso_condition *conditions = iso_load_alloc(load, ISO_ROUTE_CONDITIONS_MAX,
							  sizeof(*conditions));
	bool ok = conditions != NULL;

	if (!ok)
		return false;
	for (unsigned int of = ISO_CONDITION_HEADER; of <= ISO_CONDITION_COOKIE; of++)
		ok &= add_named(load, match, (enum iso_condition_of)of, rule, conditions);
	add_clients(load, match, rule, conditions);
	add_percentage(load, match, rule, conditions);
	qsort(conditions, rule->condition_count, sizeof(*conditions), compare);
	rule->conditions = conditions;
	return ok;
}

bool iso_load_match(struct iso_load *load, const json_t *object, struct iso_route_rule *rule)
{
	static const char *const keys[] = { "host", "path", "methods", "clients", "percentage" };
	json_t *match = iso_load_member(object, "match");
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("match"));
	bool ok = !json_is_null(json_object_get(object, "match")) &&
		  !json_is_null(json_object_get(object, "order"));

	/* A part that validate.c took away must not look like "any" here. */
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		ok &= !json_is_null(json_object_get(match, keys[i]));
	ok &= set_host(load, match, rule);
	ok &= set_path(load, match, rule);
	ok &= set_methods(load, match, rule);
	ok &= set_conditions(load, match, rule);
	iso_pointer_cut(&load->at, mark);
	rule->order = (int32_t)json_integer_value(iso_load_member(object, "order"));
	return ok;
}
