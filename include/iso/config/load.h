/*
 * From a JSON text to a compiled snapshot. Reads files (the configuration, certificates, keys, CAs) and the
 * environment; may take long: called on the builder's thread or before start.
 */
#ifndef ISO_CONFIG_LOAD_H
#define ISO_CONFIG_LOAD_H

#include "iso/base/diag.h"
#include "iso/config/snapshot.h"

enum { ISO_CONFIG_FILE_MAX = 16 << 20 }; /* bytes */

/*
 * ISO_OK: *ret_snapshot is the caller's one reference, and diag may hold notes. ISO_EBAD: diag says what is
 * wrong, all of it (a syntax error is alone). ISO_ESYS: the file cannot be read, diag says why. ISO_ENOMEM.
 */
ISO_MUST_USE int iso_config_load(const char *path, struct iso_diag *diag, struct iso_snapshot **ret_snapshot);

/*
 * Only admin.address, for those who ask the process that runs with the file: what else is wrong with it does
 * not matter to them. *ret_address: malloc'ed. ISO_ENOTFOUND: the file has none. Errors as above.
 */
ISO_MUST_USE int iso_config_load_admin(const char *path, struct iso_diag *diag, char **ret_address);

/*
 * A configuration from memory. name: what snapshot->path says, "" for a text made from the command line;
 * relative file names start at its directory ("": the working directory).
 */
ISO_MUST_USE int iso_config_load_text(const char *name, struct iso_slice text, struct iso_diag *diag,
				      struct iso_snapshot **ret_snapshot);

#endif
