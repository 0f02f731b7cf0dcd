/*
 * The schema printed as a manual page, isochrone.json(5), in the macros of man(7).
 */
#include "iso/config/schema.h"

#include "schema_print_priv.h"

enum { LINE_WRAP = 45 };

/* A character of code: what roff would show as typographic is written as it is. */
static int put_code(FILE *out, char c)
{
	switch (c) {
	case '-':
		return fprintf(out, "\\-");
	case '~':
		return fprintf(out, "\\(ti");
	case '^':
		return fprintf(out, "\\(ha");
	case '\'':
		return fprintf(out, "\\(aq");
	default:
		return fprintf(out, "%c", c);
	}
}

/* A sentence ends and another one begins: pages are written a sentence a line. */
static bool is_break(const char *text, const char *at)
{
	return *at == ' ' && at > text && at[-1] == '.' && at[1] >= 'A' && at[1] <= 'Z';
}

/* As roff takes it: no line may begin with a dot or a quote. Prose is wrapped; what is all `code` is not. */
static void put_text(FILE *out, const char *text, bool code)
{
	const bool prose = !code;
	int column = 0;

	for (const char *at = text; *at != '\0'; at++) {
		if (prose && *at == ' ' && (column > LINE_WRAP || is_break(text, at))) {
			(void)fputc('\n', out);
			column = 0;
			continue;
		}
		if (column == 0 && (*at == '.' || *at == '\''))
			(void)fputs("\\&", out);
		if (*at == '`') {
			code = !code;
			column += fprintf(out, "%s", code ? "\\fB" : "\\fR");
		} else if (*at == '\\') {
			column += fprintf(out, "\\e");
		} else {
			column += code ? put_code(out, *at) : fprintf(out, "%c", *at);
		}
	}
}

static void put_key(FILE *out, const struct iso_schema_key *key)
{
	(void)fputs(".TP\n\\fB", out);
	put_text(out, key->path, true);
	(void)fputs("\\fR (", out);
	iso_schema_put_type(out, key, "\\(dq");
	if (key->need == ISO_SCHEMA_REQUIRED)
		(void)fputs("; required", out);
	if (key->need == ISO_SCHEMA_CHOICE)
		(void)fputs("; one of several", out);
	if (key->fallback != NULL) {
		(void)fputs("; default ", out);
		put_text(out, key->fallback, true);
	}
	(void)fputs(")\n", out);
	put_text(out, key->doc, false);
	(void)fputc('\n', out);
}

static const char head[] = ".\\\" Generated from the schema table: isochrone schema man\n"
			   ".TH ISOCHRONE.JSON 5 2026-11-28 Isochrone\n"
			   ".SH NAME\n"
			   "isochrone.json \\- configuration of the reverse proxy isochrone\n"
			   ".SH DESCRIPTION\n"
			   "One file of JSON (RFC 8259) describes listeners, services with their\n"
			   "regions, and routes.\n"
			   "Unknown keys, duplicate keys, wrong types, values out of range and names\n"
			   "that refer to nothing are errors; all of them are reported at once, with\n"
			   "file, line, column, JSON pointer and a way to mend it.\n"
			   ".PP\n"
			   "A duration is a string with a unit: us, ms, s, m or h.\n"
			   "A size is a string with a unit: B, KiB, MiB or GiB.\n"
			   ".PP\n"
			   "In a string, \\fB${NAME}\\fR is replaced by that environment variable,\n"
			   "which must be set, and \\fB${file:PATH}\\fR by the content of a file of at\n"
			   "most 64 KiB, without the newline at its end.\n"
			   "\\fB$${\\fR is a literal \\fB${\\fR.\n"
			   "Relative file names start at the directory of the file that they stand in.\n"
			   ".SH KEYS\n"
			   "In a key, * stands for a name of your own and [] for an item of an\n"
			   "array.\n";

static const char tail[] = ".SH EXIT STATUS\n"
			   "\\fBisochrone check\\fR exits with 0 for a good file and 1 for a bad one.\n"
			   ".SH SEE ALSO\n"
			   ".BR isochrone (8)\n";

void iso_schema_print_man(FILE *out)
{
	(void)fputs(head, out);
	for (size_t i = 1; i < iso_schema_count(); i++)
		put_key(out, iso_schema_row(i));
	(void)fputs(".SH WHICH ROUTE WINS\n"
		    "The most specific rule that matches the request, compared in this\n"
		    "order and never by the order in the file:\n",
		    out);
	for (size_t i = 0; i < ISO_SCHEMA_ORDERS; i++) {
		(void)fprintf(out, ".IP %zu. 4\n", i + 1);
		put_text(out, iso_schema_route_order[i], false);
		(void)fputc('\n', out);
	}
	(void)fputs(".PP\n"
		    "Two rules that are equal in all of it and would both take some request\n"
		    "are an error.\n",
		    out);
	(void)fputs(tail, out);
}
