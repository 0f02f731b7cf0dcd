/*
 * isochrone check: every mistake of a configuration file, its place and its mend.
 */
#include "cli.h"
#include "config_file.h"
#include "iso/config/snapshot.h"
#include "quick.h"

int cmd_check(int argc, char **argv)
{
	struct config_file file = { .path = NULL };
	struct cli_words words = { .max = 1 };
	struct quick quick = quick_make();
	const struct cli_option options[] = {
		{ "--config", "-c", &file.path, NULL, NULL },
		{ "--json", NULL, NULL, &file.json, NULL },
		{ "--listen", NULL, NULL, NULL, &quick.listen },
		{ "--region", NULL, NULL, NULL, &quick.regions },
		{ "--admin", NULL, &quick.admin, NULL, NULL },
	};
	struct iso_snapshot *snapshot;
	int code = cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), &words);

	if (file.path == NULL && words.n > 0)
		file.path = words.v[0];
	if (code == EXIT_OK)
		code = quick_choose(&quick, argv[0], &file);
	if (code != EXIT_OK)
		return code;
	if (config_file_load(&file, &snapshot) != ISO_OK)
		return EXIT_FAILED;
	if (!file.json)
		printf("%s: good: %u listeners, %u services, %u routes\n", file.path,
		       snapshot->listener_count, snapshot->service_count, snapshot->route_count);
	iso_snapshot_unref(snapshot);
	return EXIT_OK;
}
