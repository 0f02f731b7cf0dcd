/*
 * See uri.h.
 */
#include "iso/http/uri.h"

#include <arpa/inet.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 3986 section 2.3 */
static bool is_unreserved(int c)
{
	return is_alnum((char)c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* Between brackets. */
static bool is_ipv6(struct iso_slice host)
{
	struct in6_addr addr;
	char text[INET6_ADDRSTRLEN];

	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET6, text, &addr) == 1;
}

/* Splits host and port; false when malformed. An absent port is an empty slice. */
static bool split(struct iso_slice authority, struct iso_slice *ret_host, struct iso_slice *ret_port)
{
	size_t end, at;

	if (authority.len > 0 && authority.ptr[0] == '[') {
		end = iso_slice_find(authority, ']');
		if (end == authority.len || end < 3)
			return false;
		*ret_host = iso_slice(authority.ptr + 1, end - 1);
		at = end + 1;
		if (!is_ipv6(*ret_host))
			return false;
	} else {
		at = iso_slice_find(authority, ':');
		*ret_host = iso_slice(authority.ptr, at);
		for (size_t i = 0; i < at; i++)
			if (!is_alnum(authority.ptr[i]) && strchr("-._~!$&'()*+,;=", authority.ptr[i]) ==
								   NULL) /* nobody's host needs escapes */
				return false;
	}
	if (ret_host->len == 0)
		return false;
	*ret_port = iso_slice("", 0);
	if (at == authority.len)
		return true;
	if (authority.ptr[at] != ':')
		return false;
	*ret_port = iso_slice(authority.ptr + at + 1, authority.len - at - 1);
	return true;
}

static bool port_ok(struct iso_slice port, uint16_t *ret_port)
{
	uint64_t n;

	if (iso_slice_u64(port, &n) != ISO_OK || n == 0 || n > 65535)
		return false;
	*ret_port = (uint16_t)n;
	return true;
}

bool iso_uri_target_ok(struct iso_slice target)
{
	for (size_t i = 0; i < target.len; i++)
		if ((unsigned char)target.ptr[i] <= ' ' || (unsigned char)target.ptr[i] >= 0x7f ||
		    target.ptr[i] == '#')
			return false;
	return true;
}

bool iso_uri_authority_ok(struct iso_slice authority)
{
	struct iso_slice host, port;
	uint16_t n;

	if (!split(authority, &host, &port))
		return false;
	return port.len == 0 || port_ok(port, &n); /* RFC 3986 section 3.2.3: a port may be empty */
}

struct iso_slice iso_uri_host(struct iso_slice authority)
{
	struct iso_slice host, port;

	return split(authority, &host, &port) ? host : authority;
}

struct iso_slice iso_uri_path(struct iso_slice target)
{
	return iso_slice(target.ptr, iso_slice_find(target, '?'));
}

int iso_url_parse(struct iso_slice text, struct iso_url *ret_url, const char **ret_why)
{
	struct iso_url url = { 0 };
	struct iso_slice rest, port;
	size_t slash;

	if (iso_slice_starts(text, ISO_SLICE("https://"))) {
		url.tls = true;
		url.port = 443;
		rest = iso_slice(text.ptr + 8, text.len - 8);
	} else if (iso_slice_starts(text, ISO_SLICE("http://"))) {
		url.port = 80;
		rest = iso_slice(text.ptr + 7, text.len - 7);
	} else {
		*ret_why = "a URL begins with https:// or http://";
		return ISO_EBAD;
	}
	slash = iso_slice_find(rest, '/');
	url.authority = iso_slice(rest.ptr, slash);
	if (!iso_uri_authority_ok(url.authority) || !split(url.authority, &url.host, &port) ||
	    url.authority.ptr[url.authority.len - 1] == ':') {
		*ret_why = "the host or port of the URL is malformed";
		return ISO_EBAD;
	}
	if (port.len > 0)
		(void)port_ok(port, &url.port);
	url.base_path = iso_slice(rest.ptr + slash, rest.len - slash);
	for (size_t i = 0; i < url.base_path.len; i++) {
		char c = url.base_path.ptr[i];

		if (c == '?' || c == '#' || c <= ' ' || c >= 0x7f) {
			*ret_why = "the URL's path holds a query, a fragment or a blank";
			return ISO_EBAD;
		}
	}
	while (url.base_path.len > 0 && url.base_path.ptr[url.base_path.len - 1] == '/')
		url.base_path.len--;
	*ret_url = url;
	return ISO_OK;
}

/* Whether the path is in normal form already: by far the usual case. */
static bool is_normal(struct iso_slice path)
{
	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] == '%')
			return false;
		if (path.ptr[i] == '/' && i + 1 < path.len && path.ptr[i + 1] == '.')
			return false; /* perhaps a dot segment: the slow way decides */
	}
	return true;
}

