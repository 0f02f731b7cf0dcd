/*
 * isochrone status: what a running proxy thinks of its regions, as a table; /status has it all.
 */
#include <jansson.h>
#include <stdlib.h>

#include "admin_get.h"
#include "cli.h"
#include "config_file.h"

enum { DOCUMENT_MAX = 16 * 1024 * 1024 };

static void print_ms(const json_t *value)
{
	if (json_is_number(value))
		printf(" %9.1f", json_number_value(value));
	else
		printf(" %9s", "-");
}

static void print_region(const char *name, const json_t *region)
{
	const json_t *latency = json_object_get(region, "latency_ms");
	const char *state = json_string_value(json_object_get(region, "state"));
	const char *why = json_string_value(json_object_get(region, "why"));
	static const char *const columns[] = { "estimate", "p50", "p95", "p99" };

	printf("  %-20s %-10s %6.1f %%", name, state != NULL ? state : "-",
	       100 * json_number_value(json_object_get(region, "share")));
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		print_ms(json_object_get(latency, columns[i]));
	printf(" %9lld%s%s\n", (long long)json_integer_value(json_object_get(region, "in_flight")),
	       why != NULL ? "  " : "", why != NULL ? why : "");
}

static void print_lane(const char *name, const json_t *lane)
{
	const json_t *latency = json_object_get(lane, "latency_ms");
	static const char *const columns[] = { "estimate", "p50", "p95", "p99" };

	printf("    %-18s %-10s %6.1f %%", name, "", 100 * json_number_value(json_object_get(lane, "share")));
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		print_ms(json_object_get(latency, columns[i]));
	printf("\n");
}

/* The routes that are measured by themselves. */
static void print_routes(json_t *routes)
{
	const char *name, *key;
	json_t *route, *lane;

	json_object_foreach(routes, name, route)
	{
		const char *policy = json_string_value(json_object_get(route, "policy"));

		printf("  route %s, policy %s\n", name, policy != NULL ? policy : "-");
		json_object_foreach(json_object_get(route, "regions"), key, lane)
		{
			print_lane(key, lane);
		}
	}
}

static void print_service(const char *name, const json_t *service)
{
	json_t *regions = json_object_get(service, "regions"), *region;
	const char *policy = json_string_value(json_object_get(service, "policy")), *key;

	printf("\nservice %s, policy %s%s\n", name, policy != NULL ? policy : "-",
	       json_is_true(json_object_get(service, "fail_open"))
		       ? ": no region is up, requests go to all that are not drained"
		       : "");
	printf("  %-20s %-10s %8s %9s %9s %9s %9s %9s\n", "region", "state", "share", "ms", "p50", "p95",
	       "p99", "in flight");
	json_object_foreach(regions, key, region)
	{
		print_region(key, region);
	}
	print_routes(json_object_get(service, "routes"));
}

static int print_table(const struct iso_text *answer)
{
	json_t *root = json_loadb(answer->bytes, answer->len, 0, NULL), *service;
	const char *version = json_string_value(json_object_get(root, "version")), *name;

	if (version == NULL) {
		fprintf(stderr, "isochrone status: the answer is not that of an admin API\n");
		json_decref(root);
		return EXIT_FAILED;
	}
	printf("isochrone %s, up for %.0f s, configuration %lld of %s%s%s\n", version,
	       json_number_value(json_object_get(root, "uptime_s")),
	       (long long)json_integer_value(json_object_get(root, "generation")),
	       json_string_value(json_object_get(root, "config")),
	       json_is_true(json_object_get(root, "draining")) ? ", draining" : "",
	       json_is_true(json_object_get(root, "uplink_down")) ? ", no region can be reached" : "");
	json_object_foreach(json_object_get(root, "services"), name, service)
	{
		print_service(name, service);
	}
	json_decref(root);
	return EXIT_OK;
}

int cmd_status(int argc, char **argv)
{
	const char *path = NULL, *admin = NULL;
	bool json = false;
	const struct cli_option options[] = {
		{ "--config", "-c", &path, NULL, NULL },
		{ "--admin", NULL, &admin, NULL, NULL },
		{ "--json", NULL, NULL, &json, NULL },
	};
	int code = cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL), status;
	struct iso_text answer;
	char *address;

	if (code != EXIT_OK)
		return code;
	if (!config_file_find_admin(admin, path, &address))
		return EXIT_FAILED;
	iso_text_init(&answer, DOCUMENT_MAX);
	status = admin_get(address, "/status", &answer);
	code = EXIT_FAILED;
	if (status == 200 && json)
		code = fwrite(answer.bytes, 1, answer.len, stdout) == answer.len ? EXIT_OK : EXIT_FAILED;
	else if (status == 200)
		code = print_table(&answer);
	else if (status != 0)
		fprintf(stderr, "isochrone status: %s answers %d\n", address, status);
	iso_text_done(&answer);
	free(address);
	return code;
}
