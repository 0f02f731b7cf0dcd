/*
 * See file_text_priv.h. Any thread.
 */
#include "file_text_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iso/base/secret.h"
#include "iso/config/snapshot.h"

enum { FIRST_READ = 16384 };

/* Reads until the end, also from a pipe. ISO_OK, ISO_ENOMEM, ISO_ELIMIT, or ISO_ESYS with errno. */
static int read_all(int fd, size_t max, struct iso_file_text *text)
{
	size_t cap = 0;
	ssize_t n = 1;

	while (n > 0) {
		if (text->len == cap) {
			size_t more = cap == 0 ? FIRST_READ : 2 * cap;
			char *grown;

			if (text->len > max)
				return ISO_ELIMIT;
			grown = iso_secret_grow(text->bytes, text->len, more);
			if (grown == NULL)
				return ISO_ENOMEM;
			text->bytes = grown;
			cap = more;
		}
		n = read(fd, text->bytes + text->len, cap - text->len);
		if (n > 0)
			text->len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		return ISO_ESYS;
	return text->len > max ? ISO_ELIMIT : ISO_OK;
}

int iso_file_text(const char *path, size_t max, bool regular, struct iso_file_text *ret_text)
{
	struct iso_file_text text = { .seen = iso_cfg_file_look(path) };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0)), err = ISO_ESYS;
	struct stat st;
	int why;

	if (fd < 0)
		return ISO_ESYS;
	if (fstat(fd, &st) == 0) {
		text.device = st.st_dev;
		text.inode = st.st_ino;
		err = regular && !S_ISREG(st.st_mode) ? ISO_EUNSUPPORTED : read_all(fd, max, &text);
	}
	why = errno;
	close(fd);
	errno = why;
	if (err == ISO_OK)
		*ret_text = text;
	else
		iso_secret_free(text.bytes);
	return err;
}
