/*
 * Runs a fuzz target over the files of a corpus: `replay_NAME DIRECTORY`. What the fuzzer has found stays
 * found.
 */
#include <dirent.h>

#include "fuzz.h"

static size_t run(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long size;

	if (file == NULL)
		return 0;
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	bytes = malloc(size > 0 ? (size_t)size : 1); /* exactly as large: a read beyond is a finding */
	MUST(bytes != NULL && size >= 0 && fread(bytes, 1, (size_t)size, file) == (size_t)size);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, (size_t)size);
	free(bytes);
	return 1;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *entry;
	size_t ran = 0;

	if (dir == NULL) {
		fprintf(stderr, "usage: replay_NAME DIRECTORY\n");
		return 2;
	}
	while ((entry = readdir(dir)) != NULL) {
		char path[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		ran += run(path);
	}
	closedir(dir);
	printf("%zu inputs\n", ran);
	return ran > 0 ? 0 : 1;
}
