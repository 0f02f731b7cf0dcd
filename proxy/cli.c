/*
 * Command lines: long and short options, one plain word.
 */
#include "cli.h"

#include <string.h>

#include "iso/base/err.h"
#include "iso/base/slice.h"

static const struct cli_option *find(const struct cli_option *options, size_t n, const char *text, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(options[i].name) == len && strncmp(options[i].name, text, len) == 0)
			return &options[i];
		if (options[i].letter != NULL && strlen(options[i].letter) == len &&
		    strncmp(options[i].letter, text, len) == 0)
			return &options[i];
	}
	return NULL;
}

int cli_parse(int argc, char **argv, const struct cli_option *options, size_t n, struct cli_words *words)
{
	for (int i = 1; i < argc; i++) {
		const char *text = argv[i];
		const char *equals = strchr(text, '=');
		size_t len = equals != NULL ? (size_t)(equals - text) : strlen(text);
		const struct cli_option *option;

		if (text[0] != '-' && words != NULL && words->n < words->max) {
			words->v[words->n++] = text;
			continue;
		}
		option = find(options, n, text, len);
		if (option == NULL) {
			fprintf(stderr, "isochrone %s: what is '%s'? See isochrone --help\n", argv[0], text);
			return EXIT_USAGE;
		}
		if (option->flag != NULL)
			*option->flag = true;
		if (option->value == NULL && option->all == NULL)
			continue;
		if (equals == NULL && i + 1 >= argc) {
			fprintf(stderr, "isochrone %s: %s needs a value\n", argv[0], text);
			return EXIT_USAGE;
		}
		text = equals != NULL ? equals + 1 : argv[++i];
		if (option->value != NULL)
			*option->value = text;
		if (option->all != NULL && option->all->n == option->all->max) {
			fprintf(stderr, "isochrone %s: %s may be given %zu times\n", argv[0], option->name,
				option->all->max);
			return EXIT_USAGE;
		}
		if (option->all != NULL)
			option->all->v[option->all->n++] = text;
	}
	return EXIT_OK;
}

bool cli_duration_us(const char *text, uint64_t *ret_us)
{
	static const struct {
		const char *unit;
		uint64_t us;
	} units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 }, { "m", 60000000 } };
	size_t digits = strspn(text, "0123456789");
	uint64_t n;

	if (iso_slice_u64(iso_slice(text, digits), &n) != ISO_OK || n > UINT32_MAX)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + digits, units[i].unit) == 0) {
			*ret_us = n * units[i].us;
			return true;
		}
	}
	return false;
}
