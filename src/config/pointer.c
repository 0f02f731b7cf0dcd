/*
 * JSON pointers: see pointer_priv.h. Any thread.
 */
#include "pointer_priv.h"

#include <stdio.h>

static bool put(struct iso_pointer *p, const char *bytes, size_t n)
{
	if (p->len + n >= sizeof(p->text))
		return false;
	memcpy(p->text + p->len, bytes, n);
	p->len += n;
	p->text[p->len] = '\0';
	return true;
}

size_t iso_pointer_key(struct iso_pointer *p, struct iso_slice name)
{
	size_t mark = p->len;
	bool ok = !p->full && put(p, "/", 1);

	for (size_t i = 0; ok && i < name.len; i++) {
		if (name.ptr[i] == '~')
			ok = put(p, "~0", 2);
		else if (name.ptr[i] == '/')
			ok = put(p, "~1", 2);
		else
			ok = put(p, name.ptr + i, 1);
	}
	if (!ok) {
		iso_pointer_cut(p, mark);
		p->full = true;
	}
	return mark;
}

size_t iso_pointer_index(struct iso_pointer *p, size_t index)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%zu", index);
	return iso_pointer_key(p, iso_slice_str(digits));
}

void iso_pointer_cut(struct iso_pointer *p, size_t mark)
{
	p->len = mark;
	p->text[mark] = '\0';
	p->full = false;
}
