/*
 * The shell around llhttp: see h1_parse.h. What is judged here: RFC 9112 where llhttp is lenient or leaves it
 * to its user. Thread: any; memory: the message's arena.
 */
#include "iso/http/h1_parse.h"

#include "h1_rules_priv.h"

enum state { STATE_IDLE, STATE_HEAD, STATE_BODY, STATE_DONE, STATE_BAD };

enum { TEXT_FIRST = 1024 };

static int refuse(struct iso_h1_parser *p, uint16_t status, const char *why)
{
	p->state = STATE_BAD;
	p->status = status;
	p->why = why;
	return ISO_EBAD;
}

static struct iso_h1_parser *parser_of(llhttp_t *ll)
{
	return ll->data;
}

/* llhttp gives a text in pieces; ours are contiguous because the head is fed from one copy. */
static void grow(struct iso_slice *s, const char *at, size_t n)
{
	if (s->len > 0 && s->ptr + s->len == at)
		s->len += n;
	else
		*s = iso_slice(at, n);
}

static int on_method(llhttp_t *ll, const char *at, size_t n)
{
	grow(&parser_of(ll)->head.method, at, n);
	return 0;
}

static int on_url(llhttp_t *ll, const char *at, size_t n)
{
	grow(&parser_of(ll)->head.path, at, n);
	return 0;
}

static int flush_field(struct iso_h1_parser *p)
{
	struct iso_fields *to = &p->head.fields;
	char *name;

	if (to->n >= p->limits.fields) {
		refuse(p, 431, "too many header fields");
		return -1;
	}
	name = (char *)(uintptr_t)p->field.ptr; /* our own copy in the arena */
	for (size_t i = 0; i < p->field.len; i++)
		name[i] = iso_ascii_lower(name[i]);
	return iso_fields_add(to, p->arena, p->field, iso_slice_trim(p->value)) == ISO_OK ? 0 : -1;
}

static int on_field(llhttp_t *ll, const char *at, size_t n)
{
	struct iso_h1_parser *p = parser_of(ll);

	grow(&p->field, at, n);
	return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t n)
{
	struct iso_h1_parser *p = parser_of(ll);

	grow(&p->value, at, n);
	return 0;
}

static int on_value_complete(llhttp_t *ll)
{
	struct iso_h1_parser *p = parser_of(ll);
	int err = flush_field(p);

	p->field = p->value = ISO_SLICE("");
	return err;
}

static int on_headers_complete(llhttp_t *ll)
{
	struct iso_h1_parser *p = parser_of(ll);
	const char *why = NULL;
	uint16_t status = 400;

	if (ll->http_major != 1 || ll->http_minor > 1) {
		refuse(p, 505, "the HTTP version is not 1.0 or 1.1");
		return -1;
	}
	p->head.version = ll->http_minor == 1 ? ISO_HTTP_11 : ISO_HTTP_10;
	p->head.status = p->response ? ll->status_code : 0;
	if (p->response)
		why = iso_h1_judge_response(&p->head, p->upgrade, &p->chunked);
	else
		why = iso_h1_judge_request(&p->head, p->arena, &p->chunked, &status);
	if (why != NULL) {
		refuse(p, status, why);
		return -1;
	}
	p->keep_alive = llhttp_should_keep_alive(ll) == 1;
	ll->upgrade = 0; /* a client may offer an upgrade; nobody here takes it */
	p->state = STATE_BODY;
	iso_chunked_init(&p->coding);
	p->ops->head(p, &p->head);
	return p->response && (p->head.status == 101 ||
			       !iso_status_has_body(p->head.status, p->request_method))
		       ? 1
		       : 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t n)
{
	struct iso_h1_parser *p = parser_of(ll);

	if (p->ops->body != NULL)
		p->ops->body(p, (const uint8_t *)at, n);
	return 0;
}

static void complete(struct iso_h1_parser *p)
{
	if (p->trailers.n > 0 && p->ops->trailers != NULL)
		p->ops->trailers(p, &p->trailers);
	p->state = STATE_DONE;
	if (p->ops->complete != NULL)
		p->ops->complete(p);
}

static int on_message_complete(llhttp_t *ll)
{
	struct iso_h1_parser *p = parser_of(ll);

	if (p->response && p->head.status < 200 && p->head.status != 101) {
		p->state = STATE_IDLE; /* an interim response: the next head follows */
		return HPE_PAUSED;
	}
	complete(p);
	return HPE_PAUSED;
}

void iso_h1_parser_init(struct iso_h1_parser *p, bool response, const struct iso_h1_ops *ops,
			const struct iso_h1_limits *limits)
{
	memset(p, 0, sizeof(*p));
	p->response = response;
	p->ops = ops;
	p->limits = *limits;
	llhttp_settings_init(&p->settings);
	p->settings.on_method = on_method;
	p->settings.on_url = on_url;
	p->settings.on_header_field = on_field;
	p->settings.on_header_value = on_value;
	p->settings.on_header_value_complete = on_value_complete;
	p->settings.on_headers_complete = on_headers_complete;
	p->settings.on_body = on_body;
	p->settings.on_message_complete = on_message_complete;
	p->state = STATE_DONE;
}

