/*
 * isochrone run: the proxy in the foreground.
 */
#include <limits.h>
#include <unistd.h>

#include "cli.h"
#include "config_file.h"
#include "iso/config/schema.h"
#include "iso/process/process.h"
#include "quick.h"

int cmd_run(int argc, char **argv)
{
	static struct config_file file = { .path = NULL };
	struct quick quick = quick_make();
	bool defaults = false;
	const struct cli_option options[] = {
		{ "--config", "-c", &file.path, NULL, NULL },
		{ "--listen", NULL, NULL, NULL, &quick.listen },
		{ "--region", NULL, NULL, NULL, &quick.regions },
		{ "--admin", NULL, &quick.admin, NULL, NULL },
		{ "--print-defaults", NULL, NULL, &defaults, NULL },
	};
	struct iso_process_source source = { .load = config_file_load, .arg = &file };
	static char program[PATH_MAX];
	struct iso_snapshot *snapshot;
	struct iso_process *process;
	const char *why;
	int code = cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL);

	if (code == EXIT_OK && defaults) {
		iso_schema_print_defaults(stdout);
		return EXIT_OK;
	}
	if (code == EXIT_OK)
		code = quick_choose(&quick, argv[0], &file);
	if (code != EXIT_OK)
		return code;
	if (config_file_load(&file, &snapshot) != ISO_OK)
		return EXIT_FAILED;
	/* The path, not the file: an upgrade starts what is there by then. */
	if (readlink("/proc/self/exe", program, sizeof(program) - 1) > 0) {
		argv[0] = program;
		source.program = program;
		source.argv = argv;
	}
	if (iso_process_new(snapshot, &source, &why, &process) != ISO_OK) {
		fprintf(stderr, "isochrone: %s\n", why);
		return EXIT_FAILED;
	}
	code = iso_process_run(process) == ISO_OK ? EXIT_OK : EXIT_FAILED;
	iso_process_free(process);
	return code;
}
