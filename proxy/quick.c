/*
 * See quick.h.
 */
#include "quick.h"

#include <string.h>

#include "iso/base/text.h"

enum { WORDS_MAX = 16, TEXT_MAX = 64 * 1024 };

static const char default_listen[] = "127.0.0.1:8080";

struct quick quick_make(void)
{
	return (struct quick){ .listen = { .max = WORDS_MAX }, .regions = { .max = WORDS_MAX } };
}

/* Each is NAME=URL; false: said. */
static bool put_regions(const struct quick *quick, const char *command, struct iso_text *text)
{
	for (size_t i = 0; i < quick->regions.n; i++) {
		const char *region = quick->regions.v[i], *equals = strchr(region, '=');

		if (equals == NULL) {
			fprintf(stderr, "isochrone %s: a region is written as NAME=URL, not '%s'\n", command,
				region);
			return false;
		}
		iso_text_str(text, i > 0 ? ", " : "");
		iso_text_json(text, iso_slice(region, (size_t)(equals - region)));
		iso_text_str(text, ": { \"url\": ");
		iso_text_json(text, iso_slice_str(equals + 1));
		iso_text_str(text, " }");
	}
	return true;
}

static bool put_all(const struct quick *quick, const char *command, struct iso_text *text)
{
	iso_text_str(text, "{ \"listeners\": [");
	for (size_t i = 0; i < quick->listen.n || i == 0; i++) {
		iso_text_str(text, i > 0 ? ", { \"address\": " : "{ \"address\": ");
		iso_text_json(text, iso_slice_str(quick->listen.n > 0 ? quick->listen.v[i] : default_listen));
		iso_text_str(text, " }");
	}
	iso_text_str(text, "],\n");
	if (quick->admin != NULL) {
		iso_text_str(text, "\"admin\": { \"address\": ");
		iso_text_json(text, iso_slice_str(quick->admin));
		iso_text_str(text, " },\n");
	}
	iso_text_str(text, "\"services\": { \"default\": { \"regions\": { ");
	if (!put_regions(quick, command, text))
		return false;
	iso_text_str(text, " } } } }\n");
	iso_text_add(text, iso_slice("", 1)); /* the NUL */
	return true;
}

int quick_choose(const struct quick *quick, const char *command, struct config_file *file)
{
	static char bytes[TEXT_MAX];
	struct iso_text text;

	if (quick->regions.n == 0 && quick->listen.n == 0 && quick->admin == NULL) {
		if (file->path == NULL)
			file->path = config_file_default();
		return EXIT_OK;
	}
	if (file->path != NULL || quick->regions.n == 0) {
		fprintf(stderr, "isochrone %s: %s\n", command,
			file->path != NULL ? "either a file, or --region with --listen and --admin"
					   : "without a file, give two --region NAME=URL or more");
		return EXIT_USAGE;
	}
	iso_text_init_fixed(&text, bytes, sizeof(bytes));
	if (!put_all(quick, command, &text))
		return EXIT_USAGE;
	if (iso_text_ok(&text) != ISO_OK) {
		fprintf(stderr, "isochrone %s: the command line is too long\n", command);
		return EXIT_USAGE;
	}
	file->path = "command line";
	file->text = text.bytes;
	return EXIT_OK;
}