static void restart(struct iso_h1_parser *p)
{
	llhttp_init(&p->ll, p->response ? HTTP_RESPONSE : HTTP_REQUEST, &p->settings);
	p->ll.data = p;
	p->head = (struct iso_head){ .content_length = -1 };
	p->trailers = (struct iso_fields){ 0 };
	p->field = p->value = ISO_SLICE("");
	p->text = NULL;
	p->text_len = p->text_cap = 0;
	p->state = STATE_IDLE;
	p->chunked = p->in_trailers = false;
	p->leading = 0;
}

void iso_h1_parser_begin(struct iso_h1_parser *p, struct iso_arena *arena, enum iso_method request_method)
{
	p->arena = arena;
	p->request_method = request_method;
	p->upgrade = false;
	p->interim = 0;
	restart(p);
}

bool iso_h1_parser_begun(const struct iso_h1_parser *p)
{
	return p->state == STATE_HEAD || p->state == STATE_BODY || p->state == STATE_BAD;
}

/* Appends to the head's copy; *ret_n: how many were taken, up to the blank line. *ret_whole: it is there. */
static int gather_head(struct iso_h1_parser *p, const uint8_t *bytes, size_t n, size_t *ret_n,
		       bool *ret_whole)
{
	size_t room, take, end;

	if (p->text_len + n > p->text_cap) {
		size_t cap = p->text_cap == 0 ? TEXT_FIRST : p->text_cap * 2;
		char *text;

		while (cap < p->text_len + n && cap < p->limits.head_bytes)
			cap *= 2;
		if (cap > p->limits.head_bytes + 4)
			cap = p->limits.head_bytes + 4;
		if (cap > p->text_cap) {
			text = iso_arena_alloc(p->arena, cap);
			if (text == NULL)
				return ISO_ENOMEM;
			if (p->text_len > 0)
				memcpy(text, p->text, p->text_len);
			p->text = text;
			p->text_cap = cap;
		}
	}
	room = p->text_cap - p->text_len;
	take = n < room ? n : room;
	memcpy(p->text + p->text_len, bytes, take);
	*ret_whole = iso_h1_find_end(p->text, p->text_len, p->text_len + take, &end);
	if (*ret_whole)
		take = end - p->text_len;
	*ret_n = take;
	if (iso_h1_bare_lf(p->text, p->text_len, p->text_len + take))
		return refuse(p, 400, "a line does not end with CR LF");
	p->text_len += take;
	if (*ret_whole)
		return ISO_OK;
	if (p->text_len >= p->limits.head_bytes)
		return refuse(p, 431, "the head is too large");
	return ISO_OK;
}

/* llhttp's verdict in our words. */
static int map_error(struct iso_h1_parser *p, llhttp_errno_t err)
{
	if (p->state == STATE_BAD)
		return ISO_EBAD;
	if (err == HPE_INVALID_METHOD)
		return refuse(p, 501, "the method is not known");
	if (err == HPE_INVALID_VERSION)
		return refuse(p, 505, "the HTTP version is not 1.0 or 1.1");
	if (err == HPE_USER || err == HPE_CB_HEADERS_COMPLETE || err == HPE_CB_HEADER_VALUE_COMPLETE)
		return ISO_ENOMEM;
	return refuse(p, 400,
		      p->state == STATE_HEAD ? "the head is malformed" : "the chunked coding is malformed");
}

static int parse_head(struct iso_h1_parser *p)
{
	const char *why;
	llhttp_errno_t err;

	why = iso_h1_judge_bytes(p->text, p->text_len, p->response);
	if (why != NULL)
		return refuse(p, 400, why);
	err = llhttp_execute(&p->ll, p->text, p->text_len);
	if (err == HPE_PAUSED || err == HPE_PAUSED_UPGRADE) {
		if (p->state == STATE_IDLE) {
			restart(p); /* after an interim response */
			if (++p->interim > ISO_INTERIM_MAX)
				return refuse(p, 400, "too many interim responses");
		}
		return ISO_OK;
	}
	return err == HPE_OK ? ISO_OK : map_error(p, err);
}

/* The lines of a trailer section that has been judged. */
static int take_trailers(struct iso_h1_parser *p)
{
	struct iso_slice rest = iso_slice(p->text, p->text_len - 2); /* without the blank line */

	while (rest.len > 0) {
		size_t line = iso_slice_find(rest, '\r'), colon = iso_slice_find(rest, ':');
		int err;

		if (p->trailers.n >= p->limits.fields)
			return refuse(p, 431, "too many trailer fields");
		err = iso_fields_add_copy(&p->trailers, p->arena, iso_slice(rest.ptr, colon),
					  iso_slice_trim(iso_slice(rest.ptr + colon + 1, line - colon - 1)));
		if (err != ISO_OK)
			return err;
		rest = iso_slice(rest.ptr + line + 2, rest.len - line - 2);
	}
	return ISO_OK;
}

