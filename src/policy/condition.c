/*
 * See condition.h.
 */
#include "iso/policy/condition.h"

#include "iso/http/cookie.h"
#include "iso/http/uri.h"

bool iso_condition_value(const struct iso_condition *condition, const struct iso_route_request *request,
			 struct iso_slice *ret_value)
{
	struct iso_cookie_walk walk = { 0 };
	const struct iso_field *field;

	if (condition->of == ISO_CONDITION_QUERY)
		return iso_uri_query_get(request->arena, request->path, condition->name, ret_value);
	if (request->fields == NULL)
		return false;
	if (condition->of == ISO_CONDITION_COOKIE)
		return iso_cookie_next(&walk, request->fields, condition->name, ret_value);
	field = iso_fields_find(request->fields, condition->name);
	if (field != NULL)
		*ret_value = field->value;
	return field != NULL;
}

static bool value_holds(const struct iso_condition *c, const struct iso_route_request *request)
{
	struct iso_slice value;

	if (!iso_condition_value(c, request, &value))
		return c->is == ISO_CONDITION_ABSENT;
	switch (c->is) {
	case ISO_CONDITION_PRESENT:
		return true;
	case ISO_CONDITION_ABSENT:
		return false;
	case ISO_CONDITION_EXACT:
		return iso_slice_eq(value, c->value);
	case ISO_CONDITION_PREFIX:
		return iso_slice_starts(value, c->value);
	case ISO_CONDITION_REGEX:
		break;
	}
	return iso_regex_matches(c->regex, value);
}

static bool client_holds(const struct iso_condition *c, const struct iso_ip *client)
{
	for (uint32_t i = 0; client != NULL && i < c->network_count; i++) {
		if (iso_cidr_has(&c->networks[i], client))
			return true;
	}
	return false;
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014): the draws of two rules do not hang together. */
static uint32_t draw_of(uint64_t draw, uint32_t rule)
{
	uint64_t z = draw + (rule + 1u) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

bool iso_condition_holds(const struct iso_condition *condition, const struct iso_route_request *request,
			 uint32_t rule)
{
	switch (condition->of) {
	case ISO_CONDITION_CLIENT:
		return client_holds(condition, request->client);
	case ISO_CONDITION_PERCENTAGE:
		return condition->share == UINT32_MAX || draw_of(request->draw, rule) < condition->share;
	default:
		return value_holds(condition, request);
	}
}

static bool networks_disjoint(const struct iso_condition *a, const struct iso_condition *b)
{
	for (uint32_t i = 0; i < a->network_count; i++) {
		for (uint32_t k = 0; k < b->network_count; k++) {
			if (iso_cidr_overlap(&a->networks[i], &b->networks[k]))
				return false;
		}
	}
	return true;
}

bool iso_condition_disjoint(const struct iso_condition *a, const struct iso_condition *b)
{
	if (a->of != b->of || a->of == ISO_CONDITION_PERCENTAGE)
		return false;
	if (a->of == ISO_CONDITION_CLIENT)
		return networks_disjoint(a, b);
	if (!iso_slice_eq(a->name, b->name))
		return false;
	if (a->is == ISO_CONDITION_ABSENT || b->is == ISO_CONDITION_ABSENT)
		return a->is != b->is;
	if (a->is == ISO_CONDITION_EXACT && b->is == ISO_CONDITION_REGEX)
		return !iso_regex_matches(b->regex, a->value);
	if (a->is == ISO_CONDITION_REGEX && b->is == ISO_CONDITION_EXACT)
		return !iso_regex_matches(a->regex, b->value);
	if (a->is == ISO_CONDITION_EXACT && b->is == ISO_CONDITION_EXACT)
		return !iso_slice_eq(a->value, b->value);
	if (a->is == ISO_CONDITION_EXACT && b->is == ISO_CONDITION_PREFIX)
		return !iso_slice_starts(a->value, b->value);
	if (a->is == ISO_CONDITION_PREFIX && b->is == ISO_CONDITION_EXACT)
		return !iso_slice_starts(b->value, a->value);
	return a->is == ISO_CONDITION_PREFIX && b->is == ISO_CONDITION_PREFIX &&
	       !iso_slice_starts(a->value, b->value) && !iso_slice_starts(b->value, a->value);
}
