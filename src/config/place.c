/*
 * Places in a JSON text. The scanner trusts the syntax (jansson has checked it) but never its own position:
 * it stops at the end of the text whatever it meets. Any thread.
 */
#include "place_priv.h"

#include <jansson.h>

#include "iso/base/err.h"

enum {
	TOKEN_MAX = ISO_POINTER_MAX,
	DEPTH_MAX = 64, /* the schema's own depth is less than ten */
};

struct scan {
	struct iso_slice text;
	size_t at;
};

struct iso_place iso_place_at(struct iso_slice text, size_t offset)
{
	struct iso_place place = { 1, 1 };

	for (size_t i = 0; i < offset && i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\n') {
			place.line++;
			place.column = 1;
		} else if ((c & 0xc0) != 0x80) { /* a continuation byte is no character of its own */
			place.column++;
		}
	}
	return place;
}

static char peek(const struct scan *s)
{
	return s->at < s->text.len ? s->text.ptr[s->at] : '\0';
}

static void skip_blanks(struct scan *s)
{
	while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r')
		s->at++;
}

/* At the opening quote: goes behind the closing one; the raw text between them. */
static struct iso_slice take_string(struct scan *s)
{
	size_t begin = ++s->at;

	while (s->at < s->text.len && peek(s) != '"')
		s->at += peek(s) == '\\' ? 2 : 1;
	if (s->at > s->text.len)
		s->at = s->text.len;
	return iso_slice(s->text.ptr + begin, s->at++ - begin);
}

static void skip_value(struct scan *s)
{
	size_t depth = 0;

	skip_blanks(s);
	while (s->at < s->text.len) {
		char c = peek(s);

		if (c == '"') {
			(void)take_string(s);
		} else {
			if (depth == 0 && (c == ',' || c == '}' || c == ']'))
				return;
			s->at++;
		}
		if (c == '{' || c == '[')
			depth++;
		if ((c == '}' || c == ']') && --depth == 0)
			return;
	}
}

/* Behind a value in an array or object: true when another one follows; then it stands at that. */
static bool next_element(struct scan *s)
{
	skip_blanks(s);
	if (peek(s) != ',')
		return false;
	s->at++;
	skip_blanks(s);
	return true;
}

static unsigned hex4(struct iso_slice raw, size_t at)
{
	unsigned v = 0;

	for (size_t i = at; i < at + 4 && i < raw.len; i++) {
		char c = iso_ascii_lower(raw.ptr[i]);

		v = v * 16 + (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
	}
	return v;
}

static size_t put_utf8(char *to, uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(lead[n] | c);
	return n;
}

/* A raw string without its escapes, NUL-terminated; what is too long is cut. */
static struct iso_slice decode(struct iso_slice raw, char buf[TOKEN_MAX])
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	size_t n = 0;

	for (size_t i = 0; i < raw.len && n + 5 < TOKEN_MAX; i++) {
		const char *letter;

		if (raw.ptr[i] != '\\' || i + 1 >= raw.len) {
			buf[n++] = raw.ptr[i];
			continue;
		}
		i++;
		letter = strchr(from, raw.ptr[i]);
		if (raw.ptr[i] == 'u') {
			uint32_t c = hex4(raw, i + 1);

			i += 4;
			if (c >= 0xd800 && c < 0xdc00 && i + 6 < raw.len) { /* a surrogate pair */
				c = 0x10000 + ((c - 0xd800) << 10) + (hex4(raw, i + 3) & 0x3ff);
				i += 6;
			}
			n += put_utf8(buf + n, c);
		} else {
			buf[n++] = letter != NULL ? to[letter - from] : raw.ptr[i];
		}
	}
	buf[n] = '\0';
	return iso_slice(buf, n);
}

/* Cuts the next token off a pointer, without its escapes. */
static struct iso_slice take_token(const char **pointer, char buf[TOKEN_MAX])
{
	const char *p = *pointer + 1;
	size_t n = 0;

	for (; *p != '\0' && *p != '/' && n + 1 < TOKEN_MAX; p++) {
		if (p[0] == '~' && (p[1] == '0' || p[1] == '1'))
			buf[n++] = *++p == '0' ? '~' : '/';
		else
			buf[n++] = *p;
	}
	*pointer = p;
	return iso_slice(buf, n);
}

