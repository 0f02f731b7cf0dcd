/*
 * Heads to nghttp2's arrays and back: what is compressed and how, what of a peer's head is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/http/h2_nv.h"

static struct iso_arena arena;
static struct iso_head head;
static nghttp2_nv nv[ISO_H2_NV_MAX];

static int setup(void **state)
{
	(void)state;
	iso_arena_init(&arena, NULL, 100000);
	iso_h2_head_init(&head);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iso_arena_done(&arena);
	return 0;
}

static struct iso_field *add(const char *name, const char *value)
{
	assert_int_equal(iso_fields_add_copy(&head.fields, &arena, iso_slice_str(name), iso_slice_str(value)),
			 ISO_OK);
	return &head.fields.v[head.fields.n - 1];
}

static int take(const char *name, const char *value)
{
	return iso_h2_take_header(&head, &arena, iso_slice_str(name), iso_slice_str(value), 0);
}

static void nv_is(size_t i, const char *name, const char *value)
{
	assert_int_equal(nv[i].namelen, strlen(name));
	assert_memory_equal(nv[i].name, name, strlen(name));
	assert_int_equal(nv[i].valuelen, strlen(value));
	assert_memory_equal(nv[i].value, value, strlen(value));
}

static void request_head(void)
{
	head.method = ISO_SLICE("POST");
	head.scheme = ISO_SLICE("https");
	head.authority = ISO_SLICE("api.example.test");
	head.path = ISO_SLICE("/orders?x=1");
}

static void test_request(void **state)
{
	size_t n = 0;

	(void)state;
	request_head();
	add("accept", "*/*");
	assert_int_equal(iso_h2_nv_request(&head, nv, &n), ISO_OK);
	assert_int_equal(n, 5);
	nv_is(0, ":method", "POST");
	nv_is(1, ":scheme", "https");
	nv_is(2, ":authority", "api.example.test");
	nv_is(3, ":path", "/orders?x=1");
	nv_is(4, "accept", "*/*");
	/* A path with its query would fill the table with what is never asked again. */
	assert_int_equal(nv[3].flags & NGHTTP2_NV_FLAG_NO_INDEX, NGHTTP2_NV_FLAG_NO_INDEX);
	assert_int_equal(nv[2].flags & NGHTTP2_NV_FLAG_NO_INDEX, 0);
}

/* RFC 8441 section 4: CONNECT with :protocol, whatever the method was inside. */
static void test_tunnel(void **state)
{
	size_t n = 0;

	(void)state;
	request_head();
	head.method = ISO_SLICE("GET");
	head.protocol = ISO_SLICE("websocket");
	add("origin", "https://a.test");
	assert_int_equal(iso_h2_nv_request(&head, nv, &n), ISO_OK);
	assert_int_equal(n, 6);
	nv_is(0, ":method", "CONNECT");
	nv_is(4, ":protocol", "websocket");
	nv_is(5, "origin", "https://a.test");
}

static void test_response(void **state)
{
	static const struct {
		uint16_t status;
		const char *text;
	} cases[] = { { 100, "100" }, { 200, "200" }, { 307, "307" }, { 504, "504" }, { 999, "999" } };
	char text[4];
	size_t n = 0;

	(void)state;
	add("server", "x");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		head.status = cases[i].status;
		assert_int_equal(iso_h2_nv_response(&head, text, nv, &n), ISO_OK);
		assert_int_equal(n, 2);
		nv_is(0, ":status", cases[i].text);
		nv_is(1, "server", "x");
	}
}

