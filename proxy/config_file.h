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

/* What is read without -c: the file that ISOCHRONE_CONFIG names, else isochrone.json. */
const char *config_file_default(void);
/*
 * The admin address of the process that a command asks: `admin`, else that in the file `path`, else
 * ISOCHRONE_ADMIN, else that in the default file. Of a file only admin.address is looked at, leniently: what
 * else is wrong with it does not matter to who asks the process that runs with an earlier state of it. Both
 * may be NULL. False: words are on stderr. Free *ret_address.
 */
bool config_file_find_admin(const char *admin, const char *path, char **ret_address);
/* ISO_OK with one reference; else every mistake has been printed. `arg` is a struct config_file. */
int config_file_load(void *arg, struct iso_snapshot **ret_snapshot);

#endif
