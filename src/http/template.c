/*
 * See template.h.
 */
#include "iso/http/template.h"

/* The length of the name in "${name}", or 0. */
static size_t name_len(struct iso_slice at)
{
	size_t n = 0;

	for (; n + 2 < at.len; n++) {
		char c = at.ptr[2 + n];

		if ((c >= 'a' && c <= 'z') || (n > 0 && (c == '_' || (c >= '0' && c <= '9'))))
			continue;
		return c == '}' ? n : 0;
	}
	return 0;
}

/* Where the next "${" begins; the length of the text when there is none. */
static size_t find_mark(struct iso_slice text)
{
	for (size_t i = 0; i + 1 < text.len; i++) {
		if (text.ptr[i] == '$' && text.ptr[i + 1] == '{')
			return i;
	}
	return text.len;
}

static void put(struct iso_template_part *parts, uint32_t *n, const char *ptr, size_t len, bool variable)
{
	if (len > 0)
		parts[(*n)++] = (struct iso_template_part){ iso_slice(ptr, len), variable };
}

int iso_template_parse(struct iso_arena *arena, struct iso_slice text, struct iso_template *ret_template)
{
	size_t most = 1;
	struct iso_template_part *parts;
	uint32_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		most += 2 * (size_t)(text.ptr[i] == '$');
	parts = iso_arena_alloc(arena, most * sizeof(*parts));
	if (parts == NULL)
		return ISO_ENOMEM;
	while (text.len > 0) {
		size_t at = find_mark(text), len;

		if (at > 0 && at < text.len && text.ptr[at - 1] == '$') { /* "$${": one of the two stays */
			put(parts, &n, text.ptr, at - 1, false);
			put(parts, &n, text.ptr + at, 2, false);
			text = iso_slice(text.ptr + at + 2, text.len - at - 2);
			continue;
		}
		put(parts, &n, text.ptr, at, false);
		text = iso_slice(text.ptr + at, text.len - at);
		if (text.len == 0)
			break;
		len = name_len(text);
		if (len == 0)
			return ISO_EBAD;
		put(parts, &n, text.ptr + 2, len, true);
		text = iso_slice(text.ptr + len + 3, text.len - len - 3);
	}
	*ret_template = (struct iso_template){ parts, n };
	return ISO_OK;
}

struct iso_slice iso_template_render(const struct iso_template *template, struct iso_arena *arena,
				     iso_template_value_fn *value, const void *ctx)
{
	size_t len = 0;
	char *text;

	if (template->n == 0)
		return ISO_SLICE("");
	if (template->n == 1 && !template->parts[0].variable)
		return template->parts[0].text;
	for (uint32_t i = 0; i < template->n; i++)
		len += template->parts[i].variable ? value(ctx, template->parts[i].text).len
						   : template->parts[i].text.len;
	text = iso_arena_alloc(arena, len + 1);
	if (text == NULL)
		return iso_slice(NULL, 0);
	len = 0;
	for (uint32_t i = 0; i < template->n; i++) {
		struct iso_slice part = template->parts[i].text;

		if (template->parts[i].variable)
			part = value(ctx, part);
		if (part.len > 0)
			memcpy(text + len, part.ptr, part.len);
		len += part.len;
	}
	text[len] = '\0';
	return iso_slice(text, len);
}