/* RFC 7541 section 7.1.3: never indexed goes on as never indexed; what changes always stays out, too. */
static void test_what_stays_out_of_the_table(void **state)
{
	static const char *const names[] = { "x-request-id", "x-amzn-requestid", "traceparent",
					     "content-length", "idempotency-key" };
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add(names[i], "1");
	add("cookie", "secret")->flags |= ISO_FIELD_F_NEVER_INDEX;
	add("set-cookie", "a=1")->flags |= ISO_FIELD_F_NO_INDEX;
	add("authorization", "Bearer x");
	add("user-agent", "x");
	assert_int_equal(iso_h2_nv_fields(&head.fields, nv, &n), ISO_OK);
	assert_int_equal(n, 9);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(nv[i].flags, NGHTTP2_NV_FLAG_NO_INDEX);
	assert_int_equal(nv[7].flags, NGHTTP2_NV_FLAG_NONE);
	assert_int_equal(nv[8].flags, NGHTTP2_NV_FLAG_NONE);
}

static void test_as_many_as_there_is_room_for(void **state)
{
	char text[4];
	size_t n = 12345;

	(void)state;
	request_head();
	head.status = 200;
	for (int i = 0; i < ISO_H2_NV_MAX - 4; i++)
		add("x", "y");
	assert_int_equal(iso_h2_nv_request(&head, nv, &n), ISO_OK);
	assert_int_equal(n, ISO_H2_NV_MAX);
	n = 12345;
	add("one", "more");
	assert_int_equal(iso_h2_nv_request(&head, nv, &n), ISO_ELIMIT);
	head.protocol = ISO_SLICE("websocket");
	assert_int_equal(iso_h2_nv_request(&head, nv, &n), ISO_ELIMIT);
	for (int i = 0; i < 3; i++)
		add("x", "y");
	assert_int_equal(iso_h2_nv_response(&head, text, nv, &n), ISO_ELIMIT);
	assert_int_equal(n, 12345); /* untouched */
	assert_int_equal(iso_h2_nv_fields(&head.fields, nv, &n), ISO_OK);
	assert_int_equal(n, ISO_H2_NV_MAX);
	add("one", "more");
	assert_int_equal(iso_h2_nv_fields(&head.fields, nv, &n), ISO_ELIMIT);
	assert_int_equal(n, ISO_H2_NV_MAX);
}

static void test_takes_a_request(void **state)
{
	(void)state;
	assert_int_equal(head.version, ISO_HTTP_2);
	assert_int_equal(head.content_length, -1);
	assert_int_equal(take(":method", "PUT"), ISO_OK);
	assert_int_equal(take(":scheme", "https"), ISO_OK);
	assert_int_equal(take(":authority", "a.test"), ISO_OK);
	assert_int_equal(take(":path", "/x"), ISO_OK);
	assert_int_equal(take(":protocol", "websocket"), ISO_OK);
	assert_int_equal(take("content-length", "12"), ISO_OK);
	assert_int_equal(take("x-own", "1"), ISO_OK);
	assert_int_equal(head.method_id, ISO_METHOD_PUT);
	assert_true(iso_slice_eq(head.method, ISO_SLICE("PUT")));
	assert_true(iso_slice_eq(head.scheme, ISO_SLICE("https")));
	assert_true(iso_slice_eq(head.authority, ISO_SLICE("a.test")));
	assert_true(iso_slice_eq(head.path, ISO_SLICE("/x")));
	assert_true(iso_slice_eq(head.protocol, ISO_SLICE("websocket")));
	assert_int_equal(head.content_length, 12);
	assert_int_equal(head.fields.n, 2); /* pseudo-headers are no fields */
	assert_int_equal(head.fields.v[0].id, ISO_FIELD_CONTENT_LENGTH);
}

/* nghttp2 reuses its memory after the callback. */
static void test_takes_copies(void **state)
{
	char name[] = "x-own", value[] = "first", path[] = "/first";

	(void)state;
	assert_int_equal(iso_h2_take_header(&head, &arena, ISO_SLICE(":path"), iso_slice(path, 6), 0),
			 ISO_OK);
	assert_int_equal(iso_h2_take_header(&head, &arena, iso_slice(name, 5), iso_slice(value, 5),
					    NGHTTP2_NV_FLAG_NO_INDEX),
			 ISO_OK);
	memset(name, '-', sizeof(name));
	memset(value, '-', sizeof(value));
	memset(path, '-', sizeof(path));
	assert_true(iso_slice_eq(head.path, ISO_SLICE("/first")));
	assert_true(iso_slice_eq(head.fields.v[0].name, ISO_SLICE("x-own")));
	assert_true(iso_slice_eq(head.fields.v[0].value, ISO_SLICE("first")));
	assert_int_equal(head.fields.v[0].flags, ISO_FIELD_F_NEVER_INDEX);
}