/* Behind the last chunk's line: fields up to a blank line, gathered as a head is. */
static int feed_trailers(struct iso_h1_parser *p, const uint8_t *bytes, size_t n, size_t *ret_used)
{
	size_t end = p->text_len >= 2 ? 0 : 2 - p->text_len;
	bool whole = false;
	const char *why;
	int err;

	/* No trailers at all: CR LF, which is no blank line behind a field. */
	if (end > 0) {
		end = end < n ? end : n;
		err = gather_head(p, bytes, end, ret_used, &whole);
		if (err != ISO_OK)
			return err;
		if (p->text_len == 2 && p->text[0] == '\r' && p->text[1] != '\n')
			return refuse(p, 400, "a CR that ends no line");
		whole = p->text_len == 2 && p->text[0] == '\r';
	} else {
		err = gather_head(p, bytes, n, ret_used, &whole);
		if (err != ISO_OK)
			return err;
	}
	if (!whole)
		return ISO_OK;
	why = iso_h1_judge_fields(p->text, p->text_len);
	if (why != NULL)
		return refuse(p, 400, why);
	err = take_trailers(p);
	if (err == ISO_OK)
		complete(p);
	return err;
}

static int feed_chunks(struct iso_h1_parser *p, const uint8_t *bytes, size_t n, size_t *ret_used)
{
	struct iso_slice data;
	int err;

	if (p->in_trailers)
		return feed_trailers(p, bytes, n, ret_used);
	err = iso_chunked_feed(&p->coding, bytes, n, ret_used, &data);
	if (err != ISO_OK)
		return refuse(p, 400, p->coding.why);
	if (p->coding.last) {
		p->in_trailers = true;
		p->text = NULL;
		p->text_len = p->text_cap = 0;
	}
	if (data.len > 0 && p->ops->body != NULL)
		p->ops->body(p, (const uint8_t *)data.ptr, data.len);
	return ISO_OK;
}

static int feed_body(struct iso_h1_parser *p, const uint8_t *bytes, size_t n, size_t *ret_used)
{
	llhttp_errno_t err;

	if (p->chunked)
		return feed_chunks(p, bytes, n, ret_used);
	err = llhttp_execute(&p->ll, (const char *)bytes, n);
	if (err == HPE_OK) {
		*ret_used = n;
		return ISO_OK;
	}
	if (err == HPE_PAUSED || err == HPE_PAUSED_UPGRADE) {
		const char *at = llhttp_get_error_pos(&p->ll);

		*ret_used = (size_t)(at - (const char *)bytes);
		return ISO_OK;
	}
	return map_error(p, err);
}

/* RFC 9112 section 2.2: one empty line before a request line is passed over. */
static int skip_leading(struct iso_h1_parser *p, uint8_t byte, size_t *ret_used)
{
	static const char line[] = "\r\n";

	*ret_used = 0;
	if (p->response || p->leading == 2 || (p->leading == 0 && byte != '\r'))
		return ISO_OK;
	if (byte != (uint8_t)line[p->leading])
		return refuse(p, 400, "a CR that ends no line");
	p->leading++;
	*ret_used = 1;
	return ISO_OK;
}

int iso_h1_parser_feed(struct iso_h1_parser *p, const uint8_t *bytes, size_t n, size_t *ret_used)
{
	size_t done = 0;

	while (done < n && p->state != STATE_DONE) {
		size_t used = 0;
		bool whole = false;
		int err;

		if (p->state == STATE_BAD)
			return ISO_EBAD;
		if (p->state == STATE_BODY) {
			err = feed_body(p, bytes + done, n - done, &used);
		} else {
			err = p->state == STATE_IDLE ? skip_leading(p, bytes[done], &used) : ISO_OK;
			if (err != ISO_OK || used > 0) {
				done += used;
				if (err != ISO_OK)
					return err;
				continue;
			}
			p->state = STATE_HEAD;
			err = gather_head(p, bytes + done, n - done, &used, &whole);
			if (err == ISO_OK && whole)
				err = parse_head(p);
		}
		if (err != ISO_OK)
			return err;
		done += used;
	}
	*ret_used = done;
	return ISO_OK;
}

int iso_h1_parser_eof(struct iso_h1_parser *p)
{
	if (p->state == STATE_IDLE || p->state == STATE_DONE)
		return ISO_OK;
	if (p->state != STATE_BODY)
		return ISO_EEOF;
	(void)llhttp_finish(&p->ll);
	return p->state == STATE_DONE ? ISO_OK : ISO_EEOF;
}
