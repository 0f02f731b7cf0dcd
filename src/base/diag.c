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

/* Where the message ends in the printed text: the bar is the format's, never one of an argument's. */
__attribute__((format(printf, 1, 0))) static size_t message_len(const char *format, va_list args)
{
	const char *bar = strchr(format, '|');
	char *head = bar != NULL ? strndup(format, (size_t)(bar - format)) : NULL;
	int len = head != NULL ? vsnprintf(NULL, 0, head, args) : -1;

	free(head);
	return len >= 0 ? (size_t)len : SIZE_MAX;
}

static bool fill(struct iso_diag_entry *entry, const char *pointer, const char *text, size_t bar)
{
	size_t len = strlen(text);

	if (bar > len)
		bar = len;
	entry->pointer = strdup(pointer);
	entry->message = strndup(text, bar);
	entry->mend = strdup(bar < len ? text + bar + 1 : "");
	return entry->pointer != NULL && entry->message != NULL && entry->mend != NULL;
}

void iso_diag_add(struct iso_diag *diag, enum iso_diag_level level, struct iso_diag_place place,
		  const char *format, ...)
{
	struct iso_diag_entry entry = { .level = level, .line = place.line, .column = place.column };
	struct iso_diag_entry *entries;
	char text[1024];
	va_list args;
	size_t bar;

	if (level == ISO_DIAG_ERROR)
		diag->errors++; /* counted even when there is no room for its words */
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	va_start(args, format);
	bar = message_len(format, args);
	va_end(args);
	entries = diag->count < diag->max ? realloc(diag->entries, (diag->count + 1) * sizeof(*entries))
					  : NULL;
	if (entries == NULL) {
		diag->dropped++;
		return;
	}
	diag->entries = entries;
	if (!fill(&entry, place.pointer, text, bar)) {
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
			e->level == ISO_DIAG_NOTE ? "note" : "error", e->pointer[0] != '\0' ? " at " : "",
			e->pointer, e->message, e->mend[0] != '\0' ? "; " : "", e->mend);
	}
	if (diag->dropped > 0)
		fprintf(out, "%s: %zu more\n", diag->file, diag->dropped);
}
