/*
 * What a route changes: the path, and fields of heads, with variables of the exchange. Thread: the exchange's
 * loop.
 */
#include "exchange_priv.h"
#include "iso/http/uri.h"

struct scope {
	const struct iso_exchange *x;
	const struct iso_cfg_region *region;
};

static struct iso_slice value_of(const void *ctx, struct iso_slice name)
{
	const struct scope *scope = ctx;
	const struct iso_exchange *x = scope->x;
	const struct iso_slice path = iso_uri_path(x->from.path);
	const struct iso_slice query = iso_slice(path.ptr + path.len, x->from.path.len - path.len);
	const struct {
		const char *name;
		struct iso_slice value;
	} known[] = {
		{ "region", scope->region != NULL ? scope->region->name : ISO_SLICE("") },
		{ "version", x->route->alias },
		{ "client_ip", iso_exchange_client_ip(x) },
		{ "request_id", x->id },
		{ "method", x->head->method },
		{ "scheme", x->from.tls ? ISO_SLICE("https") : ISO_SLICE("http") },
		{ "host", x->head->authority },
		{ "path", path },
		{ "query", query },
		{ "route", x->route->name },
		{ "service", x->route->service != NULL ? x->route->service->name : ISO_SLICE("") },
	};
	struct iso_slice value = ISO_SLICE("");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (iso_slice_eq(name, iso_slice_str(known[i].name)))
			return known[i].value;
	}
	(void)iso_route_capture(x->route->pattern, x->from.path, name, &value);
	return value;
}

struct iso_slice iso_edit_text(struct iso_exchange *x, const struct iso_template *template)
{
	struct scope scope = { x, NULL };

	return iso_template_render(template, x->arena, value_of, &scope);
}

bool iso_rewrite_path(struct iso_exchange *x)
{
	struct iso_slice path = iso_edit_text(x, &x->route->rewrite), normal;
	struct iso_slice old = iso_uri_path(x->head->path);
	size_t query = x->head->path.len - old.len;
	char *joined;

	/* What stood for names may make dot segments with what stands beside them. */
	if (path.ptr == NULL || iso_uri_normalise(x->arena, path, &normal) != ISO_OK)
		return false;
	joined = iso_arena_alloc(x->arena, normal.len + query + 1);
	if (joined == NULL)
		return false;
	memcpy(joined, normal.ptr, normal.len);
	if (query > 0)
		memcpy(joined + normal.len, old.ptr + old.len, query);
	x->head->path = iso_slice(joined, normal.len + query);
	return true;
}

int iso_edit_fields(struct iso_exchange *x, const struct iso_cfg_edits *edits,
		    const struct iso_cfg_region *region, struct iso_fields *fields)
{
	struct scope scope = { x, region };

	for (uint32_t i = 0; i < edits->remove_count; i++)
		(void)iso_fields_remove_name(fields, edits->remove[i]);
	for (uint32_t i = 0; i < edits->field_count; i++) {
		const struct iso_cfg_field *field = &edits->fields[i];
		struct iso_slice value = iso_template_render(&field->value, x->arena, value_of, &scope);

		if (value.ptr == NULL)
			return ISO_ENOMEM;
		if (!field->add)
			(void)iso_fields_remove_name(fields, field->name);
		if (iso_fields_add(fields, x->arena, field->name, iso_slice_trim(value)) != ISO_OK)
			return ISO_ENOMEM;
	}
	return ISO_OK;
}
