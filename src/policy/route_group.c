/*
 * Rules that differ in their conditions alone: found by their exact values, ordered by rank. Pure.
 */
#include "route_priv.h"

/* More conditions first, then the lower `order`. */
static uint64_t rank_of(const struct iso_route_rule *rule)
{
	uint64_t order = (uint64_t)((int64_t)rule->order - INT32_MIN);

	return (uint64_t)(ISO_ROUTE_CONDITIONS_MAX - rule->condition_count) << 32 | order;
}

/* The next exact condition from *at on; NULL: none is left. */
static const struct iso_condition *exact_next(const struct iso_route_rule *rule, uint32_t *at)
{
	while (*at < rule->condition_count) {
		const struct iso_condition *condition = &rule->conditions[(*at)++];

		if (condition->of <= ISO_CONDITION_COOKIE && condition->is == ISO_CONDITION_EXACT)
			return condition;
	}
	return NULL;
}

static bool same_shape(const struct iso_route_rule *a, const struct iso_route_rule *b)
{
	uint32_t i = 0, k = 0;

	for (;;) {
		const struct iso_condition *ca = exact_next(a, &i), *cb = exact_next(b, &k);

		if (ca == NULL || cb == NULL)
			return ca == cb;
		if (ca->of != cb->of || !iso_slice_eq(ca->name, cb->name))
			return false;
	}
}

static bool disjoint(const struct iso_route_rule *a, const struct iso_route_rule *b)
{
	for (uint32_t i = 0; i < a->condition_count; i++) {
		for (uint32_t k = 0; k < b->condition_count; k++) {
			if (iso_condition_disjoint(&a->conditions[i], &b->conditions[k]))
				return true;
		}
	}
	return false;
}

static void check_clash(const struct iso_router *router, uint32_t first, uint32_t second,
			struct iso_route_clashes *clashes)
{
	const struct iso_route_rule *a = &router->rules[first], *b = &router->rules[second];

	if (first == second || rank_of(a) != rank_of(b))
		return;
	for (uint32_t i = 0; i < clashes->n; i++) {
		if (clashes->v[i].first == first && clashes->v[i].second == second)
			return;
	}
	if (clashes->n < ISO_ROUTE_CLASHES_MAX && !disjoint(a, b))
		clashes->v[clashes->n++] = (struct iso_route_clash){ first, second };
}

static struct group *group_of(struct iso_router *router, uint32_t *head, uint32_t rule)
{
	struct group *group;

	for (uint32_t ref = *head; ref != NONE; ref = router->groups[ref - 1].next) {
		group = &router->groups[ref - 1];
		if (same_shape(&router->rules[group->shape], &router->rules[rule]))
			return group;
	}
	group = &router->groups[router->group_count++];
	*group = (struct group){ rule, iso_route_node_add(router, NONE), *head, NONE };
	*head = router->group_count;
	return group;
}

/* Into the list of those with the same exact values. */
static void entry_insert(struct iso_router *router, uint32_t *first, uint32_t rule, struct group *group)
{
	uint64_t rank = rank_of(&router->rules[rule]);

	while (*first != NONE && rank_of(&router->rules[router->entries[*first - 1].rule]) <= rank)
		first = &router->entries[*first - 1].next;
	router->entries[router->entry_count++] = (struct entry){ rule, *first, group->entries };
	*first = group->entries = router->entry_count;
}

void iso_route_group_insert(struct iso_router *router, uint32_t *head, uint32_t rule,
			    struct iso_route_clashes *clashes)
{
	struct group *group = group_of(router, head, rule);
	const struct iso_condition *condition;
	uint32_t at = group->root, next = 0;

	while ((condition = exact_next(&router->rules[rule], &next)) != NULL)
		at = iso_route_child(router, at, condition->value);
	/* Those of its own group with other values cannot hold with it. */
	for (uint32_t e = iso_route_node(router, at)->exact; e != NONE; e = router->entries[e - 1].next)
		check_clash(router, router->entries[e - 1].rule, rule, clashes);
	for (uint32_t ref = *head; ref != NONE; ref = router->groups[ref - 1].next) {
		const struct group *other = &router->groups[ref - 1];

		for (uint32_t e = other == group ? NONE : other->entries; e != NONE;
		     e = router->entries[e - 1].next_in_group)
			check_clash(router, router->entries[e - 1].rule, rule, clashes);
	}
	entry_insert(router, &iso_route_node(router, at)->exact, rule, group);
}

/* What the edges have not said yet. */
static bool holds(const struct iso_route_rule *rule, const struct iso_route_request *request, uint32_t index)
{
	for (uint32_t i = 0; i < rule->condition_count; i++) {
		const struct iso_condition *condition = &rule->conditions[i];

		if (condition->is == ISO_CONDITION_EXACT && condition->of <= ISO_CONDITION_COOKIE)
			continue;
		if (!iso_condition_holds(condition, request, index))
			return false;
	}
	return true;
}

/* The first entry with the request's values; NONE. */
static uint32_t entries_of(const struct iso_router *router, const struct group *group,
			   const struct iso_route_request *request)
{
	const struct iso_condition *condition;
	uint32_t at = group->root, next = 0;

	while ((condition = exact_next(&router->rules[group->shape], &next)) != NULL) {
		struct iso_slice value;

		if (!iso_condition_value(condition, request, &value))
			return NONE;
		at = iso_route_edge(router, at, value)->to;
		if (at == NONE)
			return NONE;
	}
	return iso_route_node(router, at)->exact;
}

uint32_t iso_route_group_find(const struct iso_router *router, uint32_t head,
			      const struct iso_route_request *request)
{
	uint32_t best = NONE;
	uint64_t rank = UINT64_MAX;

	for (uint32_t ref = head; ref != NONE; ref = router->groups[ref - 1].next) {
		uint32_t e = entries_of(router, &router->groups[ref - 1], request);

		for (; e != NONE; e = router->entries[e - 1].next) {
			uint32_t rule = router->entries[e - 1].rule;

			if (rank_of(&router->rules[rule]) >= rank)
				break;
			if (!holds(&router->rules[rule], request, rule))
				continue;
			best = rule + 1;
			rank = rank_of(&router->rules[rule]);
			break;
		}
	}
	return best;
}
