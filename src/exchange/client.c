/*
 * See client.h. Any thread.
 */
#include "iso/exchange/client.h"

#include "iso/http/cookie.h"
#include "iso/net/resolver.h"

enum { HEX = 16 };

/* Sixteen lower-case digits: what this proxy writes, and nothing else. */
static bool read_hex(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (size_t i = 0; i < HEX; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret_value = value;
	return true;
}

static bool read_value(struct iso_slice text, struct iso_exchange_cookie *ret_cookie)
{
	struct iso_exchange_cookie cookie = { .had = true };

	if (text.len != HEX && text.len != 2 * HEX + 1)
		return false;
	if (!read_hex(text.ptr, &cookie.key))
		return false;
	if (text.len > HEX && (text.ptr[HEX] != '-' || !read_hex(text.ptr + HEX + 1, &cookie.home)))
		return false;
	*ret_cookie = cookie;
	return true;
}

bool iso_client_cookie(const struct iso_fields *fields, struct iso_slice name,
		       struct iso_exchange_cookie *ret_cookie)
{
	struct iso_cookie_walk walk = { 0 };
	struct iso_slice value;

	while (iso_cookie_next(&walk, fields, name, &value))
		if (read_value(value, ret_cookie))
			return true;
	return false;
}

bool iso_client_bytes(enum iso_sticky_by by, struct iso_slice name, const struct iso_fields *fields,
		      const struct iso_sockaddr *addr, struct iso_slice *ret_bytes)
{
	const struct iso_field *f;

	switch (by) {
	case ISO_STICKY_HEADER:
		f = iso_fields_find(fields, name);
		if (f == NULL || f->value.len == 0)
			return false;
		*ret_bytes = f->value;
		return true;
	case ISO_STICKY_CLIENT_IP:
		if (addr == NULL)
			return false;
		*ret_bytes = iso_sockaddr_client(addr);
		return true;
	default:
		return false;
	}
}
