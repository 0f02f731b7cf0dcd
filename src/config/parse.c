/*
 * From a text to a tree: syntax errors and duplicate keys, in words and with their places.
 */
#include <pthread.h>
#include <stdlib.h>

#include "iso/base/secret.h"
#include "load_priv.h"

static const char *name_of(const struct iso_source *source)
{
	return source->parent != NULL ? source->name : NULL; /* the main file's is the diagnostics' own */
}

struct duplicates {
	struct iso_load *load;
	const struct iso_source *source;
};

static void on_duplicate(void *ctx, const struct iso_pointer *at, struct iso_place place)
{
	struct duplicates *d = ctx;

	iso_diag_add(d->load->diag, ISO_DIAG_ERROR,
		     (struct iso_diag_place){ place.line, place.column, at->text, name_of(d->source) },
		     "this key stands in its object already|remove one of the two");
}

/* Jansson's words for a syntax error, without a bar and without what is only of interest to programmers. */
static void syntax_error(struct iso_load *load, const struct iso_source *source, const json_error_t *error)
{
	char text[JSON_ERROR_TEXT_LENGTH];
	unsigned int line = error->line > 0 ? (unsigned int)error->line : 1;
	unsigned int column = error->column > 0 ? (unsigned int)error->column : 1;
	size_t n = strnlen(error->text, sizeof(text) - 1);

	for (size_t i = 0; i < n; i++)
		text[i] = error->text[i] == '|' ? '!' : error->text[i];
	text[n] = '\0';
	iso_diag_add(load->diag, ISO_DIAG_ERROR, (struct iso_diag_place){ line, column, "", name_of(source) },
		     "this is not JSON: %s|look here and just before; a comma, quote or bracket may be "
		     "missing or too many",
		     text);
}

/* A configuration holds keys: what jansson has of it is overwritten when it is freed. */
static void wipe_json(void)
{
	json_set_alloc_funcs(malloc, iso_secret_free);
}

json_t *iso_load_parse(struct iso_load *load, const struct iso_source *source)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct duplicates duplicates = { load, source };
	struct iso_slice text = source->text;
	json_error_t error;
	json_t *root;

	pthread_once(&once, wipe_json);
	root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);

	/* Without words it was memory that failed, and the error's code is not set either. */
	if (root == NULL && error.text[0] != '\0' && json_error_code(&error) == json_error_duplicate_key) {
		/* Jansson stops at the first: read all of it, and find them one by one. */
		root = json_loadb(text.ptr, text.len, 0, &error);
		if (root != NULL)
			iso_place_duplicates(text, on_duplicate, &duplicates);
	}
	if (root == NULL && (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory)) {
		load->nomem = true;
	} else if (root == NULL) {
		load->syntax = true;
		syntax_error(load, source, &error);
	}
	return root;
}
