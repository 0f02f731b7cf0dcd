/*
 * The router against examples, malformed patterns, and a slow matcher that is obviously right, on random
 * rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/policy/route.h"

struct rules {
	struct iso_route_rule v[64];
	struct iso_slice methods[64][4];
	uint32_t n;
};

static void add(struct rules *r, const char *host, const char *path, const char *m1, const char *m2)
{
	struct iso_route_rule *rule = &r->v[r->n];

	rule->host = iso_slice_str(host);
	rule->path = iso_slice_str(path);
	rule->methods = r->methods[r->n];
	rule->method_count = 0;
	if (m1 != NULL)
		r->methods[r->n][rule->method_count++] = iso_slice_str(m1);
	if (m2 != NULL)
		r->methods[r->n][rule->method_count++] = iso_slice_str(m2);
	r->n++;
}

static uint32_t find(const struct iso_router *router, const char *authority, const char *path,
		     const char *method)
{
	const struct iso_route_request request = { .authority = iso_slice_str(authority),
						   .path = iso_slice_str(path),
						   .method = iso_slice_str(method) };

	return iso_router_find(router, &request);
}

static const struct iso_router *build(struct iso_arena *arena, const struct rules *r)
{
	const struct iso_router *router = NULL;
	struct iso_route_clashes clashes;

	assert_int_equal(iso_router_build(arena, r->v, r->n, &clashes, &router), ISO_OK);
	return router;
}

static int setup(void **state)
{
	struct iso_arena *arena = malloc(sizeof(*arena));

	if (arena == NULL)
		return -1;
	iso_arena_init(arena, NULL, (size_t)64 << 20);
	*state = arena;
	return 0;
}

static int teardown(void **state)
{
	iso_arena_done(*state);
	free(*state);
	return 0;
}

static void test_order_of_specificity(void **state)
{
	struct rules r = { .n = 0 };
	const struct iso_router *router;

	add(&r, "", "", NULL, NULL);                         /* 0 */
	add(&r, "*.example.com", "/a/*", NULL, NULL);        /* 1 */
	add(&r, "*.eu.example.com", "/a/*", NULL, NULL);     /* 2 */
	add(&r, "api.eu.example.com", "/a/*", NULL, NULL);   /* 3 */
	add(&r, "api.eu.example.com", "/a/b", NULL, NULL);   /* 4 */
	add(&r, "api.eu.example.com", "/a/b", "GET", "PUT"); /* 5 */
	add(&r, "api.eu.example.com", "/a/b/*", NULL, NULL); /* 6 */
	add(&r, "api.eu.example.com", "", "POST", NULL);     /* 7 */
	router = build(*state, &r);
	assert_int_equal(find(router, "other.org", "/a/b", "GET"), 0);
	assert_int_equal(find(router, "example.com", "/a/b", "GET"), 0); /* a wildcard needs a label */
	assert_int_equal(find(router, "x.example.com", "/a", "GET"), 1);
	assert_int_equal(find(router, "x.y.example.com", "/a/", "GET"), 1);
	assert_int_equal(find(router, "eu.example.com", "/a/q", "GET"), 1);
	assert_int_equal(find(router, "x.eu.example.com", "/a/q", "GET"), 2);
	assert_int_equal(find(router, "api.eu.example.com", "/a", "GET"), 3);
	assert_int_equal(find(router, "api.eu.example.com", "/a/bb", "GET"), 3);
	assert_int_equal(find(router, "api.eu.example.com", "/a/b", "HEAD"), 4);
	assert_int_equal(find(router, "api.eu.example.com", "/a/b", "PUT"), 5);
	assert_int_equal(find(router, "api.eu.example.com", "/a/b", "get"), 4); /* methods have a case */
	assert_int_equal(find(router, "api.eu.example.com", "/a/b/", "GET"), 6);
	assert_int_equal(find(router, "api.eu.example.com", "/c", "POST"), 7);
	assert_int_equal(find(router, "api.eu.example.com", "/c", "GET"), 0); /* falls through to the next
										 host */
}

