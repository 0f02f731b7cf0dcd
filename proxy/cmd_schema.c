/*
 * isochrone schema: what the configuration may hold, as a JSON Schema, a manual in two forms or a list of
 * defaults; and what is tried again.
 */
#include <string.h>

#include "cli.h"
#include "iso/config/schema.h"
#include "retry_table.h"

int cmd_schema(int argc, char **argv)
{
	struct cli_words words = { .max = 1 };
	int code = cli_parse(argc, argv, NULL, 0, &words);
	const char *word = words.n > 0 ? words.v[0] : NULL;

	if (code != EXIT_OK)
		return code;
	if (word == NULL || strcmp(word, "json") == 0) {
		iso_schema_print_json(stdout);
	} else if (strcmp(word, "markdown") == 0) {
		iso_schema_print_markdown(stdout);
	} else if (strcmp(word, "man") == 0) {
		iso_schema_print_man(stdout);
	} else if (strcmp(word, "defaults") == 0) {
		iso_schema_print_defaults(stdout);
	} else if (strcmp(word, "retries") == 0) {
		retry_table_print(stdout);
	} else {
		fprintf(stderr, "isochrone schema: json, markdown, man, defaults or retries\n");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}
