/*
 * Routes with named segments and conditions: examples, and ten thousand random rule sets against a slow
 * matcher that compares every two rules by the documented order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/policy/route.h"

enum { RULES_MAX = 24, CONDITIONS = 3 };

struct rules {
	struct iso_route_rule v[RULES_MAX];
	struct iso_slice methods[RULES_MAX][2];
	struct iso_condition conditions[RULES_MAX][CONDITIONS];
	char text[RULES_MAX][2][48];
	uint32_t n;
};

static const struct iso_cidr networks[] = {
	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10 } }, 104 },       /* 10.0.0.0/8 */
	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1 } }, 112 },    /* 10.1.0.0/16 */
	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168 } }, 112 }, /* 192.168.0.0/16 */
};

/* ---- the slow matcher ---- */

static bool slow_host(struct iso_slice pattern, struct iso_slice host)
{
	if (pattern.len == 0)
		return true;
	if (pattern.ptr[0] != '*')
		return iso_slice_eq(pattern, host);
	return host.len > pattern.len - 1 &&
	       iso_slice_eq(iso_slice(pattern.ptr + 1, pattern.len - 1),
			    iso_slice(host.ptr + host.len - pattern.len + 1, pattern.len - 1));
}

/* The n-th part between slashes; false: there is none. */
static bool part(struct iso_slice path, uint32_t n, struct iso_slice *ret)
{
	for (uint32_t i = 0;; i++) {
		size_t end;

		if (path.len == 0 || path.ptr[0] != '/')
			return false;
		path = iso_slice(path.ptr + 1, path.len - 1);
		end = iso_slice_find(path, '/');
		if (i == n) {
			*ret = iso_slice(path.ptr, end);
			return true;
		}
		path = iso_slice(path.ptr + end, path.len - end);
	}
}

static bool is(struct iso_slice s, const char *text)
{
	return iso_slice_eq(s, iso_slice_str(text));
}

static bool slow_path(struct iso_slice pattern, struct iso_slice path)
{
	struct iso_slice want, have;

	path.len = iso_slice_find(path, '?');
	if (pattern.len == 0)
		return true;
	for (uint32_t i = 0;; i++) {
		bool more = part(pattern, i, &want), left = part(path, i, &have);

		if (more && is(want, "*"))
			return true;
		if (!more || !left)
			return more == left;
		if (want.len > 0 && want.ptr[0] == '{' ? have.len == 0 : !iso_slice_eq(want, have))
			return false;
	}
}

static bool slow_methods(const struct iso_route_rule *rule, struct iso_slice method)
{
	for (uint32_t i = 0; i < rule->method_count; i++) {
		if (iso_slice_eq(rule->methods[i], method))
			return true;
	}
	return rule->method_count == 0;
}

static bool slow_takes(const struct iso_route_rule *rule, uint32_t index,
		       const struct iso_route_request *request)
{
	if (!slow_host(rule->host, request->authority) || !slow_path(rule->path, request->path) ||
	    !slow_methods(rule, request->method))
		return false;
	for (uint32_t i = 0; i < rule->condition_count; i++) {
		if (!iso_condition_holds(&rule->conditions[i], request, index))
			return false;
	}
	return true;
}

static int host_class(struct iso_slice host)
{
	return host.len == 0 ? 0 : host.ptr[0] == '*' ? (int)host.len : 1000;
}

/* 3 written, 2 named, 1 star, 0 the end (which is more than a star: "/x" before "/x" and a star). */
static int compare_paths(struct iso_slice a, struct iso_slice b)
{
	if (a.len == 0 || b.len == 0)
		return (a.len > 0) - (b.len > 0);
	for (uint32_t i = 0;; i++) {
		struct iso_slice x, y;
		bool more_x = part(a, i, &x), more_y = part(b, i, &y);
		int class_x = !more_x ? 4 : is(x, "*") ? 1 : x.len > 0 && x.ptr[0] == '{' ? 2 : 3;
		int class_y = !more_y ? 4 : is(y, "*") ? 1 : y.len > 0 && y.ptr[0] == '{' ? 2 : 3;

		if (class_x != class_y)
			return class_x - class_y;
		if (!more_x || class_x == 1)
			return 0;
	}
}

