/*
 * What matching costs: the same ten requests against 10, 1,000 and 10,000 routes by host, path with a named
 * segment, method and, each third of them, a header's value. Prints nanoseconds; exits with 1 when the
 * slowest is beyond 1.5 times the fastest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "iso/base/clock.h"
#include "iso/policy/route.h"

enum { REQUESTS = 10, FINDS = 100 * 1000, ROUNDS = 70, SIZES = 3, MOST = 10000 };

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

static double measure(const struct iso_router *router, const struct iso_route_request *requests)
{
	uint64_t began_us = iso_clock_mono_us();

	for (uint32_t i = 0; i < FINDS; i++) {
		uint32_t k = i % REQUESTS;

		if (iso_router_find(router, &requests[k]) != k)
			exit(EXIT_FAILURE);
	}
	return (double)(iso_clock_mono_us() - began_us) * 1000 / FINDS;
}

int main(void)
{
	static const uint32_t sizes[SIZES] = { 10, 1000, MOST };
	const struct iso_router *routers[SIZES] = { NULL };
	double best_ns[SIZES] = { 1e9, 1e9, 1e9 };
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
	for (int s = 0; s < SIZES; s++) {
		struct iso_route_clashes clashes;

		if (iso_router_build(&arena, rules, sizes[s], &clashes, &routers[s]) != ISO_OK)
			return EXIT_FAILURE;
	}
	/* The best of many short rounds, in turn: the machine is shared. */
	for (int round = 0; round < ROUNDS; round++)
		for (int s = 0; s < SIZES; s++) {
			double ns = measure(routers[s], requests);

			best_ns[s] = ns < best_ns[s] ? ns : best_ns[s];
		}
	for (int s = 0; s < SIZES; s++) {
		printf("match, %u routes: %.1f ns\n", sizes[s], best_ns[s]);
		fastest = best_ns[s] < fastest ? best_ns[s] : fastest;
		slowest = best_ns[s] > slowest ? best_ns[s] : slowest;
	}
	iso_arena_done(&arena);
	printf("slowest to fastest: %.2f\n", slowest / fastest);
	return slowest <= 1.5 * fastest ? EXIT_SUCCESS : EXIT_FAILURE;
}
