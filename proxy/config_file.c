/*
 * See config_file.h.
 */
#include "config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

const char *config_file_default(void)
{
	const char *path = getenv("ISOCHRONE_CONFIG");

	return path != NULL && path[0] != '\0' ? path : "isochrone.json";
}

static bool read_admin(const char *path, char **ret_address)
{
	struct iso_diag diag;
	int err = iso_diag_init(&diag, path, MISTAKES_MAX);

	if (err != ISO_OK)
		return false;
	err = iso_config_load_admin(path, &diag, ret_address);
	iso_diag_print(&diag, stderr);
	if (err == ISO_ENOTFOUND)
		fprintf(stderr, "isochrone: %s has no admin.address to ask\n", path);
	else if (err != ISO_OK && diag.count == 0)
		fprintf(stderr, "%s: %s\n", path, iso_err_text(err));
	iso_diag_done(&diag);
	return err == ISO_OK;
}

bool config_file_find_admin(const char *admin, const char *path, char **ret_address)
{
	if (admin == NULL && path == NULL)
		admin = getenv("ISOCHRONE_ADMIN");
	if (admin == NULL || admin[0] == '\0')
		return read_admin(path != NULL ? path : config_file_default(), ret_address);
	*ret_address = strdup(admin);
	return *ret_address != NULL;
}
