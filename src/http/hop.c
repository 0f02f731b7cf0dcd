/*
 * See hop.h.
 */
#include "iso/http/hop.h"

#include <stdio.h>

#define PSEUDONYM "isochrone"

enum { REQUEST_ID_MAX = 128 };

/* One pass over the list for all fields that concern a single connection only. */
static uint32_t drop_fixed(struct iso_fields *fields)
{
	uint32_t kept = 0, n = fields->n;

	for (uint32_t i = 0; i < n; i++) {
		switch (fields->v[i].id) {
		case ISO_FIELD_CONNECTION:
		case ISO_FIELD_KEEP_ALIVE:
		case ISO_FIELD_PROXY_CONNECTION:
		case ISO_FIELD_PROXY_AUTHENTICATE:
		case ISO_FIELD_PROXY_AUTHORIZATION:
		case ISO_FIELD_TE:
		case ISO_FIELD_TRANSFER_ENCODING:
		case ISO_FIELD_UPGRADE:
		case ISO_FIELD_HTTP2_SETTINGS:
			break;
		default:
			fields->v[kept++] = fields->v[i];
		}
	}
	fields->n = kept;
	return n - kept;
}

/*
 * Names that a Connection header may not make disappear: an attacker would strip what the region relies on.
 */
static bool is_protected(struct iso_slice name)
{
	enum iso_field_id id;
	char lower[32]; /* longer than any of them */

	if (name.len > sizeof(lower))
		return false;
	for (size_t i = 0; i < name.len; i++)
		lower[i] = iso_ascii_lower(name.ptr[i]);
	id = iso_field_id(iso_slice(lower, name.len));
	return id == ISO_FIELD_CONTENT_LENGTH || id == ISO_FIELD_HOST || id == ISO_FIELD_AUTHORIZATION ||
	       id == ISO_FIELD_COOKIE || id == ISO_FIELD_X_FORWARDED_FOR || id == ISO_FIELD_IDEMPOTENCY_KEY;
}

static bool drop_name(struct iso_fields *fields, struct iso_slice name)
{
	uint32_t kept = 0, n = fields->n;

	for (uint32_t i = 0; i < n; i++)
		if (!iso_slice_eq_nocase(fields->v[i].name, name))
			fields->v[kept++] = fields->v[i];
	fields->n = kept;
	return kept < n;
}

/* What Connection names goes too. Most messages have no Connection field: then this is one look. */
static int drop_named(struct iso_fields *fields)
{
	for (uint32_t i = 0; i < fields->n; i++) {
		struct iso_slice rest, part;

		if (fields->v[i].id != ISO_FIELD_CONNECTION)
			continue;
		rest = fields->v[i].value;
		while (iso_slice_next(&rest, ',', &part)) {
			if (part.len == 0 || iso_slice_eq_nocase(part, ISO_SLICE("connection")))
				continue;
			if (is_protected(part))
				return ISO_EBAD;
			if (drop_name(fields, part))
				i = 0; /* the list moved */
		}
	}
	return ISO_OK;
}

static int drop_hop(struct iso_fields *fields)
{
	int err = drop_named(fields);

	drop_fixed(fields);
	return err;
}

/* Appends to a text; an empty part leaves nothing behind. Returns its new length. */
static size_t put(char *text, size_t at, const char between[2], struct iso_slice part)
{
	if (part.len == 0)
		return at;
	if (at > 0) {
		memcpy(text + at, between, 2);
		at += 2;
	}
	memcpy(text + at, part.ptr, part.len);
	return at + part.len;
}

/*
 * All lines of a field, in their order, and `more` become one line in the first one's place. Does nothing
 * when there is no line, or one and no more.
 */