/* Decodes unreserved escapes, uppers the others. Returns the new length, or SIZE_MAX when malformed. */
static size_t decode(struct iso_slice path, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < path.len; i++) {
		int high, low, c;

		if (path.ptr[i] != '%') {
			out[n++] = path.ptr[i];
			continue;
		}
		high = path.len - i > 2 ? hex(path.ptr[i + 1]) : -1;
		low = path.len - i > 2 ? hex(path.ptr[i + 2]) : -1;
		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return SIZE_MAX;
		c = high * 16 + low;
		if (is_unreserved(c)) {
			out[n++] = (char)c;
		} else {
			out[n++] = '%';
			out[n++] = "0123456789ABCDEF"[high];
			out[n++] = "0123456789ABCDEF"[low];
		}
		i += 2;
	}
	return n;
}

/* RFC 3986 section 5.2.4, in place, on an absolute path. "//" stays. */
static size_t remove_dots(char *path, size_t len)
{
	size_t n = 0, i = 0;

	while (i < len) {
		size_t seg = i + 1; /* path[i] is '/' */
		size_t end = seg;

		while (end < len && path[end] != '/')
			end++;
		if (end - seg == 1 && path[seg] == '.') {
			if (end == len)
				path[n++] = '/';
		} else if (end - seg == 2 && path[seg] == '.' && path[seg + 1] == '.') {
			while (n > 0 && path[n - 1] != '/')
				n--;
			if (n > 0)
				n--;
			if (end == len)
				path[n++] = '/';
		} else {
			memmove(path + n, path + i, end - i);
			n += end - i;
		}
		i = end;
	}
	if (n == 0)
		path[n++] = '/';
	return n;
}

int iso_uri_normalise(struct iso_arena *arena, struct iso_slice target, struct iso_slice *ret_target)
{
	struct iso_slice path = iso_uri_path(target);
	char *out;
	size_t n;

	if (path.len == 0 || path.ptr[0] != '/') {
		if (!iso_slice_eq(target, ISO_SLICE("*")))
			return ISO_EBAD;
		*ret_target = target;
		return ISO_OK;
	}
	if (is_normal(path)) {
		*ret_target = target;
		return ISO_OK;
	}
	out = iso_arena_alloc(arena, target.len + 1);
	if (out == NULL)
		return ISO_ENOMEM;
	n = decode(path, out);
	if (n == SIZE_MAX)
		return ISO_EBAD;
	n = remove_dots(out, n);
	memcpy(out + n, target.ptr + path.len, target.len - path.len);
	*ret_target = iso_slice(out, n + target.len - path.len);
	return ISO_OK;
}

static struct iso_slice join(struct iso_arena *arena, struct iso_slice a, struct iso_slice b,
			     struct iso_slice c)
{
	char *out = iso_arena_alloc(arena, a.len + b.len + c.len + 1);

	if (out == NULL)
		return iso_slice(NULL, 0);
	memcpy(out, a.ptr, a.len);
	memcpy(out + a.len, b.ptr, b.len);
	memcpy(out + a.len + b.len, c.ptr, c.len);
	return iso_slice(out, a.len + b.len + c.len);
}

/* The path without the base path; false when it does not lie below it. */
static bool take_off(struct iso_slice path, struct iso_slice base, struct iso_slice *ret_rest)
{
	if (base.len == 0 || !iso_slice_starts(path, base))
		return false;
	if (path.len > base.len && path.ptr[base.len] != '/' && path.ptr[base.len] != '?')
		return false;
	*ret_rest = iso_slice(path.ptr + base.len, path.len - base.len);
	return true;
}