static void test_statuses(void **state)
{
	static const char *const bad[] = { "",    "2",   "20",  "2000", "099", "000", "0x1",         "-20",
					   "+20", " 20", "20 ", "2 0",  "abc", "2.0", "\xd9\xa2\xd9" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(take(":status", bad[i]), ISO_EBAD);
		assert_int_equal(head.status, 0);
	}
	assert_int_equal(take(":status", "100"), ISO_OK);
	assert_int_equal(head.status, 100);
	assert_int_equal(take(":status", "503"), ISO_OK);
	assert_int_equal(head.status, 503);
}

static void test_lengths(void **state)
{
	static const char *const bad[] = { "",
					   "-1",
					   "+1",
					   " 1",
					   "1 ",
					   "1,1",
					   "0x1",
					   "1.0",
					   "1e3",
					   "9223372036854775808",
					   "18446744073709551616",
					   "99999999999999999999999" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(take("content-length", bad[i]), ISO_EBAD);
		assert_int_equal(head.content_length, -1);
		assert_int_equal(head.fields.n, 0);
	}
	assert_int_equal(take("content-length", "9223372036854775807"), ISO_OK);
	assert_true(head.content_length == INT64_MAX);
}

/* What some HTTP/1.1 parsers read as framing must not reach them from here. */
static void test_twins_of_framing_fields(void **state)
{
	(void)state;
	assert_int_equal(take("content_length", "5"), ISO_EBAD);
	assert_int_equal(take("transfer_encoding", "chunked"), ISO_EBAD);
	assert_int_equal(head.fields.n, 0);
	assert_int_equal(take("content_type", "x"), ISO_OK);
	assert_int_equal(take("content_lengths", "5"), ISO_OK);
}

/* RFC 9113 section 8.3.1. */
static void test_host_and_authority(void **state)
{
	(void)state;
	assert_int_equal(take("host", "a.test"), ISO_OK);
	assert_true(iso_slice_eq(head.authority, ISO_SLICE("a.test")));
	assert_int_equal(take("host", "b.test"), ISO_EBAD);
	assert_int_equal(take("host", ""), ISO_EBAD);
	assert_int_equal(take("host", "a.test:443"), ISO_EBAD);
	assert_int_equal(take("host", "A.Test"), ISO_OK);
	assert_int_equal(head.fields.n, 0);
	iso_h2_head_init(&head);
	assert_int_equal(take(":authority", "a.test"), ISO_OK);
	assert_int_equal(take("host", "evil.test"), ISO_EBAD);
	assert_true(iso_slice_eq(head.authority, ISO_SLICE("a.test")));
}

static void test_a_full_arena_refuses(void **state)
{
	struct iso_arena small;
	char large[2000];

	(void)state;
	memset(large, 'v', sizeof(large));
	iso_arena_init(&small, NULL, 0);
	assert_int_equal(iso_h2_take_header(&head, &small, ISO_SLICE(":path"), ISO_SLICE("/"), 0),
			 ISO_ENOMEM);
	assert_int_equal(iso_h2_take_header(&head, &small, ISO_SLICE("x"), iso_slice(large, sizeof(large)),
					    0),
			 ISO_ENOMEM);
	assert_int_equal(head.path.len, 0);
	assert_int_equal(head.fields.n, 0);
	iso_arena_done(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tunnel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_response, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_stays_out_of_the_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_as_many_as_there_is_room_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_a_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twins_of_framing_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_and_authority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_arena_refuses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
