/*
 * `include`: the files that a configuration names, and those that they name, read and merged into the whole.
 */
#include "load_priv.h"

#include <errno.h>
#include <stdio.h>

#include "file_text_priv.h"
#include "iso/base/secret.h"
#include "iso/config/load.h"
#include "pattern_priv.h"

enum { SHOWN_MAX = 60 };

struct including {
	struct iso_load *load;
	json_t *root; /* the whole, as far as it is */
};

static void take(struct including *in, const struct iso_source *source, json_t *tree);

/* At the item that names it. */
static void refuse(struct iso_load *load, const char *mend, const char *name, const char *why)
{
	load->partial = true;
	iso_load_error(load, ISO_PLACE_VALUE, mend, "%.200s %s", name, why);
}

/* The end of a long name says more than its beginning. */
static const char *tail(const char *name)
{
	size_t n = strlen(name);

	return n > SHOWN_MAX ? name + n - SHOWN_MAX : name;
}

/* The files from the one that comes back to `source`, and again it: "a.json -> b.json -> a.json". */
static void list_cycle(const struct iso_source *source, const struct iso_source *again, char *text,
		       size_t size)
{
	const struct iso_source *chain[ISO_SOURCE_DEPTH_MAX + 1];
	unsigned int n = 0;
	int used = 0;

	for (; source != again; source = source->parent)
		chain[n++] = source;
	used = snprintf(text, size, "%s", tail(again->name));
	while (n > 0 && used > 0 && (size_t)used < size)
		used += snprintf(text + used, size - (size_t)used, " -> %s", tail(chain[--n]->name));
	if (used > 0 && (size_t)used < size)
		(void)snprintf(text + used, size - (size_t)used, " -> %s", tail(again->name));
}

/* The file has been read already, by whatever name. */
static void refuse_again(struct iso_load *load, const struct iso_source *source,
			 const struct iso_source *again, const char *name)
{
	const struct iso_source *up = source;
	char text[400], where[ISO_LOAD_WHERE_MAX], pointer[40];

	while (up != NULL && up != again)
		up = up->parent;
	load->partial = true;
	if (up != NULL) {
		list_cycle(source, again, text, sizeof(text));
		iso_load_error(load, ISO_PLACE_VALUE, "remove it, or name another file",
			       "files include each other in a circle: %s", text);
		return;
	}
	(void)snprintf(pointer, sizeof(pointer), "/include/%zu", again->item);
	load->reading = again->parent;
	iso_load_where(load, pointer, ISO_PLACE_VALUE, where);
	load->reading = source;
	iso_load_error(load, ISO_PLACE_VALUE, "name each file once", "%.200s is included already, in %s",
		       name, where);
}

static void refuse_read(struct iso_load *load, const char *name, int err)
{
	char why[200];

	switch (err) {
	case ISO_ESYS:
		(void)snprintf(why, sizeof(why), "cannot be read: %s", strerror(errno));
		refuse(load, "check its name and its permissions", name, why);
		break;
	case ISO_EUNSUPPORTED:
		refuse(load, "name a file, or `*.json` for all of a directory", name, "is no regular file");
		break;
	case ISO_ELIMIT:
		refuse(load, "make it smaller", name, "is larger than 16 MiB");
		break;
	default:
		load->nomem = true;
	}
}

static struct iso_source *read_source(struct iso_load *load, const struct iso_source *parent, size_t item,
				      const char *name)
{
	struct iso_source *source = iso_load_alloc(load, 1, sizeof(*source));
	struct iso_file_text text;
	const struct iso_source *again;
	int err = source != NULL ? iso_file_text(name, ISO_CONFIG_FILE_MAX, true, &text) : ISO_ENOMEM;

	if (err != ISO_OK) {
		refuse_read(load, name, err);
		return NULL;
	}
	*source = (struct iso_source){ .parent = parent,
				       .name = iso_load_dup(load, iso_slice_str(name)).ptr,
				       .bytes = text.bytes,
				       .text = iso_slice(text.bytes, text.len),
				       .device = text.device,
				       .inode = text.inode,
				       .seen = text.seen,
				       .item = item,
				       .depth = parent->depth + 1 };
	source->dir = iso_load_dir_of(source->name);
	again = iso_sources_find(&load->sources, text.device, text.inode);
	if (again != NULL)
		refuse_again(load, parent, again, name);
	else if (!iso_sources_add(&load->sources, source))
		refuse(load, "include fewer or smaller ones", name,
		       "is one file too many: 1,000 with 64 MiB are the most");
	else
		return source;
	iso_secret_free(text.bytes);
	return NULL;
}

