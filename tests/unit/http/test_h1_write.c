/*
 * Written heads: framing, reasons, and nothing of a peer's that could split a message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/http/h1_write.h"

static void check(const struct iso_head *head, bool chunked, bool close, const char *expected)
{
	char bytes[1024];
	size_t n = 0;

	assert_int_equal(iso_h1_write_head(head, chunked, close, bytes, sizeof(bytes), &n), ISO_OK);
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(bytes, expected, n);
	/* One byte less is too little. */
	assert_int_equal(iso_h1_write_head(head, chunked, close, bytes, n - 1, &n), ISO_ELIMIT);
}

static void test_heads(void **state)
{
	struct iso_field field = { .name = ISO_SLICE("x"), .value = ISO_SLICE("y") };
	struct iso_field framed[] = { field,
				      { .name = ISO_SLICE("content-length"),
					.value = ISO_SLICE("99"),
					.id = ISO_FIELD_CONTENT_LENGTH } };
	struct iso_head request = { .method = ISO_SLICE("GET"),
				    .path = ISO_SLICE("/p"),
				    .authority = ISO_SLICE("a"),
				    .content_length = -1 };
	struct iso_head response = { .status = 200, .content_length = 5, .fields = { framed, 2, 2 } };

	(void)state;
	check(&request, false, false, "GET /p HTTP/1.1\r\nhost: a\r\n\r\n");
	check(&request, true, false, "GET /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
	check(&response, false, true,
	      "HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 5\r\nconnection: close\r\n\r\n");
	response.status = 299;
	response.content_length = -1;
	check(&response, false, false, "HTTP/1.1 299 Unknown\r\nx: y\r\n\r\n");
}

static void test_line_ends_are_refused(void **state)
{
	const struct iso_slice bad[] = { ISO_SLICE("a\r\nb: c"), ISO_SLICE("a\nb"), ISO_SLICE("a\rb"),
					 ISO_SLICE("a\0b") };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct iso_field value = { .name = ISO_SLICE("x"), .value = bad[i] };
		struct iso_field name = { .name = bad[i], .value = ISO_SLICE("x") };
		struct iso_head head = { .status = 200, .content_length = 0, .fields = { &value, 1, 1 } };
		struct iso_head path = { .method = ISO_SLICE("GET"),
					 .path = bad[i],
					 .authority = ISO_SLICE("a") };
		char bytes[1024];
		size_t n;

		assert_int_equal(iso_h1_write_head(&head, false, false, bytes, sizeof(bytes), &n), ISO_EBAD);
		head.fields.v = &name;
		assert_int_equal(iso_h1_write_head(&head, false, false, bytes, sizeof(bytes), &n), ISO_EBAD);
		assert_int_equal(iso_h1_write_head(&path, false, false, bytes, sizeof(bytes), &n), ISO_EBAD);
	}
}

static void test_chunks(void **state)
{
	struct iso_field field = { .name = ISO_SLICE("x-sum"), .value = ISO_SLICE("1") };
	struct iso_fields trailers = { &field, 1, 1 };
	char bytes[64];
	size_t n;

	(void)state;
	n = iso_h1_write_chunk_header(0x1f40, bytes);
	assert_memory_equal(bytes, "1f40\r\n", 6);
	assert_int_equal(n, 6);
	n = iso_h1_write_chunk_header(UINT64_MAX, bytes);
	assert_int_equal(n, 18);
	assert_int_equal(iso_h1_write_last_chunk(NULL, bytes, sizeof(bytes), &n), ISO_OK);
	assert_memory_equal(bytes, "0\r\n\r\n", n);
	assert_int_equal(iso_h1_write_last_chunk(&trailers, bytes, sizeof(bytes), &n), ISO_OK);
	assert_memory_equal(bytes, "0\r\nx-sum: 1\r\n\r\n", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_line_ends_are_refused),
		cmocka_unit_test(test_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
