/*
 * ${file:PATH}: the content of a small file, for secrets above all, as systems for secrets lay them down.
 */
#include <errno.h>

#include "file_text_priv.h"
#include "iso/base/secret.h"
#include "load_priv.h"

enum { SECRET_MAX = 64 << 10, SHOWN_MAX = 200 };

static int refuse(struct iso_load *load, struct iso_slice path, int err)
{
	int shown = path.len < SHOWN_MAX ? (int)path.len : SHOWN_MAX;

	switch (err) {
	case ISO_ESYS:
		iso_load_error(load, ISO_PLACE_VALUE,
			       "check its name and its permissions, or write $${ for a literal ${",
			       "the file %.*s cannot be read: %s", shown, path.ptr, strerror(errno));
		break;
	case ISO_ELIMIT:
		iso_load_error(load, ISO_PLACE_VALUE, "name a file that holds nothing but the value",
			       "the file %.*s is larger than %d KiB", shown, path.ptr, SECRET_MAX >> 10);
		break;
	case ISO_EUNSUPPORTED:
		iso_load_error(load, ISO_PLACE_VALUE, "name a file that holds nothing but the value",
			       "%.*s is no regular file", shown, path.ptr);
		break;
	case ISO_EBAD:
		iso_load_error(load, ISO_PLACE_VALUE, "name a file of text", "the file %.*s holds a NUL byte",
			       shown, path.ptr);
		break;
	default:
		load->nomem = true;
	}
	return ISO_ESYS;
}

int iso_load_secret_file(void *ctx, struct iso_slice name, char **ret_text)
{
	struct iso_load *load = ctx;
	struct iso_slice path = iso_load_watched_file(load, iso_load_dup(load, name));
	struct iso_file_text file = { .bytes = NULL };
	int err = load->nomem ? ISO_ENOMEM : iso_file_text(path.ptr, SECRET_MAX, true, &file);
	char *text;

	if (err != ISO_OK)
		return refuse(load, path, err);
	/* One newline at the end is an editor's, not the secret's. */
	if (file.len > 0 && file.bytes[file.len - 1] == '\n')
		file.len -= file.len > 1 && file.bytes[file.len - 2] == '\r' ? 2 : 1;
	if (memchr(file.bytes, '\0', file.len) != NULL) {
		iso_secret_free(file.bytes);
		return refuse(load, path, ISO_EBAD);
	}
	text = iso_secret_grow(file.bytes, file.len, file.len + 1);
	if (text == NULL) {
		iso_secret_free(file.bytes);
		return refuse(load, path, ISO_ENOMEM);
	}
	text[file.len] = '\0';
	*ret_text = text;
	return ISO_OK;
}
