/*
 * See cookie.h. HTTP/2 clients may give each cookie a field of its own (RFC 9113 section 8.2.3). Pure.
 */
#include "iso/http/cookie.h"

bool iso_cookie_next(struct iso_cookie_walk *walk, const struct iso_fields *fields, struct iso_slice name,
		     struct iso_slice *ret_value)
{
	struct iso_slice pair;

	for (;;) {
		while (iso_slice_next(&walk->rest, ';', &pair)) {
			if (pair.len <= name.len || pair.ptr[name.len] != '=' ||
			    !iso_slice_starts(pair, name))
				continue;
			*ret_value = iso_slice(pair.ptr + name.len + 1, pair.len - name.len - 1);
			return true;
		}
		while (walk->next < fields->n && fields->v[walk->next].id != ISO_FIELD_COOKIE)
			walk->next++;
		if (walk->next >= fields->n)
			return false;
		walk->rest = fields->v[walk->next++].value;
	}
}
