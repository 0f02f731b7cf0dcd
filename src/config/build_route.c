/*
 * Routes: names that must refer to something, the router; and the one implicit route where there is one
 * service and no routes.
 */
#include "load_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEND_MAX = 256 };

/* The rules that are well formed, and which route each of them is. */
struct rules {
	struct iso_route_rule *v;
	uint32_t *route;
	uint32_t n;
};

static void suggest_service(const struct iso_load *load, struct iso_slice name, char *mend, size_t size)
{
	const struct iso_snapshot *snapshot = load->snapshot;
	size_t n = 0;

	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		struct iso_slice known = snapshot->services[i].name;

		if (iso_schema_near(known, name)) {
			(void)snprintf(mend, size, "did you mean \"%.*s\"?", ISO_SLICE_FMT(known));
			return;
		}
		if (n < size)
			n += (size_t)snprintf(mend + n, size - n, "%s%.*s", i == 0 ? "name one of: " : ", ",
					      ISO_SLICE_FMT(known));
	}
}

static const struct iso_cfg_service *find_service(struct iso_load *load, const json_t *object)
{
	const struct iso_snapshot *snapshot = load->snapshot;
	struct iso_slice name = iso_load_text(load, object, "routes[].service");
	char mend[MEND_MAX] = "";

	if (name.len == 0 || snapshot->service_count == 0)
		return NULL; /* reported already */
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		if (iso_slice_eq(snapshot->services[i].name, name))
			return &snapshot->services[i];
	}
	suggest_service(load, name, mend, sizeof(mend));
	iso_load_error_in(load, "service", mend, "there is no service \"%.*s\"", ISO_SLICE_FMT(name));
	return NULL;
}

static void suggest_region(const struct iso_cfg_service *service, struct iso_slice name, char *mend,
			   size_t size)
{
	size_t n = 0;

	for (uint32_t i = 0; i < service->region_count; i++) {
		struct iso_slice known = service->regions[i].name;

		if (iso_schema_near(known, name)) {
			(void)snprintf(mend, size, "did you mean \"%.*s\"?", ISO_SLICE_FMT(known));
			return;
		}
		if (n < size)
			n += (size_t)snprintf(mend + n, size - n, "%s%.*s", i == 0 ? "name one of: " : ", ",
					      ISO_SLICE_FMT(known));
	}
}

static uint16_t region_bit(struct iso_load *load, const struct iso_cfg_service *service,
			   struct iso_slice name)
{
	char mend[MEND_MAX] = "";

	for (uint32_t i = 0; i < service->region_count; i++) {
		if (iso_slice_eq(service->regions[i].name, name))
			return (uint16_t)(1u << i);
	}
	if (service->region_count > 0) {
		suggest_region(service, name, mend, sizeof(mend));
		iso_load_error(load, ISO_PLACE_VALUE, mend, "the service \"%.*s\" has no region \"%.*s\"",
			       ISO_SLICE_FMT(service->name), ISO_SLICE_FMT(name));
	}
	return 0;
}

static uint16_t region_mask(struct iso_load *load, const json_t *object,
			    const struct iso_cfg_service *service)
{
	json_t *array = iso_load_member(object, "regions"), *item;
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("regions")), i;
	uint32_t mask = 0;

	json_array_foreach(array, i, item)
	{
		size_t at = iso_pointer_index(&load->at, i);

		if (!json_is_null(item))
			mask |= region_bit(load, service, iso_slice_str(json_string_value(item)));
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
	if (!iso_load_has(object, "regions"))
		mask = (1u << service->region_count) - 1;
	return (uint16_t)mask;
}

