/*
 * What a route does: a service or an answer of its own, edits of heads, and what it has in place of the
 * service's settings.
 */
#include "load_priv.h"

#include <stdio.h>

#include "iso/http/message.h"
#include "units_priv.h"

enum { MEND_MAX = 256 };

/* What is known of a request, and what only an answer of a region knows. */
static const char request_variables[] =
	"client_ip|request_id|method|scheme|host|path|query|route|service|version";
static const char region_variables[] = "region";

/* At load->at. */
static void check_variable(struct iso_load *load, const struct iso_cfg_route *route, struct iso_slice name,
			   bool region)
{
	struct iso_slice rest = iso_slice_str(request_variables), variable;
	char mend[MEND_MAX];
	int n;

	if (iso_schema_one_of(request_variables, name) ||
	    (region && iso_schema_one_of(region_variables, name)) || iso_route_captures(route->pattern, name))
		return;
	n = snprintf(mend, sizeof(mend), "the variables here are%s", region ? " region," : "");
	while (iso_slice_next(&rest, '|', &variable) && n > 0 && (size_t)n < sizeof(mend))
		n += snprintf(mend + n, sizeof(mend) - (size_t)n, " %.*s,", ISO_SLICE_FMT(variable));
	if (n > 0 && (size_t)n < sizeof(mend))
		(void)snprintf(mend + n, sizeof(mend) - (size_t)n,
			       " the path's {names}, and rest for its star");
	iso_load_error(load, ISO_PLACE_VALUE, mend, "there is no variable ${%.*s}", ISO_SLICE_FMT(name));
}

/* The value of load->at; an empty template when it was reported. */
static struct iso_template parse_template(struct iso_load *load, const struct iso_cfg_route *route,
					  const json_t *value, bool region)
{
	struct iso_slice text = iso_load_dup(load, iso_slice_str(json_string_value(value)));
	struct iso_template template = { NULL, 0 };
	int err = iso_template_parse(&load->snapshot->arena, text, &template);

	load->nomem |= err == ISO_ENOMEM;
	if (err == ISO_EBAD)
		iso_load_error(load, ISO_PLACE_VALUE, "write ${name}, or $${ for a literal ${",
			       "a variable is not well formed");
	for (uint32_t i = 0; err == ISO_OK && i < template.n; i++) {
		if (template.parts[i].variable)
			check_variable(load, route, template.parts[i].text, region);
	}
	return template;
}

static struct iso_template member_template(struct iso_load *load, const struct iso_cfg_route *route,
					   const json_t *object, const char *name)
{
	struct iso_template template = { NULL, 0 };
	size_t mark = iso_pointer_key(&load->at, iso_slice_str(name));

	if (iso_load_has(object, name))
		template = parse_template(load, route, iso_load_member(object, name), false);
	iso_pointer_cut(&load->at, mark);
	return template;
}

/* What stands there as it is must do for a field's value; what comes from the request does. */
static void check_literals(struct iso_load *load, const struct iso_template *template)
{
	for (uint32_t i = 0; i < template->n; i++) {
		struct iso_slice text = template->parts[i].text;

		if (template->parts[i].variable)
			continue;
		/* Blanks beside a variable are right; those at the ends go when it is filled in. */
		if (!iso_load_header_value(load, template->n > 1 ? iso_slice_trim(text) : text))
			return;
	}
}

static void add_fields(struct iso_load *load, const struct iso_cfg_route *route, json_t *map, bool add,
		       struct iso_cfg_edits *edits, struct iso_cfg_field *fields)
{
	size_t mark = iso_pointer_key(&load->at, add ? ISO_SLICE("add") : ISO_SLICE("set"));
	const char *name;
	json_t *value;

	json_object_foreach(map, name, value)
	{
		size_t at = iso_pointer_key(&load->at, iso_slice_str(name));
		struct iso_cfg_field *field = &fields[edits->field_count];

		field->name = iso_load_dup_lower(load, iso_slice_str(name));
		field->add = add;
		if (!json_is_null(value) && iso_load_header_name(load, field->name)) {
			field->value = parse_template(load, route, value, true);
			check_literals(load, &field->value);
			edits->field_count++;
		}
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
}

static void build_edits(struct iso_load *load, const struct iso_cfg_route *route, const json_t *object,
			const char *key, struct iso_cfg_edits *edits)
{
	json_t *edit = iso_load_member(object, key), *item, *set = iso_load_member(edit, "set"),
	       *add = iso_load_member(edit, "add"), *remove = iso_load_member(edit, "remove");
	struct iso_cfg_field *fields = iso_load_alloc(load, json_object_size(set) + json_object_size(add) + 1,
						      sizeof(*fields));
	struct iso_slice *names = iso_load_alloc(load, json_array_size(remove) + 1, sizeof(*names));
	size_t mark = iso_pointer_key(&load->at, iso_slice_str(key)), at, i;

	if (fields == NULL || names == NULL) {
		iso_pointer_cut(&load->at, mark);
		return;
	}
	add_fields(load, route, set, false, edits, fields);
	add_fields(load, route, add, true, edits, fields);
	at = iso_pointer_key(&load->at, ISO_SLICE("remove"));
	json_array_foreach(remove, i, item)
	{
		size_t place = iso_pointer_index(&load->at, i);
		struct iso_slice lower = iso_load_dup_lower(load, iso_slice_str(json_string_value(item)));

		if (!json_is_null(item) && iso_load_header_name(load, lower))
			names[edits->remove_count++] = lower;
		iso_pointer_cut(&load->at, place);
	}
	iso_pointer_cut(&load->at, at);
	iso_pointer_cut(&load->at, mark);
	edits->fields = fields;
	edits->remove = names;
}

static void build_respond(struct iso_load *load, const json_t *respond, struct iso_cfg_answer *answer)
{
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("respond"));