/* Above 0: a goes before b. Both take one request. */
static int compare(const struct iso_route_rule *a, const struct iso_route_rule *b)
{
	int by = host_class(a->host) - host_class(b->host);

	by = by != 0 ? by : compare_paths(a->path, b->path);
	by = by != 0 ? by : (a->method_count > 0) - (b->method_count > 0);
	by = by != 0 ? by : (int)a->condition_count - (int)b->condition_count;
	return by != 0 ? by : b->order - a->order;
}

static uint32_t slow_find(const struct rules *r, const struct iso_route_request *request)
{
	uint32_t best = ISO_ROUTE_NONE;

	for (uint32_t i = 0; i < r->n; i++) {
		if (slow_takes(&r->v[i], i, request) &&
		    (best == ISO_ROUTE_NONE || compare(&r->v[i], &r->v[best]) > 0))
			best = i;
	}
	return best;
}

/* ---- random rules ---- */

static const char *const hosts[] = { "", "a.test", "*.test", "*.b.test", "x.b.test" };
static const char *const segments[] = { "a", "b", "{id}" };
static const char *const methods[] = { "GET", "PUT" };
static const char *const values[] = { "1", "2", "12" };

static struct iso_slice random_path(struct iso_rng *rng, char *buf, bool pattern)
{
	uint32_t parts = iso_rng_below(rng, 4);
	size_t n = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < parts; i++)
		n += (size_t)snprintf(buf + n, 48 - n, "/%s", segments[iso_rng_below(rng, pattern ? 3 : 2)]);
	if (pattern && n > 0 && iso_rng_below(rng, 3) == 0)
		n += (size_t)snprintf(buf + n, 48 - n, "/*");
	if (!pattern && n == 0)
		n = (size_t)snprintf(buf, 48, "/");
	return iso_slice(buf, n);
}

/* Of the kinds in their order, so that the list is sorted. */
static void random_conditions(struct iso_rng *rng, struct rules *r, struct iso_route_rule *rule)
{
	struct iso_condition *c = r->conditions[r->n];
	static const enum iso_condition_of kinds[] = { ISO_CONDITION_HEADER, ISO_CONDITION_QUERY,
						       ISO_CONDITION_CLIENT };

	rule->conditions = c;
	for (int i = 0; i < CONDITIONS; i++) {
		if (iso_rng_below(rng, 3) != 0)
			continue;
		c[rule->condition_count] = (struct iso_condition){
			.of = kinds[i],
			.name = ISO_SLICE("k"),
			.is = kinds[i] == ISO_CONDITION_CLIENT
				      ? ISO_CONDITION_PRESENT
				      : (enum iso_condition_is)iso_rng_below(rng, ISO_CONDITION_REGEX),
			.value = iso_slice_str(values[iso_rng_below(rng, 3)]),
			.networks = kinds[i] == ISO_CONDITION_CLIENT ? &networks[iso_rng_below(rng, 3)]
								     : NULL,
			.network_count = kinds[i] == ISO_CONDITION_CLIENT,
		};
		rule->condition_count++;
	}
}

static void random_rule(struct iso_rng *rng, struct rules *r)
{
	struct iso_route_rule *rule = &r->v[r->n];

	*rule = (struct iso_route_rule){ .methods = r->methods[r->n] };
	rule->host = iso_slice_str(hosts[iso_rng_below(rng, 5)]);
	rule->path = random_path(rng, r->text[r->n][1], true);
	rule->method_count = iso_rng_below(rng, 2);
	r->methods[r->n][0] = iso_slice_str(methods[iso_rng_below(rng, 2)]);
	random_conditions(rng, r, rule);
	rule->order = (int32_t)iso_rng_below(rng, 3) - 1;
	r->n++;
}

/* Adds rules one by one, and keeps those that clash with none before: the router says which. */
static const struct iso_router *random_router(struct iso_rng *rng, struct iso_arena *arena, struct rules *r,
					      uint32_t *clashed)
{
	const struct iso_router *router = NULL;
	uint32_t want = 1 + iso_rng_below(rng, RULES_MAX - 1);
	struct iso_route_clashes clashes;

	r->n = 0;
	for (uint32_t i = 0; i < want; i++) {
		random_rule(rng, r);
		if (iso_router_build(arena, r->v, r->n, &clashes, &router) == ISO_OK)
			continue;
		assert_int_equal(clashes.v[0].second, r->n - 1);
		assert_int_equal(compare(&r->v[clashes.v[0].first], &r->v[r->n - 1]), 0);
		r->n--;
		++*clashed;
	}
	assert_int_equal(iso_router_build(arena, r->v, r->n, &clashes, &router), ISO_OK);
	return router;
}

