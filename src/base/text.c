/*
 * See text.h. Any thread; one owner.
 */
#include "iso/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 256, DECIMALS_MAX = 17 };

void iso_text_init(struct iso_text *text, size_t max)
{
	*text = (struct iso_text){ .max = max };
}

void iso_text_init_fixed(struct iso_text *text, char *bytes, size_t size)
{
	*text = (struct iso_text){ .bytes = bytes, .cap = size, .max = size, .fixed = true };
}

void iso_text_done(struct iso_text *text)
{
	if (text == NULL)
		return;
	if (!text->fixed)
		free(text->bytes);
	*text = (struct iso_text){ 0 };
}

static bool reserve(struct iso_text *text, size_t more)
{
	size_t cap = text->cap == 0 ? FIRST_CAP : text->cap;
	char *bytes;

	if (text->err != ISO_OK)
		return false;
	if (more <= text->cap - text->len)
		return true;
	if (more > text->max - text->len) {
		text->err = ISO_ELIMIT;
		return false;
	}
	while (cap - text->len < more)
		cap *= 2;
	if (cap > text->max)
		cap = text->max;
	bytes = realloc(text->bytes, cap);
	if (bytes == NULL) {
		text->err = ISO_ENOMEM;
		return false;
	}
	text->bytes = bytes;
	text->cap = cap;
	return true;
}

void iso_text_add(struct iso_text *text, struct iso_slice s)
{
	if (s.len == 0 || !reserve(text, s.len))
		return;
	memcpy(text->bytes + text->len, s.ptr, s.len);
	text->len += s.len;
}

void iso_text_str(struct iso_text *text, const char *str)
{
	iso_text_add(text, iso_slice_str(str));
}

void iso_text_fmt(struct iso_text *text, const char *format, ...)
{
	char small[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(small)) {
		iso_text_add(text, iso_slice(small, (size_t)n));
		return;
	}
	if (n < 0 && text->err == ISO_OK)
		text->err = ISO_ELIMIT; /* longer than INT_MAX */
	if (n < 0 || !reserve(text, (size_t)n + 1))
		return;
	va_start(args, format);
	vsnprintf(text->bytes + text->len, (size_t)n + 1, format, args);
	va_end(args);
	text->len += (size_t)n;
}

void iso_text_double(struct iso_text *text, double value, unsigned int decimals)
{
	if (isfinite(value))
		iso_text_fmt(text, "%.*f", decimals < DECIMALS_MAX ? (int)decimals : DECIMALS_MAX, value);
	else
		iso_text_str(text, "null"); /* JSON has no such numbers (RFC 8259 section 6) */
}

void iso_text_u64(struct iso_text *text, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	iso_text_add(text, iso_slice(digits + at, sizeof(digits) - at));
}

/* Length of the UTF-8 sequence at the front, 0 when it is none (RFC 3629 section 4). */
static size_t utf8_len(const unsigned char *s, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (left < len)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

static void add_escape(struct iso_text *text, unsigned char c)
{
	char escape[7] = { '\\', (char)c, '\0' };

	switch (c) {
	case '"':
	case '\\':
		break;
	case '\n':
		escape[1] = 'n';
		break;
	case '\r':
		escape[1] = 'r';
		break;
	case '\t':
		escape[1] = 't';
		break;
	default:
		snprintf(escape, sizeof(escape), "\\u%04x", c);
	}
	iso_text_str(text, escape);
}

void iso_text_json(struct iso_text *text, struct iso_slice s)
{
	const unsigned char *bytes = (const unsigned char *)s.ptr;
	size_t at = 0, plain = 0;

	iso_text_str(text, "\"");
	while (at < s.len) {
		size_t len = utf8_len(bytes + at, s.len - at);
		bool escape = bytes[at] < 0x20 || bytes[at] == '"' || bytes[at] == '\\' || bytes[at] == 0x7f;

		if (len > 0 && !escape) {
			at += len;
			continue;
		}
		iso_text_add(text, iso_slice(s.ptr + plain, at - plain));
		if (len > 0)
			add_escape(text, bytes[at]);
		else
			iso_text_str(text, "\\ufffd");
		plain = ++at;
	}
	if (at > plain)
		iso_text_add(text, iso_slice(s.ptr + plain, at - plain));
	iso_text_str(text, "\"");
}
