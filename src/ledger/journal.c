/*
 * See journal_priv.h. A record: length of the rest (4 bytes), the first 4 bytes of the SHA-256 of the rest,
 * then state, expiry, key, fingerprint, answer; in the machine's byte order, since the file stays on it.
 */
#include "journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	RELEASED = 255, /* in place of a state */
	HEAD = 8,
	FIXED = 1 + 8 + 32 + 32,
	RECORD_MAX = 64 << 20,
	TIDY_LEAST = 1 << 20,
};

static const char magic[8] = { 'i', 's', 'o', 'l', 'e', 'd', 'g', '2' };

static uint32_t sum_of(const char *bytes, size_t len)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	uint32_t sum;

	SHA256((const unsigned char *)bytes, len, digest);
	memcpy(&sum, digest, sizeof(sum));
	return sum;
}

/* Room for one more record; NULL without memory. */
static char *reserve(struct iso_journal *j, size_t len)
{
	if (j->cap - j->len < len) {
		size_t cap = (j->len + len) * 2;
		char *out = realloc(j->out, cap);

		if (out == NULL)
			return NULL;
		j->out = out;
		j->cap = cap;
	}
	return j->out + j->len;
}

static int put(struct iso_journal *j, uint8_t state, const struct iso_ledger_entry *e,
	       const struct iso_ledger_id *id)
{
	uint32_t len = FIXED + (e != NULL ? e->len : 0), sum;
	char *at = reserve(j, HEAD + len), *rest;

	if (at == NULL)
		return ISO_ENOMEM;
	rest = at + HEAD;
	memset(rest, 0, FIXED);
	rest[0] = (char)state;
	memcpy(rest + 9, id->bytes, sizeof(id->bytes));
	if (e != NULL) {
		memcpy(rest + 1, &e->expires_us, 8);
		memcpy(rest + 41, e->print.bytes, sizeof(e->print.bytes));
		memcpy(rest + FIXED, e->answer, e->len);
	}
	sum = sum_of(rest, len);
	memcpy(at, &len, 4);
	memcpy(at + 4, &sum, 4);
	j->len += HEAD + len;
	return ISO_OK;
}

int iso_journal_note(struct iso_journal *j, const struct iso_ledger_entry *entry)
{
	return j->fd < 0 ? ISO_OK : put(j, (uint8_t)entry->state, entry, &entry->id);
}

int iso_journal_note_released(struct iso_journal *j, const struct iso_ledger_id *id)
{
	return j->fd < 0 ? ISO_OK : put(j, RELEASED, NULL, id);
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return iso_err_from_errno(errno);
		bytes += n;
		len -= (size_t)n;
	}
	return ISO_OK;
}

void iso_journal_break(struct iso_journal *j)
{
	if (j->fd >= 0)
		(void)close(j->fd);
	j->fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
}

int iso_journal_flush(struct iso_journal *j, bool sync)
{
	size_t len = j->len;
	int err = ISO_OK;

	if (j->fd < 0)
		return ISO_OK;
	j->len = 0;
	if (len > 0)
		err = write_all(j->fd, j->out, len);
	if (err == ISO_OK && sync && fdatasync(j->fd) != 0)
		err = iso_err_from_errno(errno);
	if (err == ISO_OK) {
		j->size += len;
	} else if (ftruncate(j->fd, (off_t)j->size) != 0 || lseek(j->fd, (off_t)j->size, SEEK_SET) < 0) {
		/* Half a record may stand there: whatever comes after it would not be read. */
		iso_journal_break(j);
	}
	return err;
}

/*
 * One record into the table, which then is *ret_step long; 0: it is torn or damaged. Without memory for its
 * answer only the key is kept. ISO_OK or ISO_ENOMEM.
 */