/* Inside an object: goes to the value of the LAST member of that name (the one jansson keeps). */
static bool enter_member(struct scan *s, struct iso_slice name, size_t *ret_key)
{
	char buf[TOKEN_MAX];
	size_t value = 0;
	bool more;

	s->at++;
	skip_blanks(s);
	for (more = peek(s) == '"'; more; more = next_element(s) && peek(s) == '"') {
		size_t key = s->at;
		bool same = iso_slice_eq(decode(take_string(s), buf), name);

		skip_blanks(s);
		s->at++; /* the colon */
		skip_blanks(s);
		if (same) {
			*ret_key = key;
			value = s->at;
		}
		skip_value(s);
	}
	if (value == 0)
		return false;
	s->at = value;
	return true;
}

static bool enter_item(struct scan *s, struct iso_slice token)
{
	uint64_t index;

	if (iso_slice_u64(token, &index) != ISO_OK)
		return false;
	s->at++;
	skip_blanks(s);
	if (peek(s) == ']')
		return false;
	for (; index > 0; index--) {
		skip_value(s);
		if (!next_element(s))
			return false;
	}
	return true;
}

bool iso_place_find(struct iso_slice text, const char *pointer, enum iso_place_of of,
		    struct iso_place *ret_place)
{
	struct scan s = { text, 0 };
	char buf[TOKEN_MAX];
	size_t value, key;
	bool found = true;

	skip_blanks(&s);
	value = key = s.at;
	while (found && *pointer == '/') {
		struct iso_slice token = take_token(&pointer, buf);

		if (peek(&s) == '{') {
			found = enter_member(&s, token, &key);
		} else {
			found = peek(&s) == '[' && enter_item(&s, token);
			key = found ? s.at : key;
		}
		if (found)
			value = s.at;
	}
	*ret_place = iso_place_at(text, found && of == ISO_PLACE_KEY ? key : value);
	return found;
}

struct duplicates {
	struct scan scan;
	struct iso_pointer at;
	unsigned depth;
	void (*found)(void *ctx, const struct iso_pointer *at, struct iso_place place);
	void *ctx;
};

static void walk_value(struct duplicates *d);

static void walk_members(struct duplicates *d)
{
	struct scan *s = &d->scan;
	char buf[TOKEN_MAX];
	json_t *seen = json_object();
	bool more;

	s->at++;
	skip_blanks(s);
	for (more = peek(s) == '"'; more; more = next_element(s) && peek(s) == '"') {
		size_t key = s->at;
		struct iso_slice name = decode(take_string(s), buf);
		size_t mark = iso_pointer_key(&d->at, name);

		if (json_object_get(seen, buf) != NULL)
			d->found(d->ctx, &d->at, iso_place_at(s->text, key));
		(void)json_object_set_new_nocheck(seen, buf, json_true()); /* no memory: found fewer */
		skip_blanks(s);
		s->at++; /* the colon */
		walk_value(d);
		iso_pointer_cut(&d->at, mark);
	}
	s->at++;
	json_decref(seen);
}

static void walk_items(struct duplicates *d)
{
	struct scan *s = &d->scan;
	size_t i = 0;
	bool more;

	s->at++;
	skip_blanks(s);
	for (more = peek(s) != ']'; more; more = next_element(s)) {
		size_t mark = iso_pointer_index(&d->at, i++);

		walk_value(d);
		iso_pointer_cut(&d->at, mark);
	}
	s->at++;
}

static void walk_value(struct duplicates *d)
{
	skip_blanks(&d->scan);
	if (++d->depth > DEPTH_MAX)
		skip_value(&d->scan);
	else if (peek(&d->scan) == '{')
		walk_members(d);
	else if (peek(&d->scan) == '[')
		walk_items(d);
	else
		skip_value(&d->scan);
	d->depth--;
}

void iso_place_duplicates(struct iso_slice text,
			  void (*found)(void *ctx, const struct iso_pointer *at, struct iso_place place),
			  void *ctx)
{
	struct duplicates d = { .scan = { text, 0 }, .found = found, .ctx = ctx };

	walk_value(&d);
}