	answer->status = (uint16_t)iso_load_u64(load, respond, "routes[].respond.status");
	answer->body = iso_load_text(load, respond, "routes[].respond.body");
	answer->content_type = iso_load_text(load, respond, "routes[].respond.content_type");
	if (!iso_status_has_body(answer->status, ISO_METHOD_GET) && answer->body.len > 0)
		iso_load_error_in(load, "body", "leave it out, or use another status",
				  "an answer with the status %u has no content", answer->status);
	iso_pointer_cut(&load->at, mark);
}

static void build_redirect(struct iso_load *load, const json_t *redirect, struct iso_cfg_route *route)
{
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("redirect"));

	route->answer.status = (uint16_t)iso_load_u64(load, redirect, "routes[].redirect.status");
	switch (route->answer.status) {
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		break;
	default:
		iso_load_error_in(load, "status", "write 301, 302, 303, 307 or 308", "%u is no redirect",
				  route->answer.status);
	}
	route->answer.location = member_template(load, route, redirect, "location");
	check_literals(load, &route->answer.location);
	iso_pointer_cut(&load->at, mark);
}

static void build_rewrite(struct iso_load *load, const json_t *rewrite, struct iso_cfg_route *route)
{
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("rewrite"));
	struct iso_slice text = iso_slice_str(json_string_value(iso_load_member(rewrite, "path")));

	route->rewrite = member_template(load, route, rewrite, "path");
	if (text.len > 0 && (text.ptr[0] != '/' || iso_slice_find(text, '?') < text.len ||
			     iso_slice_find(text, '#') < text.len || iso_slice_find(text, ' ') < text.len))
		iso_load_error_in(load, "path", "write it as /v2/${rest}; the query is kept as it is",
				  "this is no path");
	iso_pointer_cut(&load->at, mark);
}

void iso_load_action_defaults(struct iso_cfg_route *route)
{
	route->retry = route->service->retry;
	route->hedge = route->service->hedge;
	route->timeout_us = route->service->timeout_us;
	route->idle_timeout_us = route->service->idle_timeout_us;
	route->proxy_status = route->service->proxy_status;
}

static void build_overrides(struct iso_load *load, const json_t *object, struct iso_cfg_route *route)
{
	json_t *retry = iso_load_member(object, "retry"), *hedge = iso_load_member(object, "hedge");
	struct iso_slice after = iso_load_text(load, hedge, "routes[].hedge.after");
	size_t mark;

	if (iso_load_has(retry, "attempts"))
		route->retry.attempts = (uint32_t)iso_load_u64(load, retry, "routes[].retry.attempts");
	if (iso_load_has(retry, "per_try_timeout"))
		route->retry.per_try_timeout_us = iso_load_u64(load, retry, "routes[].retry.per_try_timeout");
	if (iso_load_has(retry, "statuses"))
		iso_load_statuses(load, retry, "routes[].retry.statuses", &route->retry.statuses);
	if (iso_load_has(object, "timeout"))
		route->timeout_us = iso_load_u64(load, object, "routes[].timeout");
	if (iso_load_has(object, "idle_timeout"))
		route->idle_timeout_us = iso_load_u64(load, object, "routes[].idle_timeout");
	if (hedge == NULL)
		return;
	mark = iso_pointer_key(&load->at, ISO_SLICE("hedge"));
	if (iso_slice_eq(after, ISO_SLICE("off")))
		route->hedge.after = ISO_HEDGE_OFF;
	else if (iso_unit_duration(after, &route->hedge.after_us) == ISO_OK)
		route->hedge.after = ISO_HEDGE_FIXED;
	else
		iso_load_error_in(load, "after", "write `off` or a duration such as `80ms`",
				  "\"%.*s\" says no time", ISO_SLICE_FMT(after));
	iso_pointer_cut(&load->at, mark);
}

/* Keys that say how a service is asked. */
static void check_lonely(struct iso_load *load, const json_t *object)
{
	static const char *const keys[] = { "regions",         "policy",       "requires", "retry",
					    "hedge",           "timeout",      "rewrite",  "idempotent",
					    "request_headers", "idle_timeout", "measure" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (iso_load_has(object, keys[i]))
			iso_load_error_in(load, keys[i], "remove it, or name a `service`",
					  "\"%s\" means nothing where no service is asked", keys[i]);
	}
}

void iso_load_action(struct iso_load *load, const json_t *object, struct iso_cfg_route *route)
{
	json_t *respond = iso_load_member(object, "respond"), *redirect = iso_load_member(object, "redirect");

	build_edits(load, route, object, "request_headers", &route->request_edits);
	build_edits(load, route, object, "response_headers", &route->response_edits);
	if (respond != NULL)
		build_respond(load, respond, &route->answer);
	if (redirect != NULL)
		build_redirect(load, redirect, route);
	if (json_object_get(object, "service") == NULL)
		check_lonely(load, object);
	if (iso_load_has(object, "rewrite"))
		build_rewrite(load, iso_load_member(object, "rewrite"), route);
	if (route->service != NULL) {
		iso_load_action_defaults(route);
		build_overrides(load, object, route);
		if (iso_load_has(object, "proxy_status"))
			route->proxy_status = (enum iso_proxy_status)iso_load_enum(load, object,
										   "routes[].proxy_status");
	}
}
