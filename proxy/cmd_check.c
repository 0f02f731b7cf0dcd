/*
 * isochrone check: every mistake of a configuration file, its place and its mend.
 */
#include "cli.h"
#include "config_file.h"
#include "iso/config/snapshot.h"

int cmd_check(int argc, char **argv)
{
	struct config_file file = { .path = NULL };
	struct cli_words words = { .max = 1 };
	const struct cli_option options[] = { { "--config", "-c", &file.path, NULL, NULL } };
	struct iso_snapshot *snapshot;
	int code = cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), &words);

	if (code != EXIT_OK)
		return code;
	if (file.path == NULL)
		file.path = words.n > 0 ? words.v[0] : config_file_default();
	if (config_file_load(&file, &snapshot) != ISO_OK)
		return EXIT_FAILED;
	printf("%s: good: %u listeners, %u services, %u routes\n", file.path, snapshot->listener_count,
	       snapshot->service_count, snapshot->route_count);
	iso_snapshot_unref(snapshot);
	return EXIT_OK;
}
