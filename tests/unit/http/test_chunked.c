/*
 * The chunked coding: good messages however they are cut, and every way to be wrong at the byte where it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "iso/http/chunked.h"

/* Decodes text in steps; the content in `out`. ISO_OK: up to the last chunk, *ret_used bytes. */
static int decode(const char *text, size_t n, size_t step, char *out, size_t *ret_used)
{
	struct iso_chunked c;
	size_t at = 0, len = 0;

	iso_chunked_init(&c);
	while (at < n && !c.last) {
		size_t give = step < n - at ? step : n - at, used;
		struct iso_slice data;
		int err = iso_chunked_feed(&c, (const uint8_t *)text + at, give, &used, &data);

		if (err != ISO_OK)
			return err;
		assert_true(used > 0 && used <= give);
		memcpy(out + len, data.ptr, data.len);
		len += data.len;
		at += used;
	}
	out[len] = '\0';
	*ret_used = at;
	return c.last ? ISO_OK : ISO_EAGAIN;
}

static void test_good(void **state)
{
	static const struct {
		const char *text, *content;
	} cases[] = {
		{ "4\r\nWiki\r\n5\r\npedia\r\n0\r\n", "Wikipedia" },
		{ "0\r\n", "" },
		{ "000a\r\n0123456789\r\n000\r\n", "0123456789" },
		{ "A;x\r\n0123456789\r\n0;y=z\r\n", "0123456789" },
		{ "1 ; a = \"q\\\"\xc3\xa9 ;\" ;b=c\r\nx\r\n0\r\n", "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 40; step++) {
			char text[100], out[100];
			size_t n = strlen(cases[i].text), used;

			memcpy(text, cases[i].text, n);
			memcpy(text + n, "\r\nrest", 6);
			assert_int_equal(decode(text, n + 6, step, out, &used), ISO_OK);
			assert_int_equal(used, n);
			assert_string_equal(out, cases[i].content);
		}
	}
}

static void test_bad(void **state)
{
	static const char *const cases[] = {
		"\r\n",
		"x\r\n",
		"-1\r\n",
		"+1\r\n",
		" 1\r\n",
		"0x1\r\n",
		"1\nx\r\n",
		"1\rx",
		"1\r\nxy",
		"1\r\nx\n",
		"1\r\nx\rx",
		"8000000000000000\r\n",
		"11111111111111111\r\n",
		"1 \r\n",
		"1;\r\n",
		"1;=a\r\n",
		"1;a=\r\n",
		"1;a=\"b\r\n",
		"1;a=\"b\" c\r\n",
		"1;a b\r\n",
		"1;a=\"b\\\r\n",
		"1;\x01\r\n",
		"1 2\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 30; step += 28) {
			char out[100];
			size_t used;

			if (decode(cases[i], strlen(cases[i]), step, out, &used) != ISO_EBAD)
				fail_msg("case %zu in steps of %zu is no chunk", i, step);
		}
	}
}

static void test_lines_end(void **state)
{
	char text[ISO_CHUNK_LINE_MAX + 10], out[10];
	size_t used;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "0;", 2);
	memcpy(text + ISO_CHUNK_LINE_MAX, "\r\n", 2);
	assert_int_equal(decode(text, ISO_CHUNK_LINE_MAX + 2, 7, out, &used), ISO_OK);
	text[ISO_CHUNK_LINE_MAX] = 'a';
	memcpy(text + ISO_CHUNK_LINE_MAX + 1, "\r\n", 2);
	assert_int_equal(decode(text, ISO_CHUNK_LINE_MAX + 3, 7, out, &used), ISO_EBAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_lines_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