static void check_weights(struct iso_load *load, const struct iso_cfg_route *route)
{
	const struct iso_cfg_service *service = route->service;
	uint64_t weights = 0;

	for (uint32_t i = 0; i < service->region_count; i++)
		weights += (route->region_mask >> i & 1) != 0 ? service->regions[i].weight : 0;
	if (route->policy == ISO_POLICY_WEIGHTED && route->region_mask != 0 && weights == 0)
		iso_load_error(load, ISO_PLACE_VALUE,
			       "allow a region with a `weight` above 0, or use another policy",
			       "the policy is weighted, and the regions of this route all weigh 0");
}

static void set_requires(struct iso_load *load, const json_t *object, struct iso_cfg_route *route)
{
	struct iso_slice *names = route->requires; /* clang-format takes the word itself for a C++ clause */
	json_t *item;
	size_t i;

	json_array_foreach(iso_load_member(object, "requires"), i, item)
	{
		if (!json_is_null(item) && route->requires_count < ISO_REQUIRES_MAX)
			names[route->requires_count++] = iso_load_dup(load,
								      iso_slice_str(json_string_value(item)));
	}
}

/* Gives what the route requires its bits of the service. */
static void name_dependencies(struct iso_load *load, struct iso_cfg_route *route)
{
	struct iso_cfg_service *service = &load->snapshot->services[route->service->index];

	for (uint32_t i = 0; i < route->requires_count; i++) {
		struct iso_slice name = route->requires[i];
		uint32_t k = 0;

		while (k < service->dependency_count && !iso_slice_eq(service->dependencies[k], name))
			k++;
		if (k == ISO_DEPENDENCIES_MAX) {
			iso_load_error_in(load, "requires", "let related dependencies share a name",
					  "the routes of one service require more than 63 dependencies");
			return;
		}
		if (k == service->dependency_count)
			service->dependencies[service->dependency_count++] = name;
		route->requires_mask |= UINT64_C(1) << k;
	}
}

/* Takes what is well formed into the rules. */
static void add_rule(struct iso_load *load, const json_t *object, uint32_t index, struct rules *rules)
{
	struct iso_route_rule rule = { .method_count = 0 };

	if (iso_load_match(load, object, &rule) && !load->nomem) {
		rules->route[rules->n] = index;
		rules->v[rules->n++] = rule;
	}
}

static void set_rate_limit(struct iso_load *load, const json_t *object, struct iso_cfg_route *route)
{
	json_t *limit = iso_load_member(object, "rate_limit");

	if (limit == NULL)
		return;
	route->rate_limit = (struct iso_cfg_rate_limit){
		.requests = (uint32_t)iso_load_u64(load, limit, "routes[].rate_limit.requests"),
		.per_us = iso_load_u64(load, limit, "routes[].rate_limit.per"),
		.key = iso_load_dup_lower(load, iso_load_text(load, limit, "routes[].rate_limit.key")),
	};
}

/* The hash of one JSON value, whatever the order in which its members stand. */
static uint64_t hash_value(struct iso_load *load, uint64_t hash, const json_t *value)
{
	char *text = value != NULL ? json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY)
				   : strdup("");

	if (text == NULL)
		load->nomem = true;
	else /* its NUL too, so that nothing moves from one value to the next */
		hash = iso_load_hash(hash, iso_slice(text, strlen(text) + 1));
	free(text);
	return hash;
}

/*
 * What it takes and where that goes is the route's identity: neither its name nor its place. A hash, since a
 * condition may be a secret, and identities are shown and handed on.
 */
