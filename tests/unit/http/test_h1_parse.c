/*
 * The strict parser: each rule with its RFC section, whole and fed one byte at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "iso/http/h1_parse.h"

struct seen {
	struct iso_h1_parser parser;
	struct iso_arena arena;
	struct iso_head head;
	char body[4096];
	size_t body_len;
	struct iso_fields trailers;
	int heads, completes;
};

static struct seen *seen_of(struct iso_h1_parser *p)
{
	return (struct seen *)(void *)p;
}

static void on_head(struct iso_h1_parser *p, struct iso_head *head)
{
	seen_of(p)->head = *head;
	seen_of(p)->heads++;
}

static void on_body(struct iso_h1_parser *p, const uint8_t *bytes, size_t n)
{
	struct seen *s = seen_of(p);

	assert_true(s->body_len + n <= sizeof(s->body));
	memcpy(s->body + s->body_len, bytes, n);
	s->body_len += n;
}

static void on_trailers(struct iso_h1_parser *p, const struct iso_fields *trailers)
{
	seen_of(p)->trailers = *trailers;
}

static void on_complete(struct iso_h1_parser *p)
{
	seen_of(p)->completes++;
}

static const struct iso_h1_ops ops = {
	.head = on_head,
	.body = on_body,
	.trailers = on_trailers,
	.complete = on_complete,
};

static void setup(struct seen *s, bool response)
{
	const struct iso_h1_limits limits = { 4096, 20 };

	memset(s, 0, sizeof(*s));
	iso_arena_init(&s->arena, NULL, 1 << 20);
	iso_h1_parser_init(&s->parser, response, &ops, &limits);
	iso_h1_parser_begin(&s->parser, &s->arena, ISO_METHOD_GET);
}

/* Feeds in steps of `step` bytes until an error or the end; *ret_used: what was taken in all. */
static int feed(struct seen *s, const char *text, size_t len, size_t step, size_t *ret_used)
{
	size_t at = 0;

	while (at < len) {
		size_t n = len - at < step ? len - at : step, used = 0;
		int err = iso_h1_parser_feed(&s->parser, (const uint8_t *)text + at, n, &used);

		if (err != ISO_OK)
			return err;
		at += used;
		if (used < n)
			break;
	}
	*ret_used = at;
	return ISO_OK;
}

static void check_bad(bool response, const char *text, size_t len, int status)
{
	const size_t steps[] = { 1 << 20, 1, 7 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct seen s;
		size_t used;

		setup(&s, response);
		if (feed(&s, text, len, steps[i], &used) != ISO_EBAD) {
			print_error("accepted: %s\n", text);
			fail();
		}
		assert_non_null(s.parser.why);
		if (status != 0)
			assert_int_equal(s.parser.status, status);
		assert_int_equal(s.completes, 0);
		iso_arena_done(&s.arena);
	}
}

#define BAD(text) check_bad(false, text, sizeof(text) - 1, 400)
#define BAD_STATUS(text, status) check_bad(false, text, sizeof(text) - 1, status)
#define BAD_ANSWER(text) check_bad(true, text, sizeof(text) - 1, 0)

static void test_framing(void **state)
{
	(void)state;
	/* RFC 9112 section 6.3: both, differing, repeated, malformed lengths. */
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3 4\r\n\r\nabc");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n");
	/* RFC 9112 section 6.1 */
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n");
	BAD("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\ncontent_length: 3\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\ntransfer_encoding: chunked\r\n\r\n");
}

