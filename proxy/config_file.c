/*
 * See config_file.h.
 */
#include "config_file.h"

#include <stdio.h>

#include "iso/base/diag.h"
#include "iso/config/load.h"

enum { MISTAKES_MAX = 200 };

int config_file_load(void *arg, struct iso_snapshot **ret_snapshot)
{
	struct config_file *file = arg;
	struct iso_diag diag;
	int err = iso_diag_init(&diag, file->path, MISTAKES_MAX);

	if (err != ISO_OK)
		return err;
	if (file->text != NULL && file->loaded)
		fprintf(stderr,
			"there is no configuration file to read anew: what the command line says stays, "
			"and what it refers to is read again\n");
	file->loaded = true;
	if (file->text != NULL)
		err = iso_config_load_text("", iso_slice_str(file->text), &diag, ret_snapshot);
	else
		err = iso_config_load(file->path, &diag, ret_snapshot);
	if (file->json && iso_diag_print_json(&diag, err == ISO_OK, stdout) != ISO_OK)
		fprintf(stderr, "%s: %s\n", file->path, iso_err_text(ISO_ENOMEM));
	if (!file->json && (err != ISO_OK || !file->quiet))
		iso_diag_print(&diag, stderr);
	if (err != ISO_OK && diag.count == 0)
		fprintf(stderr, "%s: %s\n", file->path, iso_err_text(err));
	iso_diag_done(&diag);
	return err;
}
