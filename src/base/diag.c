/*
 * See diag.h. One owner.
 */
#include "iso/base/diag.h"

#include <stdarg.h>
#include <stdlib.h>

#include "iso/base/text.h"

enum { JSON_MAX = 16 << 20 };

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
	free(entry->file);
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

static bool fill(struct iso_diag_entry *entry, const struct iso_diag_place *place, const char *text,
		 size_t bar)
{
	size_t len = strlen(text);

	if (bar > len)
		bar = len;
	entry->pointer = strdup(place->pointer);
	entry->file = place->file != NULL ? strdup(place->file) : NULL;
	entry->message = strndup(text, bar);
	entry->mend = strdup(bar < len ? text + bar + 1 : "");
	return entry->pointer != NULL && entry->message != NULL && entry->mend != NULL &&
	       (entry->file != NULL || place->file == NULL);
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
	if (!fill(&entry, &place, text, bar)) {
		entry_done(&entry);
		diag->dropped++;
		return;
	}
	entries[diag->count++] = entry;
}

static int by_place(const void *a, const void *b)
{
	const struct iso_diag_entry *x = a, *y = b;
	int files = strcmp(x->file != NULL ? x->file : "", y->file != NULL ? y->file : "");

	if (files != 0)
		return files;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

static void sort(struct iso_diag *diag)
{
	if (diag->count > 1)
		qsort(diag->entries, diag->count, sizeof(diag->entries[0]), by_place);
}

static const char *file_of(const struct iso_diag *diag, const struct iso_diag_entry *entry)
{
	return entry->file != NULL ? entry->file : diag->file;
}

void iso_diag_print(struct iso_diag *diag, FILE *out)
{
	sort(diag);
	for (size_t i = 0; i < diag->count; i++) {
		const struct iso_diag_entry *e = &diag->entries[i];

		fprintf(out, "%s:%u:%u: %s%s%s: %s%s%s\n", file_of(diag, e), e->line, e->column,
			e->level == ISO_DIAG_NOTE ? "note" : "error", e->pointer[0] != '\0' ? " at " : "",
			e->pointer, e->message, e->mend[0] != '\0' ? "; " : "", e->mend);
	}
	if (diag->dropped > 0)
		fprintf(out, "%s: %zu more\n", diag->file, diag->dropped);
}

static void put_member(struct iso_text *text, const char *name, const char *value)
{
	iso_text_fmt(text, ", \"%s\": ", name);
	iso_text_json(text, iso_slice_str(value));
}

static void put_entries(struct iso_text *text, const struct iso_diag *diag, enum iso_diag_level level)
{
	const char *separator = "";

	for (size_t i = 0; i < diag->count; i++) {
		const struct iso_diag_entry *e = &diag->entries[i];

		if (e->level != level)
			continue;
		iso_text_fmt(text, "%s\n  { \"file\": ", separator);
		iso_text_json(text, iso_slice_str(file_of(diag, e)));
		iso_text_fmt(text, ", \"line\": %u, \"column\": %u", e->line, e->column);
		put_member(text, "pointer", e->pointer);
		put_member(text, "message", e->message);
		put_member(text, "mend", e->mend);
		iso_text_str(text, " }");
		separator = ",";
	}
}

int iso_diag_print_json(struct iso_diag *diag, bool good, FILE *out)
{
	struct iso_text text;
	int err;

	sort(diag);
	iso_text_init(&text, JSON_MAX);
	iso_text_str(&text, "{ \"file\": ");
	iso_text_json(&text, iso_slice_str(diag->file));
	iso_text_fmt(&text, ", \"good\": %s,\n  \"errors\": [", good ? "true" : "false");
	put_entries(&text, diag, ISO_DIAG_ERROR);
	iso_text_str(&text, "],\n  \"notes\": [");
	put_entries(&text, diag, ISO_DIAG_NOTE);
	iso_text_fmt(&text, "], \"more\": %zu }\n", diag->dropped);
	err = iso_text_ok(&text);
	if (err == ISO_OK)
		(void)fwrite(text.bytes, 1, text.len, out);
	iso_text_done(&text);
	return err;
}
