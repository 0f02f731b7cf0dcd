/*
 * See config_file.h.
 */
#include "config_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iso/base/diag.h"
#include "iso/base/text.h"
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

/* ${NAME} as the loader has it, for an address: no escapes. NULL: a variable is not set, or no memory. */
static char *expand(const char *text)
{
	struct iso_text out;
	char name[128], *made = NULL;
	bool good = true;

	iso_text_init(&out, 4096);
	for (const char *at = text; *at != '\0' && good;) {
		size_t len = strncmp(at, "${", 2) == 0 ? strcspn(at + 2, "}") : 0;
		const char *value = NULL;

		if (strncmp(at, "${", 2) != 0) {
			iso_text_add(&out, iso_slice(at++, 1));
			continue;
		}
		if (at[2 + len] == '}' && len < sizeof(name)) {
			memcpy(name, at + 2, len);
			name[len] = '\0';
			value = getenv(name);
		}
		good = value != NULL;
		iso_text_str(&out, good ? value : "");
		at += good ? len + 3 : 0;
	}
	iso_text_add(&out, iso_slice("", 1)); /* the NUL */
	if (good && iso_text_ok(&out) == ISO_OK)
		made = strdup(out.bytes);
	iso_text_done(&out);
	return made;
}

static bool read_admin(const char *path, char **ret_address)
{
	json_error_t error;
	json_t *root = json_load_file(path, 0, &error);
	const char *address = json_string_value(json_object_get(json_object_get(root, "admin"), "address"));
	char *expanded = address != NULL ? expand(address) : NULL;

	if (root == NULL)
		fprintf(stderr, "isochrone: %s: %s\n", path, error.text);
	else if (address == NULL)
		fprintf(stderr, "isochrone: %s has no admin.address to ask\n", path);
	else if (expanded == NULL)
		fprintf(stderr, "isochrone: %s: admin.address: a variable of %s is not set\n", path, address);
	json_decref(root);
	if (expanded == NULL)
		return false;
	*ret_address = expanded;
	return true;
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