static void test_authority_forms(void **state)
{
	struct rules r = { .n = 0 };
	const struct iso_router *router;

	add(&r, "api.example.com", "", NULL, NULL);
	add(&r, "[2001:db8::1]", "", NULL, NULL);
	add(&r, "192.0.2.1", "", NULL, NULL);
	router = build(*state, &r);
	assert_int_equal(find(router, "API.Example.COM:8443", "/", "GET"), 0);
	assert_int_equal(find(router, "api.example.com.", "/", "GET"), 0);
	assert_int_equal(find(router, "api.example.com.:80", "/", "GET"), 0);
	assert_int_equal(find(router, "[2001:DB8::1]:443", "/", "GET"), 1);
	assert_int_equal(find(router, "192.0.2.1:80", "/", "GET"), 2);
	assert_int_equal(find(router, "", "/", "GET"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, ".", "/", "GET"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, "..", "/", "GET"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, ":443", "/", "GET"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, "[", "/", "GET"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, ".api.example.com", "/", "GET"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, "xapi.example.com", "/", "GET"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, "com", "/", "GET"), ISO_ROUTE_NONE);
}

static uint32_t find_any(const struct iso_router *router, struct iso_slice authority)
{
	const struct iso_route_request request = { .authority = authority,
						   .path = ISO_SLICE("/any"),
						   .method = ISO_SLICE("GET") };

	return iso_router_find(router, &request);
}

static void test_long_host_matches_no_name(void **state)
{
	struct rules r = { .n = 0 };
	const struct iso_router *router;
	char host[300];

	add(&r, "*.example.com", "", NULL, NULL);
	add(&r, "", "/any", NULL, NULL);
	router = build(*state, &r);
	memset(host, 'a', sizeof(host));
	memcpy(host + sizeof(host) - 12, ".example.com", 12);
	assert_int_equal(find_any(router, iso_slice(host, sizeof(host))), 1);
	assert_int_equal(find_any(router, iso_slice(host + 45, 255)), 0);
	assert_int_equal(find_any(router, iso_slice(host + 44, 256)), 1);
}

static void test_paths(void **state)
{
	struct rules r = { .n = 0 };
	const struct iso_router *router;

	add(&r, "", "/", NULL, NULL);      /* 0 */
	add(&r, "", "/*", NULL, NULL);     /* 1 */
	add(&r, "", "/x/*", NULL, NULL);   /* 2 */
	add(&r, "", "/x/y/", NULL, NULL);  /* 3 */
	add(&r, "", "/x//z", NULL, NULL);  /* 4 */
	add(&r, "", "/x/y/*", NULL, NULL); /* 5 */
	router = build(*state, &r);
	assert_int_equal(find(router, "h", "/", "GET"), 0);
	assert_int_equal(find(router, "h", "/?a=/x/y", "GET"), 0);
	assert_int_equal(find(router, "h", "/q", "GET"), 1);
	assert_int_equal(find(router, "h", "//", "GET"), 1);
	assert_int_equal(find(router, "h", "/xx", "GET"), 1);
	assert_int_equal(find(router, "h", "/X", "GET"), 1);
	assert_int_equal(find(router, "h", "/x", "GET"), 2);
	assert_int_equal(find(router, "h", "/x?q", "GET"), 2);
	assert_int_equal(find(router, "h", "/x//", "GET"), 2);
	assert_int_equal(find(router, "h", "/x//z", "GET"), 4);
	assert_int_equal(find(router, "h", "/x/y", "GET"), 5);
	assert_int_equal(find(router, "h", "/x/y/", "GET"), 3);
	assert_int_equal(find(router, "h", "/x/y/z/w", "GET"), 5);
	assert_int_equal(find(router, "h", "*", "OPTIONS"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, "h", "", "GET"), ISO_ROUTE_NONE);
	assert_int_equal(find(router, "h", "x", "GET"), ISO_ROUTE_NONE);
}

static void test_asterisk_form(void **state)
{
	struct rules r = { .n = 0 };
	const struct iso_router *router;

	add(&r, "h", "/*", NULL, NULL);
	add(&r, "", "", "OPTIONS", NULL);
	router = build(*state, &r);
	assert_int_equal(find(router, "h", "*", "OPTIONS"), 1);
	assert_int_equal(find(router, "h", "*", "GET"), ISO_ROUTE_NONE);
}

