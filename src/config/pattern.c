/*
 * See pattern_priv.h. By readdir and fnmatch, not by glob(3): one directory is read, and what it costs is
 * bounded. Any thread.
 */
#include "pattern_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char wild[] = "*?[";

static size_t dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

bool iso_pattern_is(const char *path)
{
	return strpbrk(path, wild) != NULL;
}

bool iso_pattern_dir_is(const char *path)
{
	return strcspn(path, wild) < dir_len(path);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *join(const char *path, size_t dir, const char *name)
{
	size_t n = strlen(name);
	char *joined = malloc(dir + n + 1);

	if (joined != NULL) {
		memcpy(joined, path, dir);
		memcpy(joined + dir, name, n + 1);
	}
	return joined;
}

/* Takes the name. */
static int keep(struct iso_pattern_list *list, size_t max, char *name)
{
	char **names = NULL;

	if (name != NULL && list->n < max)
		names = realloc(list->names, (list->n + 1) * sizeof(*names));
	if (names == NULL) {
		free(name);
		return list->n < max ? ISO_ENOMEM : ISO_ELIMIT;
	}
	list->names = names;
	list->names[list->n++] = name;
	return ISO_OK;
}

int iso_pattern_find(const char *path, size_t max, struct iso_pattern_list *ret_list)
{
	struct iso_pattern_list list = { NULL, 0 };
	size_t dir = dir_len(path);
	char *folder = dir > 0 ? strndup(path, dir) : strdup(".");
	DIR *d = folder != NULL ? opendir(folder) : NULL;
	const struct dirent *entry;
	int err = ISO_OK, why = errno;

	if (d == NULL) {
		err = folder == NULL ? ISO_ENOMEM : why == ENOENT ? ISO_OK : ISO_ESYS;
		free(folder);
		errno = why;
		if (err == ISO_OK)
			*ret_list = list;
		return err;
	}
	while (err == ISO_OK && (entry = readdir(d)) != NULL) {
		if (fnmatch(path + dir, entry->d_name, FNM_PERIOD) == 0)
			err = keep(&list, max, join(path, dir, entry->d_name));
	}
	closedir(d);
	free(folder);
	if (err != ISO_OK) {
		iso_pattern_list_done(&list);
		return err;
	}
	if (list.n > 1)
		qsort(list.names, list.n, sizeof(*list.names), by_bytes);
	*ret_list = list;
	return ISO_OK;
}

void iso_pattern_list_done(struct iso_pattern_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct iso_pattern_list){ NULL, 0 };
}
