/*
 * See chunked.h. Pure.
 */
#include "iso/http/chunked.h"

#include "h1_rules_priv.h"

enum { LINE, LINE_LF, DATA, DATA_CR, DATA_LF };

void iso_chunked_init(struct iso_chunked *c)
{
	c->left = 0;
	c->line_len = 0;
	c->state = LINE;
	c->last = false;
}

static int refuse(struct iso_chunked *c, const char *why)
{
	c->why = why;
	return ISO_EBAD;
}

static size_t skip_blanks(const char *line, size_t at, size_t len)
{
	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	return at;
}

/* Behind a token from `at` on; `at` itself when there is none. */
static size_t skip_token(const char *line, size_t at, size_t len)
{
	while (at < len && iso_h1_is_tchar(line[at]))
		at++;
	return at;
}

/* Behind a quoted-string (RFC 9110 section 5.6.4) that begins at `at`; 0: it is malformed. */
static size_t skip_quoted(const char *line, size_t at, size_t len)
{
	for (at++; at < len; at++) {
		unsigned char c = (unsigned char)line[at];

		if (c == '"')
			return at + 1;
		if (c == '\\' && ++at == len)
			return 0;
		c = (unsigned char)line[at];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return 0;
	}
	return 0;
}

/* *( BWS ";" BWS name [ BWS "=" BWS value ] ) */
static bool extensions_ok(const char *line, size_t at, size_t len)
{
	while (at < len) {
		size_t begin, equals;

		at = skip_blanks(line, at, len);
		if (at == len || line[at] != ';')
			return false;
		begin = skip_blanks(line, at + 1, len);
		at = skip_token(line, begin, len);
		if (at == begin)
			return false;
		equals = skip_blanks(line, at, len);
		if (equals == len || line[equals] != '=')
			continue;
		begin = skip_blanks(line, equals + 1, len);
		at = begin < len && line[begin] == '"' ? skip_quoted(line, begin, len)
						       : skip_token(line, begin, len);
		if (at <= begin)
			return false;
	}
	return true;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int take_line(struct iso_chunked *c)
{
	uint64_t size = 0;
	size_t at = 0;

	for (; at < c->line_len && hex(c->line[at]) >= 0; at++) {
		if (size > (uint64_t)INT64_MAX >> 4)
			return refuse(c, "a chunk size that is too large");
		size = size << 4 | (uint64_t)hex(c->line[at]);
	}
	if (at == 0)
		return refuse(c, "a chunk without a size");
	if (!extensions_ok(c->line, at, c->line_len))
		return refuse(c, "a malformed chunk extension");
	c->line_len = 0;
	c->left = size;
	c->last = size == 0;
	c->state = DATA;
	return ISO_OK;
}

/* One byte of framing. */
static int take_byte(struct iso_chunked *c, char byte)
{
	switch (c->state) {
	case LINE:
		if (byte == '\r') {
			c->state = LINE_LF;
			return ISO_OK;
		}
		if (((unsigned char)byte < 0x20 && byte != '\t') || byte == 0x7f)
			return refuse(c, "a control character in a chunk's size line");
		if (c->line_len == sizeof(c->line))
			return refuse(c, "chunk extensions too long");
		c->line[c->line_len++] = byte;
		return ISO_OK;
	case LINE_LF:
		return byte == '\n' ? take_line(c) : refuse(c, "a CR that ends no line");
	case DATA_CR:
		c->state = DATA_LF;
		return byte == '\r' ? ISO_OK : refuse(c, "a chunk that is longer than its size");
	default:
		c->state = LINE;
		return byte == '\n' ? ISO_OK : refuse(c, "a CR that ends no line");
	}
}

int iso_chunked_feed(struct iso_chunked *c, const uint8_t *bytes, size_t n, size_t *ret_used,
		     struct iso_slice *ret_data)
{
	size_t at = 0;

	*ret_data = iso_slice("", 0);
	while (at < n && !c->last) {
		int err;

		if (c->state == DATA && c->left > 0) {
			size_t take = c->left < n - at ? (size_t)c->left : n - at;

			*ret_data = iso_slice((const char *)bytes + at, take);
			c->left -= take;
			if (c->left == 0)
				c->state = DATA_CR;
			*ret_used = at + take;
			return ISO_OK;
		}
		err = take_byte(c, (char)bytes[at++]);
		if (err != ISO_OK)
			return err;
	}
	*ret_used = at;
	return ISO_OK;
}