static void test_no_rules(void **state)
{
	struct rules r = { .n = 0 };

	assert_int_equal(find(build(*state, &r), "h", "/", "GET"), ISO_ROUTE_NONE);
}

static void test_clashes(void **state)
{
	struct rules r = { .n = 0 };
	const struct iso_router *router = NULL;
	struct iso_route_clashes c = { .n = 0 };

	add(&r, "h", "/a", "GET", "PUT");
	add(&r, "h", "/a", "PUT", "GET");
	add(&r, "h", "/b", NULL, NULL);
	add(&r, "h", "/a", NULL, NULL); /* less specific than 0: no clash */
	add(&r, "h", "/b", NULL, NULL);
	add(&r, "g", "/b", NULL, NULL);
	add(&r, "h", "/b/*", NULL, NULL);
	add(&r, "h", "/a", "HEAD", "HEAD");
	assert_int_equal(iso_router_build(*state, r.v, r.n, &c, &router), ISO_EEXISTS);
	assert_null(router);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.v[0].first, 0);
	assert_int_equal(c.v[0].second, 1);
	assert_int_equal(c.v[1].first, 2);
	assert_int_equal(c.v[1].second, 4);
}

static void test_clashes_are_bounded(void **state)
{
	struct rules r = { .n = 0 };
	const struct iso_router *router = NULL;
	struct iso_route_clashes c;

	for (int i = 0; i < 40; i++)
		add(&r, "", "", NULL, NULL);
	assert_int_equal(iso_router_build(*state, r.v, r.n, &c, &router), ISO_EEXISTS);
	assert_int_equal(c.n, ISO_ROUTE_CLASHES_MAX);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	for (size_t max = 0; max < 4096; max += 64) {
		struct rules r = { .n = 0 };
		struct iso_arena arena;
		const struct iso_router *router = NULL;
		struct iso_route_clashes c;
		int err;

		add(&r, "a.b", "/c/d", "GET", NULL);
		iso_arena_init(&arena, NULL, max);
		err = iso_router_build(&arena, r.v, r.n, &c, &router);
		assert_true(err == ISO_ENOMEM ? router == NULL : router != NULL);
		iso_arena_done(&arena);
	}
}

