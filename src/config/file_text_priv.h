/*
 * The whole content of a file, in memory that is overwritten when it is given back: it may hold secrets.
 */
#ifndef ISO_CONFIG_FILE_TEXT_H
#define ISO_CONFIG_FILE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iso/base/err.h"

struct iso_file_text {
	char *bytes; /* malloc'ed; the caller frees it, by iso_secret_free */
	size_t len;
	uint64_t device, inode; /* which file it is, by whatever name */
	uint64_t seen;          /* iso_cfg_file_look, just before it was read */
};

/*
 * max: bytes. regular: nothing but a regular file will do, as what is opened may block else. ISO_OK;
 * ISO_ESYS with errno; ISO_EUNSUPPORTED: no regular file; ISO_ELIMIT: it is larger; ISO_ENOMEM.
 */
ISO_MUST_USE int iso_file_text(const char *path, size_t max, bool regular, struct iso_file_text *ret_text);

#endif