static void set_track(struct iso_load *load, const json_t *object, struct iso_cfg_route *route)
{
	static const char *const parts[] = { "match", "order", "rewrite" };
	struct iso_snapshot *snapshot = load->snapshot;
	struct iso_cfg_track *track = &snapshot->tracks[snapshot->track_count];
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	char text[96];

	if (!iso_load_bool(load, object, "routes[].measure"))
		return;
	if (snapshot->track_count == ISO_TRACKS_MAX) {
		iso_load_error_in(load, "measure",
				  "leave it to those routes whose times differ most from their service's",
				  "more than %d routes are measured by themselves", ISO_TRACKS_MAX);
		return;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		hash = hash_value(load, hash, iso_load_member(object, parts[i]));
	(void)snprintf(text, sizeof(text), "%.*s/%016llx", ISO_SLICE_FMT(route->service->name),
		       (unsigned long long)hash);
	*track = (struct iso_cfg_track){ .identity = iso_load_dup(load, iso_slice_str(text)),
					 .route = route };
	route->track = track;
	snapshot->track_count++;
}

static void build_route(struct iso_load *load, const json_t *object, struct iso_cfg_route *route)
{
	struct iso_slice name = iso_load_text(load, object, "routes[].name");

	if (name.len > 0 && !iso_load_name_ok(name))
		iso_load_error_in(load, "name", "use letters, digits, '.', '_' and '-', at most 64",
				  "this name is not well formed");
	else if (name.len > 0)
		route->name = name;
	route->alias = iso_load_text(load, object, "routes[].alias");
	if (route->alias.len > 0 && !iso_load_name_ok(route->alias))
		iso_load_error_in(load, "alias", "use letters, digits, '.', '_' and '-', at most 64",
				  "this name is not well formed");
	set_requires(load, object, route);
	set_rate_limit(load, object, route);
	route->key_required = iso_load_enum(load, object, "routes[].idempotency_key") == 1;
	route->idempotent = iso_load_bool(load, object, "routes[].idempotent");
	route->service = find_service(load, object);
	iso_load_action(load, object, route);
	if (route->service == NULL)
		return;
	name_dependencies(load, route);
	set_track(load, object, route);
	route->region_mask = region_mask(load, object, route->service);
	route->policy = route->service->policy;
	if (iso_load_has(object, "policy"))
		route->policy = iso_load_policy(load, object, "routes[].policy");
	if (route->policy != route->service->policy)
		iso_load_check_policy(load, route->service, route->policy, route->region_mask);
	if (route->policy != route->service->policy || iso_load_has(object, "regions"))
		check_weights(load, route);
}

static void report_clash(struct iso_load *load, uint32_t first, uint32_t second)
{
	const struct iso_cfg_route *routes = load->snapshot->routes;
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("routes"));
	size_t at = iso_pointer_index(&load->at, first);
	char where[ISO_LOAD_WHERE_MAX];

	iso_load_where(load, load->at.text, ISO_PLACE_VALUE, where);
	iso_pointer_cut(&load->at, at);
	(void)iso_pointer_index(&load->at, second);
	iso_load_error(
		load, ISO_PLACE_VALUE,
		"give one of them an `order` (the lower one goes first) or another condition, or remove it",
		"routes/%u (%.*s, in %s) and routes/%u (%.*s) are equally specific and would take the same "
		"requests",
		first, ISO_SLICE_FMT(routes[first].name), where, second, ISO_SLICE_FMT(routes[second].name));
	iso_pointer_cut(&load->at, mark);
}

static void build_router(struct iso_load *load, const struct rules *rules)
{
	struct iso_route_clashes clashes = { .n = 0 };

	switch (iso_router_build(&load->snapshot->arena, rules->v, rules->n, &clashes,
				 &load->snapshot->router)) {
	case ISO_OK:
		break;
	case ISO_EEXISTS:
		for (uint32_t i = 0; i < clashes.n; i++)
			report_clash(load, rules->route[clashes.v[i].first],
				     rules->route[clashes.v[i].second]);
		break;
	default:
		load->nomem = true;
	}
}

static void report_name(struct iso_load *load, uint32_t first, const char *name)
{
	char pointer[40], where[ISO_LOAD_WHERE_MAX];

	(void)snprintf(pointer, sizeof(pointer), "/routes/%u/name", first);
	iso_load_where(load, pointer, ISO_PLACE_VALUE, where);
	iso_load_error_in(load, "name", "give each route a name of its own",
			  "another route has the name \"%s\" already, in %s", name, where);
}

