/*
 * From a file or text to a snapshot: read, parse, validate, build. All errors are in the diagnostics at the
 * end.
 */
#include "iso/config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "iso/base/secret.h"
#include "load_priv.h"

enum { ARENA_MAX = 256 << 20 };

static uint64_t hash_of(struct iso_slice text) /* FNV-1a */
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void on_duplicate(void *ctx, const struct iso_pointer *at, struct iso_place place)
{
	struct iso_load *load = ctx;

	iso_diag_add(load->diag, ISO_DIAG_ERROR,
		     (struct iso_diag_place){ place.line, place.column, at->text },
		     "this key stands in its object already|remove one of the two");
}

/* Jansson's words for a syntax error, without a bar and without what is only of interest to programmers. */
static void syntax_error(struct iso_load *load, const json_error_t *error)
{
	char text[JSON_ERROR_TEXT_LENGTH];
	unsigned int line = error->line > 0 ? (unsigned int)error->line : 1;
	unsigned int column = error->column > 0 ? (unsigned int)error->column : 1;
	size_t n = strnlen(error->text, sizeof(text) - 1);

	for (size_t i = 0; i < n; i++)
		text[i] = error->text[i] == '|' ? '!' : error->text[i];
	text[n] = '\0';
	iso_diag_add(load->diag, ISO_DIAG_ERROR, (struct iso_diag_place){ line, column, "" },
		     "this is not JSON: %s|look here and just before; a comma, quote or bracket may be "
		     "missing or too many",
		     text);
}

/* A configuration holds keys: what jansson has of it is overwritten when it is freed. */
static void wipe_json(void)
{
	json_set_alloc_funcs(malloc, iso_secret_free);
}

/* The tree, or NULL with the reason in the diagnostics. */
static json_t *parse(struct iso_load *load)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_error_t error;
	json_t *root;

	pthread_once(&once, wipe_json);
	root = json_loadb(load->text.ptr, load->text.len, JSON_REJECT_DUPLICATES, &error);

	/* Without words it was memory that failed, and the error's code is not set either. */
	if (root == NULL && error.text[0] != '\0' && json_error_code(&error) == json_error_duplicate_key) {
		/* Jansson stops at the first: read all of it, and find them one by one. */
		root = json_loadb(load->text.ptr, load->text.len, 0, &error);
		if (root != NULL)
			iso_place_duplicates(load->text, on_duplicate, load);
	}
	if (root == NULL && (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory))
		load->nomem = true;
	else if (root == NULL)
		syntax_error(load, &error);
	return root;
}

static struct iso_slice directory_of(const char *name)
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
	snapshot->hash = hash_of(text);
	snapshot->path = iso_arena_dup(&snapshot->arena, iso_slice_str(name));
	if (snapshot->path.ptr == NULL) {
		iso_snapshot_unref(snapshot);
		return NULL;
	}
	return snapshot;
}

int iso_config_load_text(const char *name, struct iso_slice text, struct iso_diag *diag,
			 struct iso_snapshot **ret_snapshot)
{
	struct iso_load load = { .diag = diag, .text = text, .dir = directory_of(name) };
	size_t errors_before = diag->errors;
	json_t *root = parse(&load);
	int err = load.nomem ? ISO_ENOMEM : ISO_EBAD;

	if (root == NULL)
		return err;
	load.snapshot = snapshot_new(name, text);
	if (load.snapshot == NULL) {
		json_decref(root);
		return ISO_ENOMEM;
	}
	if (!json_is_object(root)) {
		iso_load_error(&load, ISO_PLACE_VALUE,
			       "write { \"listeners\": [...], \"services\": "
			       "{...} }",
			       "a configuration is an object");
	} else {
		iso_load_describe(&load, root);
		iso_load_validate(&load, root);
		if (!load.nomem)
			iso_load_build(&load, root);
	}
	json_decref(root);
	err = diag->errors > errors_before ? ISO_EBAD : load.nomem ? ISO_ENOMEM : ISO_OK;
	if (err != ISO_OK) {
		iso_snapshot_unref(load.snapshot);
		return err;
	}
	*ret_snapshot = load.snapshot;
	return ISO_OK;
}

/* Reads until the end, also from a pipe. ISO_OK, ISO_ENOMEM, ISO_ELIMIT, or ISO_ESYS with errno. */
static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	size_t len = 0, cap = 0;
	char *text = NULL;
	ssize_t n = 1;

	while (n > 0) {
		if (len == cap) {
			size_t more = cap == 0 ? 16384 : 2 * cap;
			char *grown = more <= 2 * (size_t)ISO_CONFIG_FILE_MAX
					      ? iso_secret_grow(text, len, more)
					      : NULL;

			if (grown == NULL) {
				iso_secret_free(text);
				return len >= ISO_CONFIG_FILE_MAX ? ISO_ELIMIT : ISO_ENOMEM;
			}
			text = grown;
			cap = more;
		}
		n = read(fd, text + len, cap - len);
		if (n > 0)
			len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0 || len > ISO_CONFIG_FILE_MAX) {
		iso_secret_free(text);
		return n < 0 ? ISO_ESYS : ISO_ELIMIT;
	}
	*ret_text = text;
	*ret_len = len;
	return ISO_OK;
}

int iso_config_load(const char *path, struct iso_diag *diag, struct iso_snapshot **ret_snapshot)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = ISO_ESYS;
	char *text = NULL;
	size_t len = 0;

	if (fd >= 0)
		err = read_all(fd, &text, &len);
	if (err == ISO_ESYS)
		iso_diag_add(diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 0, 0, "" },
			     "the file cannot be read: %s|check its name and its permissions",
			     strerror(errno));
	if (fd >= 0)
		close(fd);
	if (err == ISO_ELIMIT) {
		iso_diag_add(diag, ISO_DIAG_ERROR, (struct iso_diag_place){ 0, 0, "" },
			     "the file is larger than %d MiB|make it "
			     "smaller",
			     ISO_CONFIG_FILE_MAX >> 20);
		return ISO_EBAD;
	}
	if (err != ISO_OK)
		return err;
	err = iso_config_load_text(path, iso_slice(text, len), diag, ret_snapshot);
	iso_secret_free(text);
	return err;
}