static int take(const char *at, size_t left, struct iso_ledger_table *t, uint64_t now_us, size_t *ret_step)
{
	struct iso_ledger_id id, print;
	uint64_t expires_us;
	uint32_t len, sum;
	uint8_t state;
	int err = ISO_OK;

	*ret_step = 0;
	if (left < HEAD + FIXED)
		return ISO_OK;
	memcpy(&len, at, 4);
	memcpy(&sum, at + 4, 4);
	if (len < FIXED || len > RECORD_MAX || len > left - HEAD || sum_of(at + HEAD, len) != sum)
		return ISO_OK;
	at += HEAD;
	state = (uint8_t)at[0];
	memcpy(&expires_us, at + 1, 8);
	memcpy(id.bytes, at + 9, sizeof(id.bytes));
	memcpy(print.bytes, at + 41, sizeof(print.bytes));
	/* What runs neither expires nor makes room for others, as it did not when this was written. */
	if (state == RELEASED || (state != ISO_LEDGER_RUNNING && now_us >= expires_us)) {
		iso_ledger_table_release(t, &id);
	} else if (state > ISO_LEDGER_UNKNOWN) {
		return ISO_OK;
	} else {
		err = iso_ledger_table_put(t, &id, &print, state, expires_us,
					   iso_slice(at + FIXED, len - FIXED));
		if (err != ISO_OK)
			err = iso_ledger_table_put(t, &id, &print,
						   state == ISO_LEDGER_DONE ? ISO_LEDGER_SPENT : state,
						   expires_us, iso_slice("", 0));
	}
	*ret_step = HEAD + len;
	return err;
}

static int read_all(struct iso_journal *j, struct iso_ledger_table *t, uint64_t now_us, const char **ret_why)
{
	struct stat st;
	char *bytes;
	size_t at = sizeof(magic), n, size, step = 1;
	ssize_t got = 0;
	int err = ISO_OK;

	if (fstat(j->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		*ret_why = "it is not a regular file";
		return ISO_EBAD;
	}
	size = (size_t)st.st_size;
	if (size == 0) {
		j->size = sizeof(magic);
		*ret_why = "it cannot be written";
		return write_all(j->fd, magic, sizeof(magic));
	}
	*ret_why = "memory, or idempotency.memory, does not suffice to read it";
	bytes = malloc(size);
	if (bytes == NULL)
		return ISO_ENOMEM;
	for (n = 0; n < size && (got = read(j->fd, bytes + n, size - n)) > 0; n += (size_t)got)
		;
	if (got < 0) {
		err = iso_err_from_errno(errno);
		free(bytes);
		*ret_why = "it cannot be read";
		return err; /* what was not read is not torn */
	}
	if (n < sizeof(magic) || memcmp(bytes, magic, sizeof(magic)) != 0) {
		free(bytes);
		*ret_why = "it is not a journal of this version: move it away, or name another file";
		return ISO_EBAD;
	}
	for (; at < n && err == ISO_OK && step > 0; at += step)
		err = take(bytes + at, n - at, t, now_us, &step);
	free(bytes);
	if (err != ISO_OK)
		return err; /* the file stays as it is */
	j->size = at;
	*ret_why = "what is torn at its end cannot be cut off";
	if (ftruncate(j->fd, (off_t)at) != 0 || lseek(j->fd, (off_t)at, SEEK_SET) < 0)
		return iso_err_from_errno(errno);
	return ISO_OK;
}

/*
 * What still runs when all is read was interrupted. To its client that is its end: the answer can be missed
 * from now on, not from when the key came, and nobody could ask again before. So it is remembered for as
 * long, from the restart on, as what ends now is; or as it was when it came, if that is longer. That is
 * noted, or each further restart would begin to count anew; where it cannot be written, that is all that
 * happens.
 */
static void end_running(struct iso_journal *j, struct iso_ledger_table *t, uint64_t interrupted_us)
{
	size_t n = t->map.count;
	struct iso_list *next;

	/* They turn to the back. */
	for (struct iso_list *l = t->used.next; n > 0; l = next, n--) {
		struct iso_ledger_entry *e = ISO_CONTAINER(l, struct iso_ledger_entry, link);

		next = l->next;
		if (e->state != ISO_LEDGER_RUNNING)
			continue;
		iso_ledger_table_finish(t, &e->id, ISO_LEDGER_UNKNOWN,
					e->expires_us > interrupted_us ? e->expires_us : interrupted_us,
					iso_slice("", 0));
		(void)!iso_journal_note(j, e);
	}
	(void)!iso_journal_flush(j, false);
}

/* A name is on disk when its directory is. Where that cannot be asked for (EINVAL), there is no more to do.
 */
static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[4096] = ".";
	size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
	int err = ISO_OK, fd;

	if (len >= sizeof(directory))
		return ISO_ELIMIT;
	if (len > 0) {
		memcpy(directory, path, len);
		directory[len] = '\0';
	}
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return iso_err_from_errno(errno);
	if (fsync(fd) != 0 && errno != EINVAL)
		err = iso_err_from_errno(errno);
	(void)close(fd);
	return err;
}