struct iso_slice iso_uri_relocate(struct iso_arena *arena, struct iso_slice location,
				  const struct iso_slice hosts[2], struct iso_slice base_path,
				  struct iso_slice client_origin)
{
	struct iso_slice rest = location, authority, path;
	bool absolute = false;

	if (iso_slice_starts(location, ISO_SLICE("https://")) ||
	    iso_slice_starts(location, ISO_SLICE("http://"))) {
		size_t skip = location.ptr[4] == 's' ? 8 : 7;
		size_t slash;

		rest = iso_slice(location.ptr + skip, location.len - skip);
		slash = iso_slice_find(rest, '/');
		authority = iso_slice(rest.ptr, slash);
		if (!iso_slice_eq_nocase(iso_uri_host(authority), iso_uri_host(hosts[0])) &&
		    !iso_slice_eq_nocase(iso_uri_host(authority), iso_uri_host(hosts[1])))
			return location;
		rest = iso_slice(rest.ptr + slash, rest.len - slash);
		absolute = true;
	}
	if (!absolute && (rest.len == 0 || rest.ptr[0] != '/'))
		return location;
	if (!take_off(rest, base_path, &path)) {
		if (!absolute)
			return location;
		path = rest;
	}
	return join(arena, absolute ? client_origin : ISO_SLICE(""),
		    path.len == 0 || path.ptr[0] != '/' ? ISO_SLICE("/") : ISO_SLICE(""), path);
}

struct iso_slice iso_uri_recookie(struct iso_arena *arena, struct iso_slice cookie,
				  struct iso_slice base_path)
{
	struct iso_slice rest = cookie, part;

	if (base_path.len == 0)
		return cookie;
	while (iso_slice_next(&rest, ';', &part)) {
		struct iso_slice path, left;
		size_t before;

		if (part.len < 5 || !iso_slice_eq_nocase(iso_slice(part.ptr, 5), ISO_SLICE("path=")))
			continue;
		path = iso_slice(part.ptr + 5, part.len - 5);
		if (!take_off(path, base_path, &left))
			return cookie;
		before = (size_t)(path.ptr - cookie.ptr);
		if (left.len == 0)
			left = ISO_SLICE("/");
		return join(arena, iso_slice(cookie.ptr, before), left,
			    iso_slice(path.ptr + path.len, cookie.len - before - path.len));
	}
	return cookie;
}

static bool decode_form(struct iso_arena *arena, struct iso_slice s, struct iso_slice *ret_value)
{
	char *out = iso_arena_alloc(arena, s.len);
	size_t n = 0;

	if (out == NULL)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		int high, low;

		if (s.ptr[i] != '%') {
			out[n++] = s.ptr[i] == '+' ? ' ' : s.ptr[i];
			continue;
		}
		high = s.len - i > 2 ? hex(s.ptr[i + 1]) : -1;
		low = s.len - i > 2 ? hex(s.ptr[i + 2]) : -1;
		if (high < 0 || low < 0)
			return false;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	*ret_value = iso_slice(out, n);
	return true;
}

static bool is_name(struct iso_arena *arena, struct iso_slice raw, struct iso_slice name)
{
	struct iso_slice decoded;

	if (iso_slice_find(raw, '%') == raw.len && iso_slice_find(raw, '+') == raw.len)
		return iso_slice_eq(raw, name);
	return decode_form(arena, raw, &decoded) && iso_slice_eq(decoded, name);
}

bool iso_uri_query_get(struct iso_arena *arena, struct iso_slice target, struct iso_slice name,
		       struct iso_slice *ret_value)
{
	size_t at = iso_slice_find(target, '?');
	struct iso_slice rest = at < target.len ? iso_slice(target.ptr + at + 1, target.len - at - 1)
						: iso_slice(NULL, 0);

	while (rest.len > 0) {
		size_t end = iso_slice_find(rest, '&');
		struct iso_slice pair = iso_slice(rest.ptr, end);
		size_t equals = iso_slice_find(pair, '=');

		if (is_name(arena, iso_slice(pair.ptr, equals), name)) {
			pair.len = equals < pair.len ? pair.len - equals - 1 : 0;
			return decode_form(arena, iso_slice(pair.ptr + equals + 1, pair.len), ret_value);
		}
		rest = end < rest.len ? iso_slice(rest.ptr + end + 1, rest.len - end - 1)
				      : iso_slice(NULL, 0);
	}
	return false;
}
