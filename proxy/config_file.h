/*
 * The configuration file of a command: loaded, with its mistakes on stderr.
 */
#ifndef ISO_PROXY_CONFIG_FILE_H
#define ISO_PROXY_CONFIG_FILE_H

#include <stdbool.h>

struct iso_snapshot;

struct config_file {
	const char *path;
	const char *text; /* NULL: read the path; else this JSON (the demo's) */
	bool quiet;       /* notes are not printed */
	bool json;        /* what there is to say is one JSON object on stdout */
	bool loaded;      /* once: what follows is a reload */
};

/* ISO_OK with one reference; else every mistake has been printed. `arg` is a struct config_file. */
int config_file_load(void *arg, struct iso_snapshot **ret_snapshot);

#endif
