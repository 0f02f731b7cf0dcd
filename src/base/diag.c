/*
 * See diag.h. One owner.
 */
#include "iso/base/diag.h"

#include <stdarg.h>
#include <stdlib.h>

int iso_diag_init(struct iso_diag *diag, const char *file, size_t max)
{
	*diag = (struct iso_diag){ .max = max };
	diag->file = strdup(file);
	return diag->file != NULL ? ISO_OK : ISO_ENOMEM;
}

static void entry_done(struct iso_diag_entry *entry)
{
	free(entry->pointer);
	free(entry->message);
	free(entry->mend);
}

void iso_diag_done(struct iso_diag *diag)
{
	if (diag == NULL)
		return;
	for (size_t i = 0; i < diag->count; i++)
		entry_done(&diag->entries[i]);
	free(diag->entries);
	free(diag->file);
	*diag = (struct iso_diag){ 0 };
}

static bool fill(struct iso_diag_entry *entry, const char *pointer, const char *text)
{
	const char *bar = strchr(text, '|');
	size_t len = bar != NULL ? (size_t)(bar - text) : strlen(text);

	entry->pointer = strdup(pointer);
	entry->message = strndup(text, len);
	entry->mend = strdup(bar != NULL ? bar + 1 : "");
	return entry->pointer != NULL && entry->message != NULL && entry->mend != NULL;
}

void iso_diag_add(struct iso_diag *diag, enum iso_diag_level level, unsigned int line, unsigned int column,
		  const char *pointer, const char *format, ...)
{
	struct iso_diag_entry entry = { .level = level, .line = line, .column = column };
	struct iso_diag_entry *entries;
	char text[1024];
	va_list args;

	if (level == ISO_DIAG_ERROR)
		diag->errors++; /* counted even when there is no room for its words */
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	entries = diag->count < diag->max ? realloc(diag->entries, (diag->count + 1) * sizeof(*entries)) : NULL;
	if (entries == NULL) {
		diag->dropped++;
		return;
	}
	diag->entries = entries;
	if (!fill(&entry, pointer, text)) {
		entry_done(&entry);
		diag->dropped++;
		return;
	}
	entries[diag->count++] = entry;
}

static int by_place(const void *a, const void *b)
{
	const struct iso_diag_entry *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

void iso_diag_print(struct iso_diag *diag, FILE *out)
{
	if (diag->count > 1)
		qsort(diag->entries, diag->count, sizeof(diag->entries[0]), by_place);
	for (size_t i = 0; i < diag->count; i++) {
		const struct iso_diag_entry *e = &diag->entries[i];

		fprintf(out, "%s:%u:%u: %s%s%s: %s%s%s\n", diag->file, e->line, e->column,
			e->level == ISO_DIAG_NOTE ? "note" : "error", e->pointer[0] != '\0' ? " at " : "", e->pointer,
			e->message, e->mend[0] != '\0' ? "; " : "", e->mend);
	}
	if (diag->dropped > 0)
		fprintf(out, "%s: %zu more\n", diag->file, diag->dropped);
}