static int join(struct iso_fields *fields, struct iso_arena *arena, enum iso_field_id id,
		const char between[2], struct iso_slice more)
{
	struct iso_field *first = NULL;
	size_t room = more.len, at = 0;
	uint32_t lines = 0, kept = 0;
	char *text;

	for (uint32_t i = 0; i < fields->n; i++) {
		if (fields->v[i].id != id)
			continue;
		if (lines++ == 0)
			first = &fields->v[i];
		room += fields->v[i].value.len + 2;
	}
	if (lines == 0 || (lines == 1 && more.len == 0))
		return ISO_OK;
	text = iso_arena_alloc(arena, room);
	if (text == NULL)
		return ISO_ENOMEM;
	for (uint32_t i = 0; i < fields->n; i++) {
		struct iso_field *f = &fields->v[i];

		if (f->id == id) {
			at = put(text, at, between, f->value);
			first->flags |= f->flags;
		}
		if (f->id != id || f == first)
			fields->v[kept++] = *f;
	}
	at = put(text, at, between, more);
	first->value = iso_slice(text, at);
	fields->n = kept;
	return ISO_OK;
}

/*
 * Puts an element at the end of a list field. Its lines are one list (RFC 9110 section 5.3), and they become
 * one line: a region that looks at the first or the last line alone must not take a client's word for a
 * proxy's.
 */
static int append(struct iso_fields *fields, struct iso_arena *arena, enum iso_field_id id,
		  struct iso_slice more)
{
	if (iso_fields_get(fields, id) == NULL)
		return iso_fields_add(fields, arena, iso_field_name(id), more);
	return join(fields, arena, id, ", ", more);
}

static bool id_ok(struct iso_slice id)
{
	if (id.len == 0 || id.len > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      strchr("._~+/=-", c) != NULL) ||
		    c == '\0')
			return false;
	}
	return true;
}

/* In how many lines a field is there; *ret_first: the first. */
static uint32_t lines_of(const struct iso_fields *fields, enum iso_field_id id,
			 const struct iso_field **ret_first)
{
	uint32_t lines = 0;

	for (uint32_t i = 0; i < fields->n; i++)
		if (fields->v[i].id == id && lines++ == 0)
			*ret_first = &fields->v[i];
	return lines;
}

/* A client's well-formed id is kept; else one is made, also where it is not clear which of them would count.
 */
static int request_id(struct iso_fields *fields, struct iso_arena *arena, const uint64_t random[2],
		      struct iso_slice *ret_id)
{
	static const char digits[] = "0123456789abcdef";
	const struct iso_field *f = NULL;
	uint32_t lines = lines_of(fields, ISO_FIELD_X_REQUEST_ID, &f);
	char *text;

	if (lines == 1 && id_ok(f->value)) {
		*ret_id = f->value;
		return ISO_OK;
	}
	text = iso_arena_alloc(arena, 33);
	if (text == NULL)
		return ISO_ENOMEM;
	for (int i = 0; i < 32; i++)
		text[i] = digits[random[i / 16] >> (i % 16 * 4) & 15];
	text[32] = '\0';
	*ret_id = iso_slice(text, 32);
	if (lines > 0)
		iso_fields_remove(fields, ISO_FIELD_X_REQUEST_ID);
	return iso_fields_add(fields, arena, iso_field_name(ISO_FIELD_X_REQUEST_ID), *ret_id);
}

/* RFC 8586 section 2: our own token in CDN-Loop means that the request goes round in a circle. */
static bool has_looped(const struct iso_fields *fields)
{
	for (uint32_t i = 0; i < fields->n; i++) {
		struct iso_slice rest, part;

		if (fields->v[i].id != ISO_FIELD_CDN_LOOP)
			continue;
		rest = fields->v[i].value;
		while (iso_slice_next(&rest, ',', &part)) {
			part.len = iso_slice_find(part, ';');
			if (iso_slice_eq(iso_slice_trim(part), ISO_SLICE(PSEUDONYM)))
				return true;
		}
	}
	return false;
}