static void test_host_patterns(void **state)
{
	static const char *const good[] = { "a",        "*.a",           "api.example.com", "*.example.com",
					    "10.0.0.1", "[2001:db8::1]", "a_b.c-d" };
	static const char *const bad[] = { "",     "*",   "*.",   "*a.b",         "a.*",   "*.*.b",
					   ".a",   "a.",  "a..b", "A.b",          "a:80",  "[::1]:80",
					   "[::1", "a b", "a/b",  "\xc3\xa9.com", "a.*.b", "a*b" };
	char longer[257];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(iso_route_host_problem(iso_slice_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(iso_route_host_problem(iso_slice_str(bad[i])));
	for (size_t i = 0; i < sizeof(longer); i++)
		longer[i] = i % 2 == 0 ? 'a' : '.';
	assert_null(iso_route_host_problem(iso_slice(longer, 255)));
	assert_non_null(iso_route_host_problem(iso_slice(longer, 257)));
	memset(longer, 'a', sizeof(longer));
	assert_null(iso_route_host_problem(iso_slice(longer, 63)));
	assert_non_null(iso_route_host_problem(iso_slice(longer, 64)));
}

static void test_path_patterns(void **state)
{
	static const char *const good[] = { "/",      "/*",      "/a",   "/a/",     "/a/*",    "/a//b",
					    "/a%2Fb", "/a.b/.c", "/...", "/a/{id}", "/{a_1}/*" };
	static const char *const bad[] = { "",       "*",      "a",        "a/*",      "/a*",     "/*/a",
					   "/a/*/*", "/**",    "/a?b",     "/a#b",     "/a/{Id}", "/a b",
					   "/a/{}",  "/a/{id", "/a/x{id}", "/{id}x",   "/a/../b", "/./a",
					   "/a/.",   "/a/..",  "/\x01",    "/\xc3\xa9" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(iso_route_path_problem(iso_slice_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(iso_route_path_problem(iso_slice_str(bad[i])));
}

/* The slow matcher: specificity as numbers, straight from the documented order. -1: no match. */

static int slow_host(const char *pattern, const char *host)
{
	size_t p = strlen(pattern), h = strlen(host);

	if (p == 0)
		return 0;
	if (strncmp(pattern, "*.", 2) == 0)
		return h > p - 1 && strcmp(host + h - (p - 1), pattern + 1) == 0 ? (int)p : -1;
	return strcmp(pattern, host) == 0 ? 1000 : -1;
}

static int slow_path(const char *pattern, const char *path)
{
	size_t p = strlen(pattern);

	if (p == 0)
		return 0;
	if (pattern[p - 1] == '*') {
		if (strncmp(pattern, path, p - 1) == 0)
			return (int)p;
		return strlen(path) == p - 2 && strncmp(pattern, path, p - 2) == 0 && p > 2 ? (int)p : -1;
	}
	return strcmp(pattern, path) == 0 ? 1000 : -1;
}

static uint32_t slow_find(const struct rules *r, const char *host, const char *path, const char *method)
{
	uint32_t best = ISO_ROUTE_NONE;
	int best_score = -1;

	for (uint32_t i = 0; i < r->n; i++) {
		int h = slow_host(r->v[i].host.ptr, host), p = slow_path(r->v[i].path.ptr, path);
		int m = r->v[i].method_count == 0 ? 0 : -1, score;

		for (uint32_t k = 0; k < r->v[i].method_count; k++)
			m = strcmp(r->v[i].methods[k].ptr, method) == 0 ? 1 : m;
		if (h < 0 || p < 0 || m < 0)
			continue;
		score = (h * 2000 + p) * 2 + m;
		assert_int_not_equal(score, best_score); /* the builder would have said so */
		if (score > best_score) {
			best = i;
			best_score = score;
		}
	}
	return best;
}

static bool slow_overlap(const struct rules *r, uint32_t a, uint32_t b)
{
	const struct iso_route_rule *x = &r->v[a], *y = &r->v[b];

	if (!iso_slice_eq(x->host, y->host) || !iso_slice_eq(x->path, y->path))
		return false;
	if (x->method_count == 0 && y->method_count == 0)
		return true;
	for (uint32_t i = 0; i < x->method_count; i++) {
		for (uint32_t k = 0; k < y->method_count; k++) {
			if (iso_slice_eq(x->methods[i], y->methods[k]))
				return true;
		}
	}
	return false;
}

static const char *const some_methods[] = { "GET", "PUT", "POST" };

/* Few texts, so that patterns meet: labels a and b, segments a, b and the empty one. */
static const char *random_host(struct iso_rng *rng, char *buf, size_t size, bool pattern)
{
	uint32_t labels = 1 + iso_rng_below(rng, 3);
	size_t n = 0;

	buf[0] = '\0';
	if (pattern && iso_rng_below(rng, 5) == 0)
		return buf;
	if (pattern && iso_rng_below(rng, 2) == 0)
		n += (size_t)snprintf(buf, size, "*.");
	for (uint32_t i = 0; i < labels; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%c", i > 0 ? "." : "",
				      'a' + (char)iso_rng_below(rng, 2));
	return buf;
}

static const char *random_path(struct iso_rng *rng, char *buf, size_t size, bool pattern)
{
	static const char *const segments[] = { "", "a", "b", "ab" };
	uint32_t count = 1 + iso_rng_below(rng, 4);
	size_t n = 0;

	buf[0] = '\0';
	if (pattern && iso_rng_below(rng, 6) == 0)
		return buf;
	for (uint32_t i = 0; i < count; i++)
		n += (size_t)snprintf(buf + n, size - n, "/%s", segments[iso_rng_below(rng, 4)]);
	if (pattern && iso_rng_below(rng, 2) == 0)
		(void)snprintf(buf + n, size - n, "/*");
	return buf;
}

static void random_rules(struct iso_rng *rng, struct rules *r, char text[64][2][32])
{
	uint32_t want = 1 + iso_rng_below(rng, 48);

	r->n = 0;
	for (uint32_t i = 0; i < want; i++) {
		uint32_t methods = iso_rng_below(rng, 3), first = iso_rng_below(rng, 3);

		add(r, random_host(rng, text[r->n][0], 32, true), random_path(rng, text[r->n][1], 32, true),
		    methods > 0 ? some_methods[first] : NULL,
		    methods > 1 ? some_methods[(first + 1) % 3] : NULL);
		for (uint32_t k = 0; k + 1 < r->n; k++) {
			if (slow_overlap(r, k, r->n - 1)) {
				r->n--;
				break;
			}
		}
	}
}

static void test_random_rules_against_slow_matcher(void **state)
{
	static char text[64][2][32];
	struct iso_rng rng;
	uint32_t matched = 0;

	(void)state;
	iso_rng_seed(&rng, 20240229);
	for (int round = 0; round < 300; round++) {
		static struct rules r;
		struct iso_arena arena;
		const struct iso_router *router;

		iso_arena_init(&arena, NULL, (size_t)1 << 20);
		random_rules(&rng, &r, text);
		router = build(&arena, &r);
		for (int i = 0; i < 400; i++) {
			char host[32], path[32];
			const char *method = some_methods[iso_rng_below(&rng, 3)];
			uint32_t want;

			random_host(&rng, host, sizeof(host), false);
			random_path(&rng, path, sizeof(path), false);
			want = slow_find(&r, host, path, method);
			assert_int_equal(find(router, host, path, method), want);
			matched += want != ISO_ROUTE_NONE;
		}
		iso_arena_done(&arena);
	}
	assert_in_range(matched, 300 * 100, 300 * 399); /* both outcomes were met often */
}

static void test_random_rules_report_each_overlap(void **state)
{
	static char text[64][2][32];
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 7);
	for (int round = 0; round < 200; round++) {
		static struct rules r;
		struct iso_arena arena;
		const struct iso_router *router = NULL;
		struct iso_route_clashes c = { .n = 0 };
		uint32_t a, b;

		iso_arena_init(&arena, NULL, (size_t)1 << 20);
		random_rules(&rng, &r, text);
		a = iso_rng_below(&rng, r.n);
		b = r.n++;
		r.v[b] = r.v[a]; /* one rule twice */
		assert_int_equal(iso_router_build(&arena, r.v, r.n, &c, &router), ISO_EEXISTS);
		assert_int_equal(c.n, 1);
		assert_int_equal(c.v[0].first, a);
		assert_int_equal(c.v[0].second, b);
		iso_arena_done(&arena);
	}
}

/* Ten thousand rules: each finds itself, and the table stays within its promise. */
static void test_many_rules(void **state)
{
	enum { COUNT = 10000 };
	struct iso_route_rule *rules = calloc(COUNT, sizeof(*rules));
	char(*text)[2][48] = calloc(COUNT, sizeof(*text));
	const struct iso_router *router = NULL;
	struct iso_route_clashes c;

	assert_non_null(rules);
	assert_non_null(text);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(text[i][0], 48, i % 3 == 0 ? "*.h%d.example.com" : "h%d.example.com", i % 100);
		(void)snprintf(text[i][1], 48, i % 2 == 0 ? "/svc/v%d/*" : "/svc/v%d", i);
		rules[i].host = iso_slice_str(text[i][0]);
		rules[i].path = iso_slice_str(text[i][1]);
	}
	assert_int_equal(iso_router_build(*state, rules, COUNT, &c, &router), ISO_OK);
	for (int i = 0; i < COUNT; i++) {
		char host[48], path[48];

		(void)snprintf(host, sizeof(host), "%sh%d.example.com", i % 3 == 0 ? "w." : "", i % 100);
		(void)snprintf(path, sizeof(path), i % 2 == 0 ? "/svc/v%d/tail" : "/svc/v%d", i);
		assert_int_equal(find(router, host, path, "GET"), i);
	}
	assert_int_equal(find(router, "h1.example.com", "/svc/v2", "GET"), ISO_ROUTE_NONE);
	free(text);
	free(rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_of_specificity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_authority_forms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_host_matches_no_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asterisk_form, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clashes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clashes_are_bounded, setup, teardown),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_host_patterns),
		cmocka_unit_test(test_path_patterns),
		cmocka_unit_test(test_random_rules_against_slow_matcher),
		cmocka_unit_test(test_random_rules_report_each_overlap),
		cmocka_unit_test_setup_teardown(test_many_rules, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
