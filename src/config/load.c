/*
 * From a file or text to a snapshot: read, parse, include, validate, build. All errors are in the diagnostics
 * at the end.
 */
#include "iso/config/load.h"

#include <errno.h>
#include <stdlib.h>

#include "file_text_priv.h"
#include "load_priv.h"

enum { ARENA_MAX = 256 << 20 };

uint64_t iso_load_hash(uint64_t hash, struct iso_slice text) /* FNV-1a */
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
	return hash;
}

struct iso_slice iso_load_dir_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return iso_slice(name, slash != NULL ? (size_t)(slash - name) + 1 : 0);
}

static struct iso_snapshot *snapshot_new(const char *name, struct iso_slice text)
{
	struct iso_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (snapshot == NULL)
		return NULL;
	atomic_init(&snapshot->shared.refs, 1);
	iso_arena_init(&snapshot->arena, NULL, ARENA_MAX);
	snapshot->hash = iso_load_hash(UINT64_C(0xcbf29ce484222325), text);
	snapshot->path = iso_arena_dup(&snapshot->arena, iso_slice_str(name));
	if (snapshot->path.ptr == NULL) {
		iso_snapshot_unref(snapshot);
		return NULL;
	}
	return snapshot;
}

/* The whole tree, all files in it; NULL: reported, or memory failed. */
static json_t *read_tree(struct iso_load *load)
{
	json_t *root = iso_load_parse(load, load->sources.first);

	if (root == NULL)
		return NULL;
	if (json_is_object(root)) {
		iso_load_include(load, root);
	} else {
		load->syntax = true;
		iso_load_error(load, ISO_PLACE_VALUE,
			       "write { \"listeners\": [...], \"services\": "
			       "{...} }",
			       "a configuration is an object");
	}
	return root;
}

static void build_all(struct iso_load *load, json_t *root)
{
	iso_load_describe(load, root);
	iso_load_validate(load, root);
	if (load->nomem || load->partial) /* what refers to something may refer to what is not here */
		return;
	iso_load_build(load, root);
	iso_load_watch_sources(load, root);
}

/* admin.address alone: the snapshot is not to be used otherwise. */
static void build_admin(struct iso_load *load, json_t *root)
{
	const struct iso_schema_key *admin = iso_schema_child(iso_schema_row(0), ISO_SLICE("admin"));
	const struct iso_schema_key *key = iso_schema_child(admin, ISO_SLICE("address"));
	json_t *value = json_object_get(json_object_get(root, "admin"), "address"), *text = NULL;
	size_t at = iso_pointer_key(&load->at, ISO_SLICE("admin"));

	(void)iso_pointer_key(&load->at, ISO_SLICE("address"));
	if (value != NULL)
		text = iso_load_check(load, key, value);
	iso_pointer_cut(&load->at, at);
	load->snapshot->admin_address = iso_load_dup(load, iso_slice_str(json_string_value(text)));
	json_decref(text);
}

/* The main file is `source`, whose name may be ""; `build` makes what is wanted of the tree. */
static int load_source(struct iso_source *source, void (*build)(struct iso_load *load, json_t *root),
		       struct iso_diag *diag, struct iso_snapshot **ret_snapshot)
{
	struct iso_load load = { .diag = diag };
	size_t errors_before = diag->errors;
	json_t *root;
	int err;

	(void)iso_sources_add(&load.sources, source);
	load.snapshot = snapshot_new(source->name, source->text);
	if (load.snapshot == NULL) {
		iso_sources_done(&load.sources);
		return ISO_ENOMEM;
	}
	root = read_tree(&load);
	if (root != NULL && !load.syntax && !load.nomem)
		build(&load, root);
	json_decref(root);
	iso_sources_done(&load.sources);
	err = diag->errors > errors_before ? ISO_EBAD : load.nomem ? ISO_ENOMEM : ISO_OK;
	if (err != ISO_OK) {
		iso_snapshot_unref(load.snapshot);
		return err;
	}
	*ret_snapshot = load.snapshot;
	return ISO_OK;
}

int iso_config_load_text(const char *name, struct iso_slice text, struct iso_diag *diag,
			 struct iso_snapshot **ret_snapshot)
{
	struct iso_source source = { .name = name, .text = text, .dir = iso_load_dir_of(name) };

	return load_source(&source, build_all, diag, ret_snapshot);
}

static int load_file(const char *path, void (*build)(struct iso_load *load, json_t *root),
		     struct iso_diag *diag, struct iso_snapshot **ret_snapshot)
{
	const struct iso_diag_place whole = { 0, 0, "", NULL };
	struct iso_source source = { .name = path, .dir = iso_load_dir_of(path) };
	struct iso_file_text text;
	int err = iso_file_text(path, ISO_CONFIG_FILE_MAX, false, &text);

	if (err == ISO_ESYS)
		iso_diag_add(diag, ISO_DIAG_ERROR, whole,
			     "the file cannot be read: %s|check its name and its permissions",
			     strerror(errno));
	if (err == ISO_ELIMIT) {
		iso_diag_add(diag, ISO_DIAG_ERROR, whole, "the file is larger than %d MiB|make it smaller",
			     ISO_CONFIG_FILE_MAX >> 20);
		return ISO_EBAD;
	}
	if (err != ISO_OK)
		return err;
	source.bytes = text.bytes;
	source.text = iso_slice(text.bytes, text.len);
	source.device = text.device;
	source.inode = text.inode;
	source.seen = text.seen;
	return load_source(&source, build, diag, ret_snapshot);
}

int iso_config_load(const char *path, struct iso_diag *diag, struct iso_snapshot **ret_snapshot)
{
	return load_file(path, build_all, diag, ret_snapshot);
}

int iso_config_load_admin(const char *path, struct iso_diag *diag, char **ret_address)
{
	struct iso_snapshot *snapshot;
	int err = load_file(path, build_admin, diag, &snapshot);
	char *address;

	if (err != ISO_OK)
		return err;
	address = strndup(snapshot->admin_address.ptr, snapshot->admin_address.len);
	err = address == NULL ? ISO_ENOMEM : address[0] == '\0' ? ISO_ENOTFOUND : ISO_OK;
	iso_snapshot_unref(snapshot);
	if (err == ISO_OK)
		*ret_address = address;
	else
		free(address);
	return err;
}
