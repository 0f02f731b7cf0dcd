/*
 * A configuration without a file: `--listen`, `--admin` and `--region` of a command line.
 */
#ifndef ISO_PROXY_QUICK_H
#define ISO_PROXY_QUICK_H

#include "cli.h"
#include "config_file.h"

struct quick {
	const char *admin;
	struct cli_words listen, regions; /* addresses; NAME=URL */
};

/* With room for words. */
struct quick quick_make(void);
/*
 * Decides what the command reads: the file that was named, the command line, or isochrone.json. EXIT_OK, or
 * EXIT_USAGE with words on stderr. The text that it may make lives as long as the process.
 */
int quick_choose(const struct quick *quick, const char *command, struct config_file *file);

#endif
