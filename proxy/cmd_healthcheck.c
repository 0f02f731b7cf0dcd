/*
 * isochrone healthcheck: does the process here do its work? For containers and service managers, which have
 * no curl: 0 when /readyz says so (--alive: /healthz, which does not ask for regions), 1 with one line that
 * says why not.
 */
#include <stdlib.h>

#include "admin_get.h"
#include "cli.h"
#include "config_file.h"

enum { ANSWER_MAX = 4096 };

int cmd_healthcheck(int argc, char **argv)
{
	const char *path = NULL, *admin = NULL, *wait = "3s";
	bool alive = false;
	const struct cli_option options[] = {
		{ "--config", "-c", &path, NULL, NULL },
		{ "--admin", NULL, &admin, NULL, NULL },
		{ "--timeout", NULL, &wait, NULL, NULL },
		{ "--alive", NULL, NULL, &alive, NULL },
	};
	int code = cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL), status;
	struct iso_text answer;
	uint64_t wait_us;
	char *address;

	if (code != EXIT_OK)
		return code;
	if (!cli_duration_us(wait, &wait_us) || wait_us == 0) {
		fprintf(stderr, "isochrone healthcheck: --timeout wants a duration like 3s\n");
		return EXIT_USAGE;
	}
	if (!config_file_find_admin(admin, path, &address))
		return EXIT_FAILED;
	iso_text_init(&answer, ANSWER_MAX);
	status = admin_get_within(address, alive ? "/healthz" : "/readyz", wait_us, &answer);
	if (status == 200)
		printf("healthy\n");
	else if (status != 0) /* the first line, should it be somebody else's page */
		fprintf(stderr, "unhealthy: %.*s\n", (int)iso_slice_find(iso_text_slice(&answer), '\n'),
			answer.bytes);
	iso_text_done(&answer);
	free(address);
	return status == 200 ? EXIT_OK : EXIT_FAILED;
}
