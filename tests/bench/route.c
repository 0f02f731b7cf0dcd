/*
 * What matching costs: the same ten requests against 10, 1,000 and 10,000 routes by host, path with a named
 * segment, method and, each third of them, a header's value. Prints nanoseconds; exits with 1 when the
 * slowest is beyond 1.5 times the fastest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "iso/base/clock.h"
#include "iso/policy/route.h"

enum { REQUESTS = 10, FINDS = 1000 * 1000, ROUNDS = 7, MOST = 10000 };

static struct iso_route_rule rules[MOST];
static struct iso_condition conditions[MOST];
static char text[MOST][3][48];

static void make_rule(uint32_t i)
{
	static const struct iso_slice get = { "GET", 3 };

	(void)snprintf(text[i][0], 48, "h%u.example.com", i % 10);
	(void)snprintf(text[i][1], 48, "/svc%u/{id}/items", i % 3 == 0 ? 0 : i);
	(void)snprintf(text[i][2], 48, "tenant-%u", i);
	rules[i] = (struct iso_route_rule){ .host = iso_slice_str(text[i][0]),
					    .path = iso_slice_str(text[i][1]),
					    .methods = &get,
					    .method_count = 1 };
	conditions[i] = (struct iso_condition){ .of = ISO_CONDITION_HEADER,
						.is = ISO_CONDITION_EXACT,
						.name = ISO_SLICE("x-tenant"),
						.value = iso_slice_str(text[i][2]) };
	if (i % 3 == 0) {
		rules[i].conditions = &conditions[i];
		rules[i].condition_count = 1;
	}
}

static struct iso_route_request make_request(uint32_t i, struct iso_fields *fields, struct iso_arena *arena,
					     char path[64])
{
	(void)snprintf(path, 64, "/svc%u/4711/items?page=2", i % 3 == 0 ? 0 : i);
	if (iso_fields_add(fields, arena, ISO_SLICE("accept"), ISO_SLICE("*/*")) != ISO_OK ||
	    iso_fields_add(fields, arena, ISO_SLICE("x-tenant"), iso_slice_str(text[i][2])) != ISO_OK)
		exit(EXIT_FAILURE);
	return (struct iso_route_request){ .authority = iso_slice_str(text[i][0]),
					   .path = iso_slice_str(path),
					   .method = ISO_SLICE("GET"),
					   .fields = fields,
					   .arena = arena };
}

/* The best of some rounds: the machine is shared. */
static double measure(const struct iso_router *router, const struct iso_route_request *requests)
{
	double best_ns = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t began_us = iso_clock_mono_us();
		double ns;

		for (uint32_t i = 0; i < FINDS; i++) {
			uint32_t k = i % REQUESTS;

			if (iso_router_find(router, &requests[k]) != k)
				exit(EXIT_FAILURE);
		}
		ns = (double)(iso_clock_mono_us() - began_us) * 1000 / FINDS;
		best_ns = ns < best_ns ? ns : best_ns;
	}
	return best_ns;
}

int main(void)
{
	static const uint32_t sizes[] = { 10, 1000, MOST };
	struct iso_route_request requests[REQUESTS];
	struct iso_fields fields[REQUESTS] = { 0 };
	double fastest = 1e9, slowest = 0;
	struct iso_arena arena;
	char paths[REQUESTS][64];

	iso_arena_init(&arena, NULL, (size_t)64 << 20);
	for (uint32_t i = 0; i < MOST; i++)
		make_rule(i);
	for (uint32_t i = 0; i < REQUESTS; i++)
		requests[i] = make_request(i, &fields[i], &arena, paths[i]);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		const struct iso_router *router = NULL;
		struct iso_route_clashes clashes;
		double ns;

		if (iso_router_build(&arena, rules, sizes[s], &clashes, &router) != ISO_OK)
			return EXIT_FAILURE;
		ns = measure(router, requests);
		printf("match, %u routes: %.1f ns\n", sizes[s], ns);
		fastest = ns < fastest ? ns : fastest;
		slowest = ns > slowest ? ns : slowest;
	}
	iso_arena_done(&arena);
	printf("slowest to fastest: %.2f\n", slowest / fastest);
	return slowest <= 1.5 * fastest ? EXIT_SUCCESS : EXIT_FAILURE;
}
