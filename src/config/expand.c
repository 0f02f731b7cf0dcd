/*
 * Expansion of environment variables in one string. Reads the environment, which nobody writes after start.
 */
#include "expand_priv.h"

#include <stdlib.h>

#include "iso/base/secret.h"

enum { NAME_MAX_LEN = 255 };

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

static int put_variable(struct out *out, const char *at, size_t n, struct iso_slice *ret_name)
{
	char name[NAME_MAX_LEN + 1];
	const char *value;

	memcpy(name, at + 2, n);
	name[n] = '\0';
	value = getenv(name);
	if (value == NULL) {
		*ret_name = iso_slice(at + 2, n);
		return ISO_ENOTFOUND;
	}
	return put(out, value, strlen(value)) ? ISO_OK : ISO_ENOMEM;
}

int iso_expand(const char *text, bool template, char **ret_text, struct iso_slice *ret_name)
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
		size_t n = name_len(next);

		if (!put(&out, at, (size_t)(next - at) - (literal && !template))) {
			err = ISO_ENOMEM;
		} else if (literal || (template && next[2] >= 'a' && next[2] <= 'z')) {
			err = put(&out, "${", 2) ? ISO_OK : ISO_ENOMEM;
			at = next + 2;
		} else if (n == 0) {
			*ret_name = iso_slice_str(next);
			err = ISO_EBAD;
		} else {
			err = put_variable(&out, next, n, ret_name);
			at = next + n + 3;
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