static void take_file(struct including *in, const struct iso_source *parent, size_t item, const char *name)
{
	struct iso_load *load = in->load;
	struct iso_source *source = read_source(load, parent, item, name);
	struct iso_pointer at = load->at;
	json_t *tree;

	if (source == NULL)
		return;
	load->snapshot->hash = iso_load_hash(load->snapshot->hash, source->text);
	tree = iso_load_parse(load, source);
	iso_pointer_cut(&load->at, 0);
	if (tree != NULL && !json_is_object(tree)) {
		load->reading = source;
		load->partial = true;
		iso_load_error(load, ISO_PLACE_VALUE, "write { \"services\": {...}, \"routes\": [...] }",
			       "a configuration is an object");
	} else if (tree != NULL) {
		load->reading = NULL;
		take(in, source, tree);
	}
	json_decref(tree);
	load->at = at;
	load->reading = parent;
}

static void take_pattern(struct including *in, const struct iso_source *source, size_t item, const char *path)
{
	struct iso_pattern_list list = { NULL, 0 };
	struct iso_load *load = in->load;
	char why[200];

	if (iso_pattern_dir_is(path)) {
		refuse(load, "name the directories one by one", path,
		       "has a star in another part than the last");
		return;
	}
	iso_load_watch_pattern(load, path);
	switch (iso_pattern_find(path, ISO_SOURCES_MAX, &list)) {
	case ISO_OK:
		break;
	case ISO_ESYS:
		(void)snprintf(why, sizeof(why), "cannot be looked for: %s", strerror(errno));
		refuse(load, "check the directory's name and its permissions", path, why);
		return;
	case ISO_ELIMIT:
		refuse(load, "include fewer", path, "stands for more than 1,000 files");
		return;
	default:
		load->nomem = true;
		return;
	}
	for (size_t i = 0; i < list.n && !load->nomem; i++)
		take_file(in, source, item, list.names[i]);
	iso_pattern_list_done(&list);
}

static void take_item(struct including *in, const struct iso_source *source, size_t item, json_t *value)
{
	struct iso_load *load = in->load;
	struct iso_slice name = iso_slice(json_string_value(value), json_string_length(value));
	struct iso_slice path = iso_load_dup(load, iso_load_file(load, name));

	if (path.len == 0)
		return;
	if (source->depth == ISO_SOURCE_DEPTH_MAX)
		refuse(load, "include from fewer levels", path.ptr,
		       "is included too deeply: 8 levels are the most");
	else if (iso_pattern_is(path.ptr))
		take_pattern(in, source, item, path.ptr);
	else
		take_file(in, source, item, path.ptr);
}

/* Merges one file's tree, and then what it includes. */
static void take(struct including *in, const struct iso_source *source, json_t *tree)
{
	const struct iso_schema_key *key = iso_schema_find("include");
	json_t *include = json_incref(json_object_get(tree, "include")), *checked = NULL, *item;
	struct iso_load *load = in->load;
	size_t errors, i;

	(void)json_object_del(tree, "include");
	if (tree != in->root)
		iso_load_merge(load, source, in->root, tree);
	load->reading = source;
	(void)iso_pointer_key(&load->at, ISO_SLICE("include"));
	errors = load->diag->errors;
	if (include != NULL)
		checked = iso_load_check(load, key, include);
	load->partial |= load->diag->errors > errors;
	json_array_foreach(checked, i, item)
	{
		size_t mark = iso_pointer_index(&load->at, i);

		if (json_is_string(item) && !load->nomem)
			take_item(in, source, i, item);
		iso_pointer_cut(&load->at, mark);
	}
	json_decref(checked);
	json_decref(include);
	iso_pointer_cut(&load->at, 0);
	load->reading = NULL;
}

void iso_load_include(struct iso_load *load, json_t *root)
{
	struct including in = { load, root };

	take(&in, load->sources.first, root);
}
