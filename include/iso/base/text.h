/*
 * A bounded string builder. Errors stick: append freely, look once at the end.
 */
#ifndef ISO_BASE_TEXT_H
#define ISO_BASE_TEXT_H

#include "iso/base/err.h"
#include "iso/base/slice.h"

struct iso_text {
	char *bytes; /* not NUL-terminated */
	size_t len, cap, max;
	int err;    /* ISO_OK, ISO_ELIMIT, ISO_ENOMEM: nothing is appended after the first */
	bool fixed; /* the caller's memory */
};

/* Grows on the heap up to max bytes. */
void iso_text_init(struct iso_text *text, size_t max);
/* In the caller's memory, no heap. */
void iso_text_init_fixed(struct iso_text *text, char *bytes, size_t size);
void iso_text_done(struct iso_text *text); /* NULL is fine */
void iso_text_add(struct iso_text *text, struct iso_slice s);
void iso_text_str(struct iso_text *text, const char *str);
void iso_text_fmt(struct iso_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void iso_text_u64(struct iso_text *text, uint64_t value);
/* With so many decimals (17 at most), rounded to nearest; "null" for what is no finite number. */
void iso_text_double(struct iso_text *text, double value, unsigned int decimals);
/* A JSON string with its quotes (RFC 8259 section 7); bytes that are not UTF-8 become U+FFFD. */
void iso_text_json(struct iso_text *text, struct iso_slice s);

static inline struct iso_slice iso_text_slice(const struct iso_text *text)
{
	return (struct iso_slice){ text->bytes, text->len };
}

/* ISO_OK, or the first error. */
static inline int iso_text_ok(const struct iso_text *text)
{
	return text->err;
}

#endif
