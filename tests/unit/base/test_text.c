/*
 * The string builder: bounds, and JSON strings (RFC 8259 section 7, RFC 3629 section 4).
 */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/base/text.h"

/* A sanitizer's malloc shall return NULL for what it cannot give, as malloc does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

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

static void test_doubles(void **state)
{
	const struct {
		double value;
		unsigned int decimals;
		const char *expected;
	} rows[] = {
		{ 0, 0, "0" },
		{ 0, 3, "0.000" },
		{ 1.0005, 1, "1.0" },
		{ 2.75, 1, "2.8" },
		{ -12.345678, 4, "-12.3457" },
		{ 0.999999, 3, "1.000" },
		{ 1e15, 2, "1000000000000000.00" },
		{ 0.5, 1000, "0.50000000000000000" },
		{ (double)INFINITY, 3, "null" },
		{ (double)-INFINITY, 3, "null" },
		{ (double)NAN, 3, "null" },
	};
	struct iso_text text;

	(void)state;
	iso_text_init(&text, 4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text.len = 0;
		iso_text_double(&text, rows[i].value, rows[i].decimals);
		assert_true(iso_slice_eq(iso_text_slice(&text), iso_slice_str(rows[i].expected)));
	}
	text.len = 0;
	iso_text_double(&text, -1.7976931348623157e308, 17); /* the longest there is */
	assert_int_equal(iso_text_ok(&text), ISO_OK);
	assert_int_equal(text.len, 1 + 309 + 1 + 17);
	iso_text_done(&text);
}

static void test_growth_keeps_what_is_there_up_to_max(void **state)
{
	struct iso_text text;

	(void)state;
	iso_text_init(&text, 1000);
	for (int i = 0; i < 1000; i++)
		iso_text_add(&text, iso_slice(&"0123456789"[i % 10], 1));
	assert_int_equal(iso_text_ok(&text), ISO_OK);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(text.bytes[i], '0' + i % 10);
	iso_text_str(&text, "x");
	assert_int_equal(iso_text_ok(&text), ISO_ELIMIT);
	assert_int_equal(text.len, 1000);
	iso_text_done(&text);
}

static void test_out_of_memory_sticks(void **state)
{
	struct iso_text text;

	(void)state;
	iso_text_init(&text, SIZE_MAX);
	iso_text_str(&text, "kept");
	iso_text_add(&text, iso_slice("", SIZE_MAX / 4)); /* is refused before it is read */
	assert_int_equal(iso_text_ok(&text), ISO_ENOMEM);
	iso_text_str(&text, "late");
	assert_int_equal(iso_text_ok(&text), ISO_ENOMEM);
	assert_true(iso_slice_eq(iso_text_slice(&text), ISO_SLICE("kept")));
	iso_text_done(&text);
}

/* Whatever bytes go in, what comes out is a string of valid UTF-8 without raw controls or quotes. */
static void test_json_of_any_bytes(void **state)
{
	struct iso_rng rng;

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8")); /* for mbrtowc, which judges */
	iso_rng_seed(&rng, 4);
	for (int round = 0; round < 3000; round++) {
		size_t len = iso_rng_below(&rng, 40);
		mbstate_t shift = { 0 };
		struct iso_text text;
		char bytes[40];

		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)(iso_rng_below(&rng, 2) == 0 ? 0x80 + iso_rng_below(&rng, 128)
								      : iso_rng_below(&rng, 128));
		iso_text_init(&text, 4096);
		iso_text_json(&text, iso_slice(bytes, len));
		assert_int_equal(iso_text_ok(&text), ISO_OK);
		assert_true(text.len >= 2 && text.bytes[0] == '"' && text.bytes[text.len - 1] == '"');
		for (size_t at = 1; at < text.len - 1;) {
			size_t n = mbrtowc(NULL, text.bytes + at, text.len - 1 - at, &shift);

			assert_in_range(n, 1, 4);
			assert_true((unsigned char)text.bytes[at] >= 0x20 && text.bytes[at] != '"');
			at += text.bytes[at] == '\\' ? 2 : n;
		}
		iso_text_done(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_limit_sticks),
		cmocka_unit_test(test_numbers_and_formats),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_growth_keeps_what_is_there_up_to_max),
		cmocka_unit_test(test_out_of_memory_sticks),
		cmocka_unit_test(test_json_of_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
