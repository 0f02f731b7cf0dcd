/*
 * Slices: comparison, trimming, splitting, numbers. Pure.
 */
#include "iso/base/slice.h"

#include "iso/base/err.h"

bool iso_slice_eq_nocase(struct iso_slice a, struct iso_slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (iso_ascii_lower(a.ptr[i]) != iso_ascii_lower(b.ptr[i]))
			return false;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct iso_slice iso_slice_trim(struct iso_slice s)
{
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

size_t iso_slice_find(struct iso_slice s, char c)
{
	const char *at = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;

	return at != NULL ? (size_t)(at - s.ptr) : s.len;
}

bool iso_slice_next(struct iso_slice *rest, char sep, struct iso_slice *ret_part)
{
	size_t at;

	if (rest->ptr == NULL)
		return false;
	at = iso_slice_find(*rest, sep);
	*ret_part = iso_slice_trim(iso_slice(rest->ptr, at));
	if (at == rest->len)
		*rest = iso_slice(NULL, 0);
	else
		*rest = iso_slice(rest->ptr + at + 1, rest->len - at - 1);
	return true;
}

int iso_slice_u64(struct iso_slice s, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (s.len == 0)
		return ISO_EBAD;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)(unsigned char)s.ptr[i] - '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return ISO_EBAD;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return ISO_OK;
}
