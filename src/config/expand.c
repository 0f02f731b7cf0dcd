/*
 * Expansion of environment variables and files in one string. Reads the environment, which nobody writes
 * after start.
 */
#include "expand_priv.h"

#include <stdlib.h>

#include "iso/base/secret.h"

static const char file_mark[] = "${file:";

enum { NAME_MAX_LEN = 255, FILE_MARK_LEN = sizeof(file_mark) - 1 };

struct out {
	char *text;
	size_t len, cap;
};

static bool put(struct out *out, const char *bytes, size_t n)
{
	if (out->cap - out->len <= n) {
		size_t cap = 2 * out->cap + n + 64;
		char *text = iso_secret_grow(out->text, out->len, cap);

		if (text == NULL)
			return false;
		out->text = text;
		out->cap = cap;
	}
	if (n > 0)
		memcpy(out->text + out->len, bytes, n);
	out->len += n;
	out->text[out->len] = '\0';
	return true;
}

/* The name in "${NAME}..."; its length, or 0. */
static size_t name_len(const char *at)
{
	size_t n = 0;

	for (;; n++) {
		char c = iso_ascii_lower(at[2 + n]);

		if (c == '_' || (c >= 'a' && c <= 'z') || (n > 0 && c >= '0' && c <= '9'))
			continue;
		return c == '}' && n <= NAME_MAX_LEN ? n : 0;
	}
}

/* A value, so that a template takes it as it is. */
static bool put_value(struct out *out, const char *value, bool template)
{
	const char *mark;

	while (template && (mark = strstr(value, "${")) != NULL) {
		if (!put(out, value, (size_t)(mark - value)) || !put(out, "$${", 3))
			return false;
		value = mark + 2;
	}
	return put(out, value, strlen(value));
}

static int put_variable(struct out *out, struct iso_slice name, bool template)
{
	char text[NAME_MAX_LEN + 1];
	const char *value;

	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	value = getenv(text);
	if (value == NULL)
		return ISO_ENOTFOUND;
	return put_value(out, value, template) ? ISO_OK : ISO_ENOMEM;
}

static int put_file(struct out *out, struct iso_slice path, const struct iso_expand_files *files,
		    bool template)
{
	char *value = NULL;
	int err = files->read(files->ctx, path, &value);

	if (err == ISO_OK && !put_value(out, value, template))
		err = ISO_ENOMEM;
	iso_secret_free(value);
	return err;
}

/* What begins at "${"; *at goes behind it. */
static int put_reference(struct out *out, const char **at, bool template,
			 const struct iso_expand_files *files, struct iso_slice *ret_name)
{
	const char *begin = *at;
	size_t n = name_len(begin), path = strcspn(begin, "}");
	bool file = strncmp(begin, file_mark, FILE_MARK_LEN) == 0 && path > FILE_MARK_LEN &&
		    begin[path] == '}';
	int err;

	if (!file && n == 0) {
		*ret_name = iso_slice_str(begin);
		return ISO_EBAD;
	}
	*ret_name = iso_slice(begin + 2, n);
	*at = begin + (file ? path + 1 : n + 3);
	if (file)
		err = put_file(out, iso_slice(begin + FILE_MARK_LEN, path - FILE_MARK_LEN), files, template);
	else
		err = put_variable(out, *ret_name, template);
	/* A template would take the two dollars for one that is literal. */
	if (err == ISO_OK && template && out->len > 0 && out->text[out->len - 1] == '$' &&
	    (**at == '{' || **at == '$')) {
		*ret_name = iso_slice_str(*at);
		err = ISO_EUNSUPPORTED;
	}
	return err;
}

/* A template's own variable, which is no ${file:PATH}. */
static bool is_own(const char *at)
{
	return at[2] >= 'a' && at[2] <= 'z' && strncmp(at, file_mark, FILE_MARK_LEN) != 0;
}

int iso_expand(const char *text, bool template, const struct iso_expand_files *files, char **ret_text,
	       struct iso_slice *ret_name)
{
	struct out out = { NULL, 0, 0 };
	const char *at = text, *next;
	int err = put(&out, "", 0) ? ISO_OK : ISO_ENOMEM;

	if (strstr(text, "${") == NULL) {
		iso_secret_free(out.text);
		*ret_text = NULL;
		return ISO_OK;
	}
	while (err == ISO_OK && (next = strstr(at, "${")) != NULL) {
		bool literal = next > at && next[-1] == '$';

		if (!put(&out, at, (size_t)(next - at) - (literal && !template))) {
			err = ISO_ENOMEM;
		} else if (literal || (template && is_own(next))) {
			err = put(&out, "${", 2) ? ISO_OK : ISO_ENOMEM;
			at = next + 2;
		} else {
			at = next;
			err = put_reference(&out, &at, template, files, ret_name);
		}
	}
	if (err == ISO_OK && !put(&out, at, strlen(at)))
		err = ISO_ENOMEM;
	if (err != ISO_OK) {
		iso_secret_free(out.text);
		return err;
	}
	*ret_text = out.text;
	return ISO_OK;
}