static void random_request(struct iso_rng *rng, struct iso_arena *arena, struct iso_route_request *request,
			   struct iso_fields *fields, char path[96])
{
	static const struct iso_ip clients[] = {
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3 } },
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 2, 2, 3 } },
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 0, 1 } },
	};
	uint32_t header = iso_rng_below(rng, 4), query = iso_rng_below(rng, 4),
		 client = iso_rng_below(rng, 4);
	size_t n = random_path(rng, path, false).len;

	if (query < 3)
		n += (size_t)snprintf(path + n, 96 - n, "?x=1&k=%s&k=9", values[query]);
	*fields = (struct iso_fields){ .n = 0 };
	if (header < 3)
		assert_int_equal(iso_fields_add(fields, arena, ISO_SLICE("k"), iso_slice_str(values[header])),
				 0);
	*request = (struct iso_route_request){
		.authority = iso_slice_str(hosts[1 + 3 * iso_rng_below(rng, 2)]),
		.path = iso_slice(path, n),
		.method = iso_slice_str(methods[iso_rng_below(rng, 2)]),
		.fields = fields,
		.client = client < 3 ? &clients[client] : NULL,
		.arena = arena,
		.draw = iso_rng_next(rng),
	};
}

static void test_random_rules_against_slow_matcher(void **state)
{
	uint32_t matched = 0, clashed = 0, several = 0;
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 20261124);
	for (int round = 0; round < 10000; round++) {
		static struct rules r;
		const struct iso_router *router;
		struct iso_arena arena;

		iso_arena_init(&arena, NULL, (size_t)8 << 20);
		router = random_router(&rng, &arena, &r, &clashed);
		for (int i = 0; i < 20; i++) {
			struct iso_route_request request;
			struct iso_fields fields;
			uint32_t want, takers = 0;
			char path[96];

			random_request(&rng, &arena, &request, &fields, path);
			want = slow_find(&r, &request);
			for (uint32_t k = 0; k < r.n; k++) {
				bool takes = slow_takes(&r.v[k], k, &request);

				takers += takes;
				/* No tie was let through. */
				assert_true(!takes || k == want || compare(&r.v[want], &r.v[k]) > 0);
			}
			assert_int_equal(iso_router_find(router, &request), want);
			matched += want != ISO_ROUTE_NONE;
			several += takers > 1;
		}
		iso_arena_done(&arena);
	}
	/* All outcomes were met often. */
	assert_in_range(matched, 50000, 190000);
	assert_true(several > 20000);
	assert_true(clashed > 100);
}

/* ---- examples ---- */

static void test_captures(void **state)
{
	static const struct {
		const char *pattern, *path, *name, *value;
	} cases[] = {
		{ "/a/{id}", "/a/7", "id", "7" },
		{ "/a/{id}", "/a/7?id=8", "id", "7" },
		{ "/{x}/{y}/*", "/1/2/3/4?q", "y", "2" },
		{ "/{x}/{y}/*", "/1/2/3/4?q", "rest", "3/4" },
		{ "/{x}/{y}/*", "/1/2", "rest", "" },
		{ "/{x}/{y}/*", "/1/2/", "rest", "" },
		{ "/*", "/1//2", "rest", "1//2" },
		{ "/a/{id}", "/a/7", "rest", NULL },
		{ "/a/{id}", "/a/7", "a", NULL },
		{ "/a", "/a", "id", NULL },
		{ "", "/a", "id", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_slice value = ISO_SLICE("none"), pattern = iso_slice_str(cases[i].pattern);
		bool found = iso_route_capture(pattern, iso_slice_str(cases[i].path),
					       iso_slice_str(cases[i].name), &value);

		assert_int_equal(found, cases[i].value != NULL);
		if (found)
			assert_true(is(value, cases[i].value));
		assert_int_equal(iso_route_captures(pattern, iso_slice_str(cases[i].name)),
				 cases[i].value != NULL);
	}
}

/* Of a hundred thousand draws the part that is asked, and two rules draw apart. */
static void test_percentage(void **state)
{
	const struct iso_condition tenth = { .of = ISO_CONDITION_PERCENTAGE, .share = UINT32_MAX / 10 };
	uint32_t first = 0, second = 0, both = 0;
	struct iso_route_request request = { .draw = 0 };
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 4);
	for (int i = 0; i < 100000; i++) {
		bool a, b;

		request.draw = iso_rng_next(&rng);
		a = iso_condition_holds(&tenth, &request, 0);
		b = iso_condition_holds(&tenth, &request, 1);
		first += a;
		second += b;
		both += a && b;
	}
	assert_in_range(first, 9600, 10400); /* four standard deviations */
	assert_in_range(second, 9600, 10400);
	assert_in_range(both, 870, 1130);
}

