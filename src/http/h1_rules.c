/*
 * The rules: see h1_rules_priv.h. Pure.
 */
#include "h1_rules_priv.h"

#include "iso/http/uri.h"

bool iso_h1_find_end(const char *text, size_t from, size_t len, size_t *ret_end)
{
	size_t at = from > 3 ? from - 3 : 0;

	while (at + 4 <= len) {
		const char *cr = memchr(text + at, '\r', len - at - 3);

		if (cr == NULL)
			return false;
		at = (size_t)(cr - text);
		if (memcmp(cr, "\r\n\r\n", 4) == 0) {
			*ret_end = at + 4;
			return true;
		}
		at++;
	}
	return false;
}

bool iso_h1_bare_lf(const char *text, size_t from, size_t to)
{
	while (from < to) {
		const char *lf = memchr(text + from, '\n', to - from);

		if (lf == NULL)
			return false;
		if (lf == text || lf[-1] != '\r')
			return true;
		from = (size_t)(lf - text) + 1;
	}
	return false;
}

bool iso_h1_is_tchar(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* One field line without its CRLF. */
static const char *judge_line(const char *line, size_t len)
{
	size_t name = 0;

	if (line[0] == ' ' || line[0] == '\t')
		return "a folded header line";
	while (name < len && iso_h1_is_tchar(line[name]))
		name++;
	if (name == 0 || name == len || line[name] != ':')
		return "a header name is not a token followed by a colon";
	for (size_t i = name + 1; i < len; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
			return "a control character in a header value";
	return NULL;
}

/* "HTTP/1.0" or "HTTP/1.1", a blank, three digits, a blank (which some leave out) and words. */
static const char *judge_status_line(const char *line, size_t len)
{
	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') ||
	    line[8] != ' ' || line[9] < '1' || line[9] > '9' || line[10] < '0' || line[10] > '9' ||
	    line[11] < '0' || line[11] > '9' || (len > 12 && line[12] != ' '))
		return "a malformed status line";
	return NULL;
}

/* RFC 9112 sections 3 and 4: exactly one blank between the parts of a request line. */
static const char *judge_start(const char *line, size_t len, bool response)
{
	size_t blanks = 0, version = 0;

	if (len == 0)
		return "an empty start line";
	for (size_t i = 0; i < len; i++) {
		if (((unsigned char)line[i] < ' ' && !(response && line[i] == '\t')) || line[i] == 0x7f)
			return "a control character in the start line";
		if (line[i] != ' ')
			continue;
		blanks++;
		version = i + 1;
	}
	if (response)
		return judge_status_line(line, len);
	if (blanks != 2)
		return "a request line is not three words with one blank between them";
	return len - version >= 5 && memcmp(line + version, "HTTP/", 5) == 0 ? NULL
									     : "the protocol is not HTTP";
}

static const char *judge_lines(const char *text, size_t len, bool start_line, bool response)
{
	size_t at = 0;

	while (at < len) {
		const char *lf = memchr(text + at, '\n', len - at), *why = NULL;
		size_t line = lf != NULL ? (size_t)(lf - text) - at : 0;

		if (lf == NULL || line == 0 || text[at + line - 1] != '\r')
			return "a line does not end with CR LF";
		line--;
		if (memchr(text + at, '\r', line) != NULL)
			return "a CR that ends no line";
		if (start_line)
			why = judge_start(text + at, line, response);
		else if (line > 0)
			why = judge_line(text + at, line);
		if (why != NULL)
			return why;
		start_line = false;
		at += line + 2;
	}
	return NULL;
}

const char *iso_h1_judge_bytes(const char *text, size_t len, bool response)
{
	return judge_lines(text, len, true, response);
}

const char *iso_h1_judge_fields(const char *text, size_t len)
{
	return judge_lines(text, len, false, false);
}

/* Content-Length and Transfer-Encoding (RFC 9112 sections 6.1 to 6.3). */
static const char *judge_framing(struct iso_head *head, bool *ret_chunked)
{
	const struct iso_field *length = NULL, *coding = NULL;

	for (uint32_t i = 0; i < head->fields.n; i++) {
		const struct iso_field *f = &head->fields.v[i];

		if (f->id == ISO_FIELD_CONTENT_LENGTH) {
			if (length != NULL)
				return "more than one Content-Length";
			length = f;
		} else if (f->id == ISO_FIELD_TRANSFER_ENCODING) {
			if (coding != NULL)
				return "more than one Transfer-Encoding";
			coding = f;
		} else if (iso_field_is_framing_twin(f->name)) {
			return "a header that some parsers read as a framing header";
		}
	}
	if (length != NULL && coding != NULL)
		return "both Content-Length and Transfer-Encoding";
	if (coding != NULL) {
		if (head->version != ISO_HTTP_11)
			return "Transfer-Encoding in HTTP/1.0";
		if (!iso_slice_eq_nocase(coding->value, ISO_SLICE("chunked")))
			return "a Transfer-Encoding other than chunked";
		*ret_chunked = true;
	}
	if (length != NULL) {
		uint64_t n;

		if (iso_slice_u64(length->value, &n) != ISO_OK || n > INT64_MAX)
			return "Content-Length is not a number";
		head->content_length = (int64_t)n;
	}
	return NULL;
}

static const char *judge_host(struct iso_head *head)
{
	const struct iso_field *host = NULL;

	for (uint32_t i = 0; i < head->fields.n; i++) {
		if (head->fields.v[i].id != ISO_FIELD_HOST)
			continue;
		if (host != NULL)
			return "more than one Host";
		host = &head->fields.v[i];
	}
	if (host == NULL)
		return head->version == ISO_HTTP_11 ? "no Host" : NULL; /* RFC 9112 section 3.2 */
	if (host->value.len > 0 && !iso_uri_authority_ok(host->value))
		return "Host is malformed";
	head->authority = host->value;
	iso_fields_remove(&head->fields, ISO_FIELD_HOST);
	return NULL;
}

/*
 * Absolute-form (RFC 9112 section 3.2.2) to origin-form, or to asterisk-form for OPTIONS without a path
 * (section 3.2.4); its authority must be the Host's.
 */
static const char *judge_target(struct iso_head *head, struct iso_arena *arena)
{
	struct iso_slice target = head->path, rest;
	size_t slash;

	if (!iso_uri_target_ok(target))
		return "the request target has a character that it must not have";
	if (iso_slice_eq(target, ISO_SLICE("*")))
		return head->method_id == ISO_METHOD_OPTIONS ? NULL : "the target * goes with OPTIONS only";
	if (target.len > 0 && target.ptr[0] == '/')
		return NULL;
	if (target.len >= 7 && iso_slice_eq_nocase(iso_slice(target.ptr, 7), ISO_SLICE("http://")))
		rest = iso_slice(target.ptr + 7, target.len - 7);
	else if (target.len >= 8 && iso_slice_eq_nocase(iso_slice(target.ptr, 8), ISO_SLICE("https://")))
		rest = iso_slice(target.ptr + 8, target.len - 8);
	else
		return "the request target is neither a path nor an absolute URL";
	slash = iso_slice_find(rest, '/');
	if (iso_slice_find(rest, '?') < slash)
		slash = iso_slice_find(rest, '?'); /* an empty path with a query */
	if (!iso_slice_eq_nocase(iso_slice(rest.ptr, slash), head->authority))
		return "the request target's host is not the Host header's";
	rest = iso_slice(rest.ptr + slash, rest.len - slash);
	if (rest.len == 0 && head->method_id == ISO_METHOD_OPTIONS) {
		rest = ISO_SLICE("*");
	} else if (rest.len == 0 || rest.ptr[0] == '?') {
		char *path = iso_arena_alloc(arena, rest.len + 1);

		if (path == NULL)
			return "out of memory";
		path[0] = '/';
		memcpy(path + 1, rest.ptr, rest.len);
		rest = iso_slice(path, rest.len + 1);
	}
	head->path = rest;
	return NULL;
}

const char *iso_h1_judge_request(struct iso_head *head, struct iso_arena *arena, bool *ret_chunked,
				 uint16_t *ret_status)
{
	const char *why;

	head->method_id = iso_method_id(head->method);
	if (head->method_id == ISO_METHOD_CONNECT) {
		*ret_status = 501;
		return "CONNECT is not offered";
	}
	why = judge_framing(head, ret_chunked);
	if (why == NULL)
		why = judge_host(head);
	if (why == NULL)
		why = judge_target(head, arena);
	return why;
}

/*
 * RFC 9110 section 8.6 and RFC 9112 section 6.1: an answer that cannot have content says nothing of its
 * length. Some origins say that it is 0, which is true; who says more is read in two ways.
 */
static const char *judge_bodyless(struct iso_head *head, bool chunked)
{
	if (chunked)
		return "Transfer-Encoding in an answer that has no content";
	if (head->content_length > 0)
		return "Content-Length in an answer that has no content";
	iso_fields_remove(&head->fields, ISO_FIELD_CONTENT_LENGTH);
	head->content_length = -1;
	return NULL;
}

const char *iso_h1_judge_response(struct iso_head *head, bool upgrade, bool *ret_chunked)
{
	const char *why;

	if (head->status == 101 && !upgrade)
		return "an upgrade that nobody asked for";
	why = judge_framing(head, ret_chunked);
	if (why == NULL && (head->status < 200 || head->status == 204))
		why = judge_bodyless(head, *ret_chunked);
	return why;
}
