/*
 * WebSocket handshakes: RFC 6455's own example, what is asked for and what is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/http/websocket.h"

static struct iso_arena arena;
static struct iso_head head;

static void add(const char *name, const char *value)
{
	assert_int_equal(iso_fields_add_copy(&head.fields, &arena, iso_slice_str(name), iso_slice_str(value)),
			 ISO_OK);
}

static int setup(void **state)
{
	(void)state;
	iso_arena_init(&arena, NULL, 100000);
	head = (struct iso_head){ .version = ISO_HTTP_11, .method_id = ISO_METHOD_GET, .content_length = -1 };
	add("connection", "keep-alive, Upgrade");
	add("upgrade", "WebSocket");
	add("sec-websocket-version", "13");
	add("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iso_arena_done(&arena);
	return 0;
}

static void test_request(void **state)
{
	struct iso_slice key;

	(void)state;
	assert_true(iso_websocket_take_request(&head, &key));
	assert_true(iso_slice_eq(key, ISO_SLICE("dGhlIHNhbXBsZSBub25jZQ==")));
	assert_true(iso_slice_eq(head.protocol, ISO_SLICE("websocket")));
	assert_null(iso_fields_find(&head.fields, ISO_SLICE("sec-websocket-key")));
}

static void refused(void)
{
	struct iso_slice key;

	assert_false(iso_websocket_take_request(&head, &key));
	assert_int_equal(head.protocol.len, 0);
}

static void test_not_a_post(void **state)
{
	(void)state;
	head.method_id = ISO_METHOD_POST;
	refused();
}

static void test_not_in_http_1_0(void **state)
{
	(void)state;
	head.version = ISO_HTTP_10;
	refused();
}

static void test_not_another_version(void **state)
{
	(void)state;
	iso_fields_find(&head.fields, ISO_SLICE("sec-websocket-version"))->value = ISO_SLICE("8");
	refused();
}

static void test_not_another_protocol(void **state)
{
	(void)state;
	iso_fields_get(&head.fields, ISO_FIELD_UPGRADE)->value = ISO_SLICE("h2c");
	refused();
}

/* RFC 9110 section 7.8: the upgrade is passed over, and the content stays the request's. */
static void test_not_with_content(void **state)
{
	(void)state;
	head.content_length = 1;
	refused();
	head.content_length = -1;
	add("transfer-encoding", "chunked");
	refused();
}

static void test_empty_content_is_none(void **state)
{
	struct iso_slice key;

	(void)state;
	head.content_length = 0;
	assert_true(iso_websocket_take_request(&head, &key));
}

/* RFC 6455 section 1.3 */
static void test_accept(void **state)
{
	char accept[ISO_WEBSOCKET_ACCEPT];

	(void)state;
	iso_websocket_accept(ISO_SLICE("dGhlIHNhbXBsZSBub25jZQ=="), accept);
	assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ISO_WEBSOCKET_ACCEPT);
}

static void test_response(void **state)
{
	(void)state;
	assert_false(iso_websocket_take_response(&head, ISO_SLICE("dGhlIHNhbXBsZSBub25jZQ==")));
	add("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_false(iso_websocket_take_response(&head, ISO_SLICE("xGhlIHNhbXBsZSBub25jZQ==")));
	assert_true(iso_websocket_take_response(&head, ISO_SLICE("dGhlIHNhbXBsZSBub25jZQ==")));
	assert_null(iso_fields_find(&head.fields, ISO_SLICE("sec-websocket-accept")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_request),
		TEST(test_not_a_post),
		TEST(test_not_in_http_1_0),
		TEST(test_not_another_version),
		TEST(test_not_another_protocol),
		TEST(test_not_with_content),
		TEST(test_empty_content_is_none),
		TEST(test_accept),
		TEST(test_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