/* W3C Trace Context section 3.2.2: 2 hex digits, 32, 16, 2, parted by dashes; no id is all zeros. */
static bool traceparent_ok(struct iso_slice s)
{
	static const size_t dashes[] = { 2, 35, 52 };
	bool trace = false, parent = false;

	if (s.len < 55 || (s.len > 55 && (s.ptr[55] != '-' || iso_slice_starts(s, ISO_SLICE("00")))) ||
	    iso_slice_starts(s, ISO_SLICE("ff")))
		return false;
	for (size_t i = 0; i < 55; i++) {
		char c = s.ptr[i];

		if (i == dashes[0] || i == dashes[1] || i == dashes[2]) {
			if (c != '-')
				return false;
			continue;
		}
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		trace |= c != '0' && i > dashes[0] && i < dashes[1];
		parent |= c != '0' && i > dashes[1] && i < dashes[2];
	}
	return trace && parent;
}

/*
 * A trace that nobody can read is not passed on (section 3.2.2.5), nor are several, of which each reader may
 * take another; a good one goes through as it is.
 */
static void judge_trace(struct iso_fields *fields)
{
	const struct iso_field *f = NULL;
	uint32_t lines = lines_of(fields, ISO_FIELD_TRACEPARENT, &f);

	if (lines == 0 || (lines == 1 && traceparent_ok(f->value)))
		return;
	iso_fields_remove(fields, ISO_FIELD_TRACEPARENT);
	iso_fields_remove_name(fields, ISO_SLICE("tracestate"));
}

/* RFC 7239 section 4: who asked us, by which scheme. An IPv6 address is quoted and in brackets. */
static int add_forwarded(struct iso_head *head, struct iso_arena *arena, const struct iso_hop_facts *facts)
{
	bool v6 = iso_slice_find(facts->client_ip, ':') < facts->client_ip.len;
	char *text = iso_arena_alloc(arena, facts->client_ip.len + 32);
	size_t n = 0;

	if (text == NULL)
		return ISO_ENOMEM;
	n += (size_t)snprintf(text, facts->client_ip.len + 32,
			      v6 ? "for=\"%s%.*s%s\";proto=%.*s" : "for=%s%.*s%s;proto=%.*s",
			      v6 && facts->client_ip.ptr[0] != '[' ? "[" : "",
			      ISO_SLICE_FMT(facts->client_ip),
			      v6 && facts->client_ip.ptr[0] != '[' ? "]" : "", ISO_SLICE_FMT(facts->scheme));
	return append(&head->fields, arena, ISO_FIELD_FORWARDED, iso_slice(text, n));
}

/* X-Forwarded- and whatever follows. Servers that make variables of names (CGI, WSGI) take `_` for `-`. */
static bool is_x_forwarded(struct iso_slice name)
{
	return name.len > 12 && name.ptr[0] == 'x' && (name.ptr[1] == '-' || name.ptr[1] == '_') &&
	       memcmp(name.ptr + 2, "forwarded", 9) == 0 && (name.ptr[11] == '-' || name.ptr[11] == '_');
}

static void drop_forwarded(struct iso_fields *fields)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fields->n; i++)
		if (fields->v[i].id != ISO_FIELD_FORWARDED && !is_x_forwarded(fields->v[i].name))
			fields->v[kept++] = fields->v[i];
	fields->n = kept;
}

/* One that is not there yet: a trusted proxy's word is kept. */
static int add_missing(struct iso_fields *fields, struct iso_arena *arena, enum iso_field_id id,
		       struct iso_slice value)
{
	if (iso_fields_get(fields, id) != NULL)
		return ISO_OK;
	return iso_fields_add(fields, arena, iso_field_name(id), value);
}

/*
 * Who the client is and what it asked for. A trusted proxy's word is kept and added to; anybody else's could
 * be made up, so nothing of it is left.
 */
