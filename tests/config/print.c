/*
 * Prints the schema in one of its forms, for the generated files that are shipped: json, markdown, man
 * or defaults. And `load FILE`: the diagnostics of a file, exit status 0 when it loads.
 */
#include <stdlib.h>

#include "iso/config/load.h"
#include "iso/config/schema.h"

static int load(const char *path)
{
	struct iso_snapshot *snapshot = NULL;
	struct iso_diag diag;
	int err;

	if (iso_diag_init(&diag, path, 100) != ISO_OK)
		return EXIT_FAILURE;
	err = iso_config_load(path, &diag, &snapshot);
	iso_diag_print(&diag, stdout);
	iso_diag_done(&diag);
	iso_snapshot_unref(snapshot);
	return err == ISO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "load") == 0)
		return load(argv[2]);
	if (argc == 2 && strcmp(argv[1], "json") == 0) {
		iso_schema_print_json(stdout);
	} else if (argc == 2 && strcmp(argv[1], "markdown") == 0) {
		iso_schema_print_markdown(stdout);
	} else if (argc == 2 && strcmp(argv[1], "man") == 0) {
		iso_schema_print_man(stdout);
	} else if (argc == 2 && strcmp(argv[1], "defaults") == 0) {
		iso_schema_print_defaults(stdout);
	} else {
		(void)fprintf(stderr, "usage: iso-schema-print json|markdown|man|defaults|load FILE\n");
		return 2;
	}
	return EXIT_SUCCESS;
}