static void test_first_value_counts(void **state)
{
	struct iso_arena *arena = *state;
	struct iso_fields fields = { .n = 0 };
	struct iso_route_request request = { .path = ISO_SLICE("/?k=a%20b&k=c"),
					     .fields = &fields,
					     .arena = arena };
	struct iso_condition c = { .of = ISO_CONDITION_QUERY,
				   .is = ISO_CONDITION_EXACT,
				   .name = ISO_SLICE("k") };

	assert_int_equal(iso_fields_add(&fields, arena, ISO_SLICE("h"), ISO_SLICE("1")), ISO_OK);
	assert_int_equal(iso_fields_add(&fields, arena, ISO_SLICE("h"), ISO_SLICE("2")), ISO_OK);
	assert_int_equal(iso_fields_add(&fields, arena, ISO_SLICE("cookie"), ISO_SLICE("s=x; s=y")), ISO_OK);
	c.value = ISO_SLICE("a b");
	assert_true(iso_condition_holds(&c, &request, 0));
	c.value = ISO_SLICE("c");
	assert_false(iso_condition_holds(&c, &request, 0));
	c.of = ISO_CONDITION_HEADER;
	c.name = ISO_SLICE("h");
	c.value = ISO_SLICE("1");
	assert_true(iso_condition_holds(&c, &request, 0));
	c.value = ISO_SLICE("2");
	assert_false(iso_condition_holds(&c, &request, 0));
	c.of = ISO_CONDITION_COOKIE;
	c.name = ISO_SLICE("s");
	c.value = ISO_SLICE("x");
	assert_true(iso_condition_holds(&c, &request, 0));
	c.is = ISO_CONDITION_ABSENT;
	assert_false(iso_condition_holds(&c, &request, 0));
	c.name = ISO_SLICE("t");
	assert_true(iso_condition_holds(&c, &request, 0));
}

/* The whole value, bounded steps, words where it is none. */
static void test_regex(void **state)
{
	struct iso_arena *arena = *state;
	const struct iso_regex *regex = NULL;
	char why[ISO_REGEX_WHY_MAX] = "", many[5000];

	assert_int_equal(iso_regex_compile(arena, ISO_SLICE("v[12](-beta)?"), &regex, why), ISO_OK);
	assert_true(iso_regex_matches(regex, ISO_SLICE("v1")));
	assert_true(iso_regex_matches(regex, ISO_SLICE("v2-beta")));
	assert_false(iso_regex_matches(regex, ISO_SLICE("xv1")));
	assert_false(iso_regex_matches(regex, ISO_SLICE("v1x")));
	assert_false(iso_regex_matches(regex, ISO_SLICE("")));
	assert_int_equal(iso_regex_compile(arena, ISO_SLICE("a(b"), &regex, why), ISO_EBAD);
	assert_non_null(strstr(why, "parenthes"));
	assert_non_null(strstr(why, "character 4"));
	/* A pattern that backtracks without end gives up. */
	assert_int_equal(iso_regex_compile(arena, ISO_SLICE("(a+)+b"), &regex, why), ISO_OK);
	memset(many, 'a', sizeof(many));
	assert_false(iso_regex_matches(regex, iso_slice(many, sizeof(many))));
}

static int setup(void **state)
{
	struct iso_arena *arena = malloc(sizeof(*arena));

	if (arena == NULL)
		return -1;
	iso_arena_init(arena, NULL, (size_t)1 << 20);
	*state = arena;
	return 0;
}

static int teardown(void **state)
{
	iso_arena_done(*state);
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_rules_against_slow_matcher),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_percentage),
		cmocka_unit_test_setup_teardown(test_first_value_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_regex, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
