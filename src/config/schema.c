/*
 * The schema as an array, and how to find one's way in it by path. Any thread.
 */
#include "iso/config/schema.h"

#include "schema_table.h"

static const struct iso_schema_key keys[] = {
#define X(path, type, need, min, max, fallback, values, unavailable, doc)                                    \
	{                                                                                                    \
		path,                                                                                        \
		ISO_SCHEMA_##type,                                                                           \
		(enum iso_schema_need)(need),                                                                \
		min,                                                                                         \
		max,                                                                                         \
		fallback,                                                                                    \
		values,                                                                                      \
		unavailable,                                                                                 \
		doc                                                                                          \
	},
	ISO_SCHEMA_TABLE(X)
#undef X
};

enum { WORD_MAX = 64 };

size_t iso_schema_count(void)
{
	return sizeof(keys) / sizeof(keys[0]);
}

const struct iso_schema_key *iso_schema_row(size_t index)
{
	return &keys[index];
}

const struct iso_schema_key *iso_schema_find(const char *path)
{
	for (size_t i = 0; i < iso_schema_count(); i++) {
		if (strcmp(keys[i].path, path) == 0)
			return &keys[i];
	}
	return NULL;
}

/* Where the last part of a path begins, its separator included. */
static const char *last_part(const char *path)
{
	size_t n = strlen(path);
	const char *dot = strrchr(path, '.');

	if (n >= 2 && path[n - 1] == ']')
		return path + n - 2;
	return dot != NULL ? dot : path;
}

const char *iso_schema_name(const struct iso_schema_key *key)
{
	const char *part = last_part(key->path);

	return part[0] == '.' ? part + 1 : part;
}

bool iso_schema_is_child(const struct iso_schema_key *parent, const struct iso_schema_key *key)
{
	size_t n = strlen(parent->path);

	return key != parent && key->path[0] != '\0' && (size_t)(last_part(key->path) - key->path) == n &&
	       strncmp(key->path, parent->path, n) == 0;
}

const struct iso_schema_key *iso_schema_child(const struct iso_schema_key *parent, struct iso_slice name)
{
	bool any = parent->type == ISO_SCHEMA_MAP || parent->type == ISO_SCHEMA_ARRAY;

	for (const struct iso_schema_key *key = parent + 1; key < keys + iso_schema_count(); key++) {
		if (iso_schema_is_child(parent, key) &&
		    (any || iso_slice_eq(iso_slice_str(iso_schema_name(key)), name)))
			return key;
	}
	return NULL;
}

/* Levenshtein's distance; words of more than WORD_MAX bytes are far from everything. */
static size_t distance(struct iso_slice a, struct iso_slice b)
{
	size_t row[WORD_MAX + 1];

	if (a.len > WORD_MAX || b.len > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			bool same = iso_ascii_lower(a.ptr[i - 1]) == iso_ascii_lower(b.ptr[j - 1]);
			size_t best = diagonal + (same ? 0 : 1);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.len];
}

bool iso_schema_near(struct iso_slice a, struct iso_slice b)
{
	size_t longer = a.len > b.len ? a.len : b.len;

	return longer > 0 && distance(a, b) <= (longer + 2) / 4 + (longer > 3 ? 1 : 0);
}

const char *iso_schema_suggest(const struct iso_schema_key *parent, struct iso_slice name)
{
	const char *best = NULL;
	size_t best_distance = WORD_MAX;

	for (const struct iso_schema_key *key = parent + 1; key < keys + iso_schema_count(); key++) {
		struct iso_slice word = iso_slice_str(iso_schema_name(key));

		if (!iso_schema_is_child(parent, key) || !iso_schema_near(word, name))
			continue;
		if (distance(word, name) < best_distance) {
			best_distance = distance(word, name);
			best = word.ptr;
		}
	}
	return best;
}

bool iso_schema_one_of(const char *alternatives, struct iso_slice value)
{
	struct iso_slice rest = iso_slice_str(alternatives), part;

	while (iso_slice_next(&rest, '|', &part)) {
		if (iso_slice_eq(part, value))
			return true;
	}
	return false;
}