static void test_lines(void **state)
{
	(void)state;
	/* RFC 9112 sections 2.2 and 5.1, 5.2; RFC 9110 section 5.5 */
	BAD("GET / HTTP/1.1\nHost: a\r\n\r\n");
	BAD("GET / HTTP/1.1\nHost: a\n\n"); /* never ends by the rules: refused at the first bare LF */
	BAD("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n");
	BAD("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void test_request_line(void **state)
{
	(void)state;
	/* RFC 9112 section 3 */
	BAD("GET  / HTTP/1.1\r\nHost: a\r\n\r\n");
	BAD("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n");
	BAD("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n");
	BAD("GET a HTTP/1.1\r\nHost: a\r\n\r\n");
	BAD("GET * HTTP/1.1\r\nHost: a\r\n\r\n");
	BAD("GET /\r\n\r\n");
	BAD_STATUS("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
	BAD_STATUS("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505);
	BAD_STATUS("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 0);
	BAD("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n");
	BAD_STATUS("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501);
	BAD_STATUS("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501);
}

static void test_host(void **state)
{
	(void)state;
	/* RFC 9112 section 3.2 */
	BAD("GET / HTTP/1.1\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a:0\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: [::1:2:3:4:5:6:7:8]\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n");
	BAD("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n");
}

static void test_chunks(void **state)
{
	(void)state;
	/* RFC 9112 section 7.1 */
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n");
	BAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n");
}

static void test_limits(void **state)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: ");

	(void)state;
	memset(text + n, 'y', sizeof(text) - (size_t)n);
	check_bad(false, text, sizeof(text), 431);
	n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 30; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "x%d: y\r\n", i);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	check_bad(false, text, (size_t)n, 431);
}

static void test_responses(void **state)
{
	(void)state;
	BAD_ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
	BAD_ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n");
	BAD_ANSWER("HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n");
	BAD_ANSWER("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n");
	BAD_ANSWER("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
	BAD_ANSWER("SMTP ready\r\n\r\n");
}

static void test_a_good_request(void **state)
{
	static const char text[] = "POST /a/b?c=d HTTP/1.1\r\nHost: Api.example.com:443\r\nX-Long:  v w \r\n"
				   "Transfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\n"
				   "X-Sum: 9\r\nContent-Length: 1\r\n\r\nGET /next";
	const size_t steps[] = { 1 << 20, 1, 3 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct seen s;
		size_t used;

		setup(&s, false);
		assert_int_equal(feed(&s, text, sizeof(text) - 1, steps[i], &used), ISO_OK);
		assert_int_equal(used, sizeof(text) - 1 - strlen("GET /next")); /* pipelined bytes wait */
		assert_int_equal(s.heads, 1);
		assert_int_equal(s.completes, 1);
		assert_true(iso_slice_eq(s.head.path, ISO_SLICE("/a/b?c=d")));
		assert_true(iso_slice_eq(s.head.authority, ISO_SLICE("Api.example.com:443")));
		assert_int_equal(s.head.method_id, ISO_METHOD_POST);
		assert_null(iso_fields_get(&s.head.fields, ISO_FIELD_HOST));
		assert_true(iso_slice_eq(iso_fields_find(&s.head.fields, ISO_SLICE("x-long"))->value,
					 ISO_SLICE("v w")));
		assert_int_equal(s.body_len, 9);
		assert_memory_equal(s.body, "Wikipedia", 9);
		assert_int_equal(s.trailers.n, 2); /* the exchange takes out what has no business there */
		assert_true(iso_slice_eq(s.trailers.v[0].name, ISO_SLICE("x-sum")));
		assert_true(s.parser.keep_alive);
		iso_arena_done(&s.arena);
	}
}

static void test_forms_of_targets(void **state)
{
	static const struct {
		const char *text, *path;
	} rows[] = {
		{ "GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "/x?y" },
		{ "GET https://a HTTP/1.1\r\nHost: a\r\n\r\n", "/" },
		{ "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*" },
		{ "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "*" }, /* RFC 9112 section 3.2.4 */
		{ "OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "/" },
		{ "OPTIONS http://a?y HTTP/1.1\r\nHost: a\r\n\r\n", "/?y" },
		{ "GET // HTTP/1.1\r\nHost: a\r\n\r\n", "//" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen s;
		size_t used;

		setup(&s, false);
		assert_int_equal(feed(&s, rows[i].text, strlen(rows[i].text), 1 << 20, &used), ISO_OK);
		assert_true(iso_slice_eq(s.head.path, iso_slice_str(rows[i].path)));
		assert_int_equal(s.completes, 1);
		iso_arena_done(&s.arena);
	}
}

static void test_interim_heads_and_end_by_close(void **state)
{
	static const char text[] =
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\nto the end";
	const size_t steps[] = { 1 << 20, 1 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct seen s;
		size_t used;

		setup(&s, true);
		assert_int_equal(feed(&s, text, sizeof(text) - 1, steps[i], &used), ISO_OK);
		assert_int_equal(s.heads, 2);
		assert_int_equal(s.head.status, 200);
		assert_int_equal(s.completes, 0);
		assert_int_equal(iso_h1_parser_eof(&s.parser), ISO_OK);
		assert_int_equal(s.completes, 1);
		assert_memory_equal(s.body, "to the end", s.body_len);
		iso_arena_done(&s.arena);
	}
}

static void test_cut_off(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour";
	struct seen s;
	size_t used;

	(void)state;
	setup(&s, true);
	assert_int_equal(iso_h1_parser_eof(&s.parser), ISO_OK); /* nothing had begun */
	assert_int_equal(feed(&s, text, sizeof(text) - 1, 1 << 20, &used), ISO_OK);
	assert_int_equal(iso_h1_parser_eof(&s.parser), ISO_EEOF);
	assert_int_equal(s.completes, 0);
	iso_arena_done(&s.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_request_line),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_a_good_request),
		cmocka_unit_test(test_forms_of_targets),
		cmocka_unit_test(test_interim_heads_and_end_by_close),
		cmocka_unit_test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