/* Whether the path still names it: who wrote it anew has locked the new file and let go of this one. */
static bool is_there(const struct iso_journal *j)
{
	struct stat ours, named;

	return fstat(j->fd, &ours) == 0 && stat(j->path, &named) == 0 && ours.st_ino == named.st_ino &&
	       ours.st_dev == named.st_dev;
}

int iso_journal_open(struct iso_journal *j, const char *path, struct iso_ledger_table *t, uint64_t now_us,
		     uint64_t interrupted_us, const char **ret_why)
{
	int err;

	*j = (struct iso_journal){ .fd = -1, .path = path };
	if (path == NULL)
		return ISO_OK;
	j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->fd < 0) {
		err = iso_err_from_errno(errno);
		*ret_why = "it cannot be opened for writing";
		return err;
	}
	if (flock(j->fd, LOCK_EX | LOCK_NB) != 0 || !is_there(j)) {
		iso_journal_close(j);
		*ret_why = "another process uses it";
		return ISO_EEXISTS;
	}
	err = read_all(j, t, now_us, ret_why);
	if (err == ISO_OK) {
		/* Always: the process that made it may have come no further. */
		*ret_why = "its directory cannot be written to disk";
		err = sync_directory(path);
	}
	if (err == ISO_OK)
		end_running(j, t, interrupted_us);
	else
		iso_journal_close(j);
	j->live = j->size;
	return err;
}

void iso_journal_close(struct iso_journal *j)
{
	if (j->fd >= 0)
		(void)close(j->fd);
	free(j->out);
	*j = (struct iso_journal){ .fd = -1 };
}

/* The table's entries in a new file beside the old one, on disk. ISO_OK, or nothing is left of it. */
static int write_anew(struct iso_journal *to, const struct iso_ledger_table *t, uint64_t now_us)
{
	int err = to->fd < 0 ? iso_err_from_errno(errno) : write_all(to->fd, magic, sizeof(magic));

	for (struct iso_list *l = t->used.next; l != &t->used && err == ISO_OK; l = l->next) {
		const struct iso_ledger_entry *e = ISO_CONTAINER(l, struct iso_ledger_entry, link);

		if (e->state == ISO_LEDGER_RUNNING || now_us < e->expires_us)
			err = iso_journal_note(to, e);
		if (err == ISO_OK && to->len >= TIDY_LEAST)
			err = iso_journal_flush(to, false);
	}
	return err == ISO_OK ? iso_journal_flush(to, true) : err;
}

void iso_journal_tidy(struct iso_journal *j, const struct iso_ledger_table *t, uint64_t now_us)
{
	struct iso_journal to = { .fd = -1, .size = sizeof(magic) };
	char path[4096];
	int n;

	if (j->fd < 0 || j->size < TIDY_LEAST || j->size < 2 * j->live)
		return;
	n = snprintf(path, sizeof(path), "%s.new", j->path);
	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	to.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	/* Locked before it takes the name, so that nobody else can open it between. */
	if (write_anew(&to, t, now_us) == ISO_OK && flock(to.fd, LOCK_EX | LOCK_NB) == 0 &&
	    rename(path, j->path) == 0) {
		to.path = j->path;
		to.live = to.size;
		iso_journal_close(j);
		*j = to;
		if (sync_directory(j->path) != ISO_OK)
			iso_journal_break(j);
		return;
	}
	(void)unlink(path);
	j->live = j->size; /* tried again when it has doubled once more */
	iso_journal_close(&to);
}
