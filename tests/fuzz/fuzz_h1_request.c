/*
 * HTTP/1.1 requests: the first byte says how the rest is cut. Whatever the cut, the verdict and the content
 * are the same, and what is accepted cannot be read in two ways.
 */
#include "fuzz.h"
#include "iso/base/list.h"
#include "iso/http/h1_parse.h"

struct seen {
	struct iso_h1_parser parser;
	struct iso_arena arena;
	uint64_t hash; /* of heads and content */
	uint32_t heads, completes;
};

static struct seen *seen_of(struct iso_h1_parser *p)
{
	return ISO_CONTAINER(p, struct seen, parser);
}

static void mix(struct seen *s, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->hash = (s->hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
}

static void check_text(struct iso_slice s)
{
	for (size_t i = 0; i < s.len; i++)
		MUST(s.ptr[i] != '\r' && s.ptr[i] != '\n' && s.ptr[i] != '\0');
}

static void on_head(struct iso_h1_parser *p, struct iso_head *head)
{
	struct seen *s = seen_of(p);
	uint32_t framing = 0;

	s->heads++;
	MUST(head->method.len > 0 && head->path.len > 0);
	check_text(head->method);
	check_text(head->path);
	check_text(head->authority);
	MUST(head->path.ptr[0] == '/' || (head->path.len == 1 && head->path.ptr[0] == '*'));
	for (uint32_t i = 0; i < head->fields.n; i++) {
		check_text(head->fields.v[i].name);
		check_text(head->fields.v[i].value);
		MUST(head->fields.v[i].name.len > 0 && head->fields.v[i].id != ISO_FIELD_HOST);
		framing += head->fields.v[i].id == ISO_FIELD_CONTENT_LENGTH ||
			   head->fields.v[i].id == ISO_FIELD_TRANSFER_ENCODING;
		mix(s, head->fields.v[i].value.ptr, head->fields.v[i].value.len);
	}
	MUST(framing <= 1);
	mix(s, head->path.ptr, head->path.len);
}

static void on_body(struct iso_h1_parser *p, const uint8_t *bytes, size_t n)
{
	mix(seen_of(p), bytes, n);
}

static void on_complete(struct iso_h1_parser *p)
{
	seen_of(p)->completes++;
}

/* Returns the last error. */
static int run(struct seen *s, const uint8_t *data, size_t size, size_t step)
{
	static const struct iso_h1_ops ops = { .head = on_head, .body = on_body, .complete = on_complete };
	static const struct iso_h1_limits limits = { 4096, 20 };
	size_t at = 0;
	int err = ISO_OK;

	memset(s, 0, sizeof(*s));
	iso_arena_init(&s->arena, NULL, 1 << 20);
	iso_h1_parser_init(&s->parser, false, &ops, &limits);
	iso_h1_parser_begin(&s->parser, &s->arena, ISO_METHOD_OTHER);
	while (at < size && err == ISO_OK) {
		size_t give = step < size - at ? step : size - at, used = 0;
		uint32_t before = s->completes;

		err = iso_h1_parser_feed(&s->parser, data + at, give, &used);
		MUST(err == ISO_OK || err == ISO_EBAD || err == ISO_ENOMEM);
		MUST(err != ISO_OK || used <= give);
		MUST(err != ISO_EBAD || (s->parser.why != NULL && s->parser.status >= 400));
		at += used;
		if (err == ISO_OK && s->completes > before)
			iso_h1_parser_begin(&s->parser, &s->arena, ISO_METHOD_OTHER);
		else if (err == ISO_OK)
			MUST(used == give);
	}
	iso_arena_done(&s->arena);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, cut;
	int one, two;

	if (size == 0)
		return 0;
	one = run(&whole, data + 1, size - 1, SIZE_MAX);
	two = run(&cut, data + 1, size - 1, (size_t)data[0] % 64 + 1);
	MUST(one == two || one == ISO_ENOMEM || two == ISO_ENOMEM);
	if (one == ISO_OK && two == ISO_OK)
		MUST(whole.hash == cut.hash && whole.heads == cut.heads && whole.completes == cut.completes);
	return 0;
}