static void check_names(struct iso_load *load)
{
	const struct iso_snapshot *snapshot = load->snapshot;
	json_t *seen = json_object();
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("routes"));

	for (uint32_t i = 0; i < snapshot->route_count; i++) {
		const char *name = snapshot->routes[i].name.ptr;
		size_t at = iso_pointer_index(&load->at, i);

		if (json_object_get(seen, name) != NULL)
			report_name(load, (uint32_t)json_integer_value(json_object_get(seen, name)), name);
		else if (json_object_set_new(seen, name, json_integer(i)) != 0)
			load->nomem = true;
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
	json_decref(seen);
}

static void note_unused(struct iso_load *load)
{
	const struct iso_snapshot *snapshot = load->snapshot;
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("services"));
	uint64_t used = 0; /* there are at most 64 services */

	for (uint32_t i = 0; i < snapshot->route_count; i++) {
		if (snapshot->routes[i].service != NULL)
			used |= UINT64_C(1) << snapshot->routes[i].service->index;
	}
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		size_t at = iso_pointer_key(&load->at, snapshot->services[i].name);

		if ((used >> i & 1) == 0)
			iso_load_note(load, "add a route to it, or remove it",
				      "no route leads to this service");
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
}

/* No routes: the one service takes everything. */
static void build_implicit(struct iso_load *load, struct iso_cfg_route *route, struct rules *rules)
{
	const struct iso_snapshot *snapshot = load->snapshot;

	if (snapshot->service_count == 0)
		return; /* reported already */
	if (snapshot->service_count > 1) {
		size_t mark = iso_pointer_key(&load->at, ISO_SLICE("services"));

		iso_load_error(load, ISO_PLACE_KEY, "add \"routes\" that say which of them takes what",
			       "there are %u services and no routes", snapshot->service_count);
		iso_pointer_cut(&load->at, mark);
		return;
	}
	route->name = ISO_SLICE("default");
	route->service = &snapshot->services[0];
	route->region_mask = (uint16_t)((1u << route->service->region_count) - 1);
	route->policy = route->service->policy;
	iso_load_action_defaults(route);
	rules->v[rules->n++] = (struct iso_route_rule){ .host = ISO_SLICE("") };
	load->snapshot->route_count = 1;
	build_router(load, rules);
}

static void set_default_name(struct iso_load *load, uint32_t index, struct iso_cfg_route *route)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "routes/%u", index);
	route->name = iso_load_dup(load, iso_slice_str(text));
}

void iso_load_routes(struct iso_load *load, const json_t *root)
{
	json_t *array = iso_load_member(root, "routes"), *item;
	size_t count = json_array_size(array) + 1, mark, i;
	struct iso_cfg_route *routes = iso_load_alloc(load, count, sizeof(*routes));
	struct rules rules = { iso_load_alloc(load, count, sizeof(*rules.v)),
			       iso_load_alloc(load, count, sizeof(*rules.route)), 0 };

	if (load->nomem)
		return;
	load->snapshot->routes = routes;
	if (json_object_get(root, "routes") == NULL) {
		build_implicit(load, &routes[0], &rules);
		return;
	}
	mark = iso_pointer_key(&load->at, ISO_SLICE("routes"));
	json_array_foreach(array, i, item)
	{
		size_t at = iso_pointer_index(&load->at, i);

		set_default_name(load, load->snapshot->route_count, &routes[i]);
		if (!json_is_null(item)) {
			routes[i].pattern = iso_load_text(load, iso_load_member(item, "match"),
							  "routes[].match.path");
			build_route(load, item, &routes[i]);
			add_rule(load, item, (uint32_t)i, &rules);
		}
		load->snapshot->route_count++;
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
	if (load->nomem)
		return;
	build_router(load, &rules);
	check_names(load);
	if (load->diag->errors == 0)
		note_unused(load);
}
