/*
 * Host and path patterns: what is well formed, their parts, and what of a path stands for a name. Pure.
 */
#include "route_priv.h"

bool iso_route_label_next(struct iso_slice *rest, struct iso_slice *ret_label)
{
	size_t at = rest->len;

	if (rest->ptr == NULL)
		return false;
	if (rest->len > 0 && rest->ptr[0] == '[')
		at = 0;
	while (at > 0 && rest->ptr[at - 1] != '.')
		at--;
	*ret_label = iso_slice(rest->ptr + at, rest->len - at);
	*rest = at > 0 ? iso_slice(rest->ptr, at - 1) : iso_slice(NULL, 0);
	return true;
}

bool iso_route_segment_next(struct iso_slice *rest, struct iso_slice *ret_segment)
{
	size_t n;

	if (rest->ptr == NULL)
		return false;
	n = iso_slice_find(*rest, '/');
	*ret_segment = iso_slice(rest->ptr, n);
	*rest = n < rest->len ? iso_slice(rest->ptr + n + 1, rest->len - n - 1) : iso_slice(NULL, 0);
	return true;
}

uint32_t iso_route_count_byte(struct iso_slice s, char c)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == c;
	return n;
}

bool iso_route_wild_host(struct iso_slice host)
{
	return iso_slice_starts(host, ISO_SLICE("*."));
}

bool iso_route_prefix_path(struct iso_slice path)
{
	return path.len >= 2 && path.ptr[path.len - 2] == '/' && path.ptr[path.len - 1] == '*';
}

static bool label_ok(struct iso_slice label)
{
	if (label.len == 0 || label.len > 63)
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

const char *iso_route_host_problem(struct iso_slice host)
{
	struct iso_slice rest = iso_route_wild_host(host) ? iso_slice(host.ptr + 2, host.len - 2) : host;
	struct iso_slice label;

	if (host.len == 0)
		return "the host is empty";
	if (host.len > ISO_ROUTE_HOST_MAX)
		return "the host is longer than 255 bytes";
	if (host.ptr[0] == '[')
		return host.ptr[host.len - 1] == ']' && iso_slice_find(host, ']') == host.len - 1
			       ? NULL
			       : "an IPv6 address ends with a bracket and has no port here";
	if (iso_route_count_byte(rest, '*') > 0)
		return "a star may only be the whole first label, as in *.example.com";
	if (iso_route_count_byte(host, ':') > 0)
		return "the port is ignored when a host is matched, so it must not be given";
	while (iso_route_label_next(&rest, &label)) {
		if (!label_ok(label))
			return "a host is made of labels of letters, digits, '-' and '_' with single "
			       "dots between";
	}
	return NULL;
}

bool iso_route_named_segment(struct iso_slice segment)
{
	return segment.len > 0 && segment.ptr[0] == '{';
}

/* "{order_id}": what templates can name. */
static bool segment_name_ok(struct iso_slice segment)
{
	if (segment.len < 3 || segment.ptr[segment.len - 1] != '}' || segment.ptr[1] < 'a' ||
	    segment.ptr[1] > 'z')
		return false;
	for (size_t i = 1; i + 1 < segment.len; i++) {
		char c = segment.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}

static const char *segments_problem(struct iso_slice rest)
{
	struct iso_slice segment;
	uint32_t n = 0;

	while (iso_route_segment_next(&rest, &segment)) {
		if (++n > ISO_ROUTE_SEGMENTS_MAX)
			return "the path has more than 64 segments";
		if (iso_slice_eq(segment, ISO_SLICE(".")) || iso_slice_eq(segment, ISO_SLICE("..")))
			return "dot segments never match: paths are normalised before they are matched";
		if (iso_route_named_segment(segment) && !segment_name_ok(segment))
			return "a named segment is a whole one, as in /orders/{id}: lower-case letters, "
			       "digits and underscores, a letter first";
		if (!iso_route_named_segment(segment) &&
		    iso_route_count_byte(segment, '{') + iso_route_count_byte(segment, '}') > 0)
			return "braces stand around a whole segment, as in /orders/{id}";
	}
	return NULL;
}

const char *iso_route_path_problem(struct iso_slice path)
{
	if (path.len == 0 || path.ptr[0] != '/')
		return "a path begins with \"/\"";
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.ptr[i];

		if (c <= ' ' || c >= 0x7f)
			return "a path has no blanks, control characters or bytes beyond ASCII "
			       "(write them as %XX)";
		if (c == '?' || c == '#')
			return "a path is matched without query and fragment";
	}
	if (iso_route_count_byte(path, '*') > (iso_route_prefix_path(path) ? 1 : 0))
		return "a star may only be the whole last segment, as in /orders/*";
	return segments_problem(iso_slice(path.ptr + 1, path.len - 1));
}

bool iso_route_capture(struct iso_slice pattern, struct iso_slice path, struct iso_slice name,
		       struct iso_slice *ret_value)
{
	struct iso_slice rest, left, want, segment;

	path.len = iso_slice_find(path, '?');
	if (pattern.len == 0 || path.len == 0 || path.ptr[0] != '/')
		return false;
	rest = iso_slice(pattern.ptr + 1, pattern.len - 1);
	left = iso_slice(path.ptr + 1, path.len - 1);
	while (iso_route_segment_next(&rest, &want)) {
		if (rest.ptr == NULL && iso_slice_eq(want, ISO_SLICE("*"))) {
			*ret_value = left.ptr != NULL ? left : ISO_SLICE("");
			return iso_slice_eq(name, ISO_SLICE("rest"));
		}
		if (!iso_route_segment_next(&left, &segment))
			return false;
		if (iso_route_named_segment(want) &&
		    iso_slice_eq(iso_slice(want.ptr + 1, want.len - 2), name)) {
			*ret_value = segment;
			return true;
		}
	}
	return false;
}

bool iso_route_captures(struct iso_slice pattern, struct iso_slice name)
{
	struct iso_slice value;

	return iso_route_capture(pattern, pattern, name, &value);
}
