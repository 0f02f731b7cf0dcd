/*
 * Errors and notes with their place, into the diagnostics.
 */
#include "load_priv.h"

#include <stdarg.h>
#include <stdio.h>

enum { MESSAGE_MAX = 512, MEND_MAX = 400 };

static const struct iso_source *find(const struct iso_load *load, const char *pointer,
				     char ret_pointer[ISO_POINTER_MAX])
{
	if (load->reading == NULL)
		return iso_sources_of(&load->sources, pointer, ret_pointer);
	(void)snprintf(ret_pointer, ISO_POINTER_MAX, "%s", pointer);
	return load->reading;
}

const struct iso_source *iso_load_source(const struct iso_load *load)
{
	char pointer[ISO_POINTER_MAX];

	return find(load, load->at.text, pointer);
}

/* Where a value or key is, unless nobody will read it: what is beyond the list's room is counted alone. */
static struct iso_place place_in(const struct iso_load *load, const struct iso_source *source,
				 const char *pointer, enum iso_place_of of)
{
	struct iso_place place = { 0, 0 };

	if (load->diag->count < load->diag->max)
		(void)iso_place_find(source->text, pointer, of, &place);
	return place;
}

void iso_load_where(struct iso_load *load, const char *pointer, enum iso_place_of of,
		    char ret_text[ISO_LOAD_WHERE_MAX])
{
	char own[ISO_POINTER_MAX];
	const struct iso_source *source = find(load, pointer, own);
	struct iso_place place = place_in(load, source, own, of);

	(void)snprintf(ret_text, ISO_LOAD_WHERE_MAX, "%.250s:%u:%u",
		       source->parent != NULL ? source->name : load->diag->file, place.line, place.column);
}

static void report(struct iso_load *load, enum iso_diag_level level, enum iso_place_of of, const char *mend,
		   const char *message)
{
	char text[MESSAGE_MAX], pointer[ISO_POINTER_MAX];
	const struct iso_source *source = find(load, load->at.text, pointer);
	struct iso_place place = place_in(load, source, pointer, of);
	size_t n = strlen(message);

	for (size_t i = 0; i <= n; i++) /* a bar would be taken for the beginning of the mend */
		text[i] = message[i] == '|' ? '!' : message[i];
	iso_diag_add(load->diag, level,
		     (struct iso_diag_place){ place.line, place.column, pointer,
					      source->parent != NULL ? source->name : NULL },
		     "%s|%.*s", text, MEND_MAX, mend);
}

void iso_load_error(struct iso_load *load, enum iso_place_of of, const char *mend, const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	report(load, ISO_DIAG_ERROR, of, mend, message);
}

void iso_load_note(struct iso_load *load, const char *mend, const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	report(load, ISO_DIAG_NOTE, ISO_PLACE_VALUE, mend, message);
}

void iso_load_error_in(struct iso_load *load, const char *member, const char *mend, const char *format, ...)
{
	char message[MESSAGE_MAX];
	size_t mark = iso_pointer_key(&load->at, iso_slice_str(member));
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	report(load, ISO_DIAG_ERROR, ISO_PLACE_VALUE, mend, message);
	iso_pointer_cut(&load->at, mark);
}