static int forward(struct iso_head *head, struct iso_arena *arena, const struct iso_hop_facts *facts)
{
	struct iso_fields *fields = &head->fields;
	int err = ISO_OK;

	if (!facts->trusted)
		drop_forwarded(fields);
	else if (iso_fields_get(fields, ISO_FIELD_FORWARDED) != NULL)
		err = add_forwarded(head, arena, facts);
	if (err == ISO_OK)
		err = append(fields, arena, ISO_FIELD_X_FORWARDED_FOR, facts->client_ip);
	if (err == ISO_OK)
		err = add_missing(fields, arena, ISO_FIELD_X_FORWARDED_PROTO, facts->scheme);
	if (err == ISO_OK && head->authority.len > 0)
		err = add_missing(fields, arena, ISO_FIELD_X_FORWARDED_HOST, head->authority);
	return err;
}

static struct iso_slice via(const struct iso_head *head)
{
	return head->version == ISO_HTTP_2    ? ISO_SLICE("2 " PSEUDONYM)
	       : head->version == ISO_HTTP_11 ? ISO_SLICE("1.1 " PSEUDONYM)
					      : ISO_SLICE("1.0 " PSEUDONYM);
}

int iso_hop_request(struct iso_head *head, struct iso_arena *arena, const struct iso_hop_facts *facts,
		    struct iso_slice *ret_id)
{
	struct iso_fields *fields = &head->fields;
	const struct iso_field *te = iso_fields_get(fields, ISO_FIELD_TE);
	bool trailers = te != NULL && iso_slice_eq_nocase(te->value, ISO_SLICE("trailers"));
	int err;

	if (has_looped(fields))
		return ISO_EEXISTS;
	err = drop_hop(fields);
	if (err == ISO_OK && trailers) /* gRPC insists on it; over HTTP/1.1 the writer leaves it out again */
		err = iso_fields_add(fields, arena, ISO_SLICE("te"), ISO_SLICE("trailers"));
	if (err == ISO_OK)
		err = append(fields, arena, ISO_FIELD_VIA, via(head));
	if (err == ISO_OK)
		err = append(fields, arena, ISO_FIELD_CDN_LOOP, ISO_SLICE(PSEUDONYM));
	if (err == ISO_OK)
		err = forward(head, arena, facts);
	judge_trace(fields);
	if (err == ISO_OK)
		err = request_id(fields, arena, facts->random, ret_id);
	return err;
}

int iso_hop_response(struct iso_head *head, struct iso_arena *arena)
{
	/* A region's slip in Connection is no reason to lose its answer. */
	(void)drop_hop(&head->fields);
	return append(&head->fields, arena, ISO_FIELD_VIA, via(head));
}

/* Framing, routing, request modifiers, authentication, what says how to read the content, and what we set
 * ourselves. */
static bool is_head_only(struct iso_slice name)
{
	static const char *const names[] = {
		"accept-ranges",
		"age",
		"allow",
		"authorization",
		"cache-control",
		"cdn-loop",
		"connection",
		"content-encoding",
		"content-language",
		"content-length",
		"content-location",
		"content-range",
		"content-type",
		"cookie",
		"date",
		"etag",
		"expect",
		"expires",
		"forwarded",
		"host",
		"http2-settings",
		"if-match",
		"if-modified-since",
		"if-none-match",
		"if-range",
		"if-unmodified-since",
		"keep-alive",
		"last-modified",
		"location",
		"max-forwards",
		"pragma",
		"proxy-authenticate",
		"proxy-authorization",
		"proxy-connection",
		"range",
		"retry-after",
		"server",
		"set-cookie",
		"te",
		"trailer",
		"transfer-encoding",
		"upgrade",
		"vary",
		"via",
		"www-authenticate",
		"x-request-id",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (iso_slice_eq_nocase(name, iso_slice_str(names[i])))
			return true;
	return name.len == 0 || name.ptr[0] == ':' || is_x_forwarded(name) || iso_field_is_framing_twin(name);
}

void iso_hop_trailers(struct iso_fields *trailers)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < trailers->n; i++)
		if (!is_head_only(trailers->v[i].name))
			trailers->v[kept++] = trailers->v[i];
	trailers->n = kept;
}

int iso_hop_join_cookies(struct iso_fields *fields, struct iso_arena *arena)
{
	return join(fields, arena, ISO_FIELD_COOKIE, "; ", ISO_SLICE(""));
}
