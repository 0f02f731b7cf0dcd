/*
 * The string builder: bounds, and JSON strings (RFC 8259 section 7, RFC 3629 section 4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/base/text.h"

static void check_json(const char *in, size_t len, const char *expected)
{
	struct iso_text text;

	iso_text_init(&text, 4096);
	iso_text_json(&text, iso_slice(in, len));
	assert_int_equal(iso_text_ok(&text), ISO_OK);
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.bytes, expected, text.len);
	iso_text_done(&text);
}

static void test_json(void **state)
{
	(void)state;
	check_json("plain", 5, "\"plain\"");
	check_json("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
	check_json("\n\r\t\x01\0", 5, "\"\\n\\r\\t\\u0001\\u0000\"");
	check_json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
	check_json("\xff", 1, "\"\\ufffd\"");
	check_json("\xc3", 1, "\"\\ufffd\"");                       /* cut off */
	check_json("\xc0\xaf", 2, "\"\\ufffd\\ufffd\"");            /* overlong */
	check_json("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
}

static void test_limit_sticks(void **state)
{
	char bytes[8];
	struct iso_text text;

	(void)state;
	iso_text_init_fixed(&text, bytes, sizeof(bytes));
	iso_text_str(&text, "1234567");
	iso_text_str(&text, "89");
	assert_int_equal(iso_text_ok(&text), ISO_ELIMIT);
	assert_int_equal(text.len, 7);
	iso_text_str(&text, "8"); /* would fit: too late */
	assert_int_equal(text.len, 7);
}

static void test_numbers_and_formats(void **state)
{
	struct iso_text text;
	char expected[700];

	(void)state;
	iso_text_init(&text, 4096);
	iso_text_u64(&text, 0);
	iso_text_u64(&text, UINT64_MAX);
	iso_text_fmt(&text, " %s %d", "x", -3);
	assert_int_equal(text.len, 1 + 20 + 5);
	assert_memory_equal(text.bytes, "018446744073709551615 x -3", text.len);
	text.len = 0;
	memset(expected, 'y', sizeof(expected));
	expected[sizeof(expected) - 1] = '\0';
	iso_text_fmt(&text, "%s", expected); /* longer than the quick path */
	assert_int_equal(text.len, sizeof(expected) - 1);
	assert_memory_equal(text.bytes, expected, text.len);
	iso_text_done(&text);
	iso_text_done(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_limit_sticks),
		cmocka_unit_test(test_numbers_and_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
