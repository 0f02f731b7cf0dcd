/*
 * HTTP/1.1 responses: the first byte says what was asked and how the rest is cut.
 */
#include "fuzz.h"
#include "iso/http/h1_parse.h"

static uint32_t finals, completes;
static uint64_t content;

static void on_head(struct iso_h1_parser *p, struct iso_head *head)
{
	(void)p;
	MUST(head->status >= 100 && head->status <= 999);
	finals += head->status >= 200;
	for (uint32_t i = 0; i < head->fields.n; i++)
		for (size_t k = 0; k < head->fields.v[i].value.len; k++)
			MUST(head->fields.v[i].value.ptr[k] != '\r' &&
			     head->fields.v[i].value.ptr[k] != '\n');
}

static void on_body(struct iso_h1_parser *p, const uint8_t *bytes, size_t n)
{
	(void)p;
	(void)bytes;
	content += n;
}

static void on_complete(struct iso_h1_parser *p)
{
	(void)p;
	completes++;
}

static int run(const uint8_t *data, size_t size, size_t step, enum iso_method method, bool upgrade)
{
	static const struct iso_h1_ops ops = { .head = on_head, .body = on_body, .complete = on_complete };
	static const struct iso_h1_limits limits = { 4096, 20 };
	struct iso_h1_parser parser;
	struct iso_arena arena;
	int err = ISO_OK;

	finals = completes = 0;
	content = 0;
	iso_arena_init(&arena, NULL, 1 << 20);
	iso_h1_parser_init(&parser, true, &ops, &limits);
	iso_h1_parser_begin(&parser, &arena, method);
	parser.upgrade = upgrade;
	for (size_t at = 0; at < size && err == ISO_OK && completes == 0;) {
		size_t give = step < size - at ? step : size - at, used = 0;

		err = iso_h1_parser_feed(&parser, data + at, give, &used);
		MUST(err == ISO_OK || err == ISO_EBAD || err == ISO_ENOMEM);
		MUST(err != ISO_OK || (used <= give && (used == give || completes > 0)));
		at += used;
	}
	MUST(finals <= 1 && completes <= 1);
	if (err == ISO_OK && completes == 0 && iso_h1_parser_eof(&parser) == ISO_OK)
		MUST(completes == 1 || !iso_h1_parser_begun(&parser));
	iso_arena_done(&arena);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum iso_method method;
	uint64_t bytes;
	int err;

	if (size == 0)
		return 0;
	method = (data[0] & 0x80) != 0 ? ISO_METHOD_HEAD : ISO_METHOD_GET;
	err = run(data + 1, size - 1, SIZE_MAX, method, (data[0] & 0x40) != 0);
	bytes = content;
	if (err != run(data + 1, size - 1, (size_t)(data[0] & 0x3f) + 1, method, (data[0] & 0x40) != 0))
		MUST(err == ISO_ENOMEM);
	else if (err == ISO_OK)
		MUST(bytes == content);
	return 0;
}
