/*
 * The access log's line: exact text for known records, timestamps against gmtime, and a strict JSON and UTF-8
 * reader of the test's own over all that a peer may send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "iso/telemetry/access_log.h"

#define S(literal) ISO_SLICE(literal)

/* ---- A strict reader (RFC 8259): advances *p over one value, fails the test on anything else. ---- */

static void read_value(const char **p, const char *end);

static unsigned read_utf8(const char **p, const char *end)
{
	const unsigned char *s = (const unsigned char *)*p;
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	unsigned code;

	assert_int_not_equal(n, 0);
	assert_true((size_t)(end - *p) >= n);
	code = n == 1 ? s[0] : s[0] & (0xffU >> (n + 1));
	for (unsigned i = 1; i < n; i++) {
		assert_int_equal(s[i] >> 6, 2);
		code = code << 6 | (s[i] & 0x3fU);
	}
	assert_true(n == 1 || code >= least[n]);
	assert_true(code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff));
	*p += n;
	return code;
}

static void read_string(const char **p, const char *end)
{
	assert_true(*p < end && **p == '"');
	for (++*p; *p < end && **p != '"';) {
		unsigned code = read_utf8(p, end);

		assert_true(code >= 0x20 && code != 0x7f && !(code >= 0x80 && code < 0xa0));
		if (code != '\\')
			continue;
		assert_true(*p < end);
		if (**p == 'u') {
			assert_true(end - *p >= 5);
			assert_int_equal(strspn(*p + 1, "0123456789abcdefABCDEF") >= 4, 1);
			*p += 5;
		} else {
			assert_non_null(strchr("\"\\/bfnrt", **p));
			++*p;
		}
	}
	assert_true(*p < end);
	++*p;
}

static void read_number(const char **p, const char *end)
{
	const char *from = *p;

	while (*p < end && **p >= '0' && **p <= '9')
		++*p;
	assert_true(*p > from && (*from != '0' || *p == from + 1));
	if (*p < end && **p == '.') {
		from = ++*p;
		while (*p < end && **p >= '0' && **p <= '9')
			++*p;
		assert_true(*p > from);
	}
}

static void read_members(const char **p, const char *end, char close)
{
	++*p;
	if (*p < end && **p == close) {
		++*p;
		return;
	}
	for (;;) {
		if (close == '}') {
			read_string(p, end);
			assert_true(*p < end && **p == ':');
			++*p;
		}
		read_value(p, end);
		assert_true(*p < end && (**p == ',' || **p == close));
		if (*(*p)++ == close)
			return;
	}
}

static void read_value(const char **p, const char *end)
{
	assert_true(*p < end);
	if (**p == '{')
		read_members(p, end, '}');
	else if (**p == '[')
		read_members(p, end, ']');
	else if (**p == '"')
		read_string(p, end);
	else if (end - *p >= 4 && memcmp(*p, "null", 4) == 0)
		*p += 4;
	else
		read_number(p, end);
}

static void assert_line(const char *line, size_t len)
{
	const char *p = line;

	assert_true(len > 1 && line[0] == '{' && line[len - 1] == '\n');
	read_value(&p, line + len);
	assert_ptr_equal(p, line + len - 1);
}

/* ---- */

static char line[ISO_LOG_LINE_MAX + 1];

static const char *format(const struct iso_log_record *record)
{
	size_t len = iso_log_format(record, line, ISO_LOG_LINE_MAX);

	assert_true(len > 0 && len <= ISO_LOG_LINE_MAX);
	assert_line(line, len);
	line[len] = 0;
	return line;
}

static void test_whole_record(void **state)
{
	const struct iso_log_attempt attempts[] = {
		{ .region = S("eu-west-1"),
		  .endpoint = S("192.0.2.7:443"),
		  .outcome = S("reset"),
		  .executed = ISO_LOG_EXECUTED_MAYBE },
		{ .region = S("us-east-1"),
		  .endpoint = S("[2001:db8::1]:443"),
		  .outcome = S("ok"),
		  .status = 200,
		  .ttfb_us = 45678,
		  .executed = ISO_LOG_EXECUTED_YES,
		  .upstream_request_id = S("Xy1=") },
	};
	const struct iso_slice reasons[] = { S("reset") };
	const struct iso_log_record record = {
		.wall_us = 1700000000123456,
		.duration_us = 60001,
		.bytes = 1234,
		.status = 200,
		.id = S("req-1"),
		.client = S("198.51.100.2"),
		.method = S("GET"),
		.host = S("api.example.com"),
		.path = S("/orders/7?key=secret"),
		.protocol = S("h2"),
		.service = S("orders"),
		.route = S("routes/0"),
		.version = S("v2"),
		.region = S("us-east-1"),
		.attempts = attempts,
		.attempt_count = 2,
		.retry_reasons = reasons,
		.retry_reason_count = 1,
		.budget_told = true,
		.budget_milli = 2400,
	};

	(void)state;
	assert_string_equal(
		format(&record),
		"{\"ts\":\"2023-11-14T22:13:20.123Z\",\"id\":\"req-1\","
		"\"client\":\"198.51.100.2\",\"method\":\"GET\","
		"\"host\":\"api.example.com\",\"path\":\"/orders/7\",\"protocol\":\"h2\","
		"\"status\":200,\"bytes\":1234,"
		"\"duration_ms\":60.001,\"service\":\"orders\",\"route\":\"routes/0\",\"version\":\"v2\","
		"\"region\":\"us-east-1\",\"attempts\":[{\"region\":\"eu-west-1\","
		"\"endpoint\":\"192.0.2.7:443\","
		"\"outcome\":\"reset\",\"executed\":\"maybe\",\"status\":null,\"ttfb_ms\":null,"
		"\"upstream_request_id\":null},{\"region\":\"us-east-1\",\"endpoint\":\"[2001:db8::1]:443\","
		"\"outcome\":\"ok\",\"executed\":\"yes\",\"status\":200,\"ttfb_ms\":45.678,"
		"\"upstream_request_id\":\"Xy1=\"}],\"retry_reasons\":[\"reset\"],"
		"\"retry_budget\":2.400}\n");
}

static void test_empty_record_is_nulls(void **state)
{
	const struct iso_log_record record = { .error = S("no route") };

	(void)state;
	assert_string_equal(
		format(&record),
		"{\"ts\":\"1970-01-01T00:00:00.000Z\",\"id\":null,\"client\":null,\"method\":null,"
		"\"host\":null,\"path\":null,\"protocol\":null,\"status\":null,\"bytes\":0,"
		"\"duration_ms\":0.000,\"service\":null,\"route\":null,\"version\":null,"
		"\"region\":null,\"attempts\":[],\"error\":\"no route\"}\n");
}

static void test_query_only_when_asked(void **state)
{
	struct iso_log_record record = { .path = S("/a?b?c") };

	(void)state;
	assert_non_null(strstr(format(&record), "\"path\":\"/a\","));
	record.log_query = true;
	assert_non_null(strstr(format(&record), "\"path\":\"/a?b?c\","));
	record.log_query = false;
	record.path = S("?only");
	assert_non_null(strstr(format(&record), "\"path\":\"\","));
}

static void test_executed_words(void **state)
{
	struct iso_log_attempt attempt = { .executed = ISO_LOG_EXECUTED_NO };
	const struct iso_log_record record = { .attempts = &attempt, .attempt_count = 1 };

	(void)state;
	assert_non_null(strstr(format(&record), "\"executed\":\"no\""));
	attempt.executed = ISO_LOG_EXECUTED_YES;
	assert_non_null(strstr(format(&record), "\"executed\":\"yes\""));
}

/* The C library's calendar is the judge: every day from 1970 to 2200 and odd microseconds. */
static void test_timestamps(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 84006; day++) {
		uint64_t in_day = day * 7919 % 86400;
		struct iso_log_record record = { .wall_us = (day * 86400 + in_day) * 1000000 + 987654 };
		time_t seconds = (time_t)(day * 86400 + in_day);
		char expected[64], head[96];
		struct tm tm;

		assert_non_null(gmtime_r(&seconds, &tm));
		assert_true(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm) > 0);
		(void)snprintf(head, sizeof(head), "{\"ts\":\"%s.987Z\",", expected);
		assert_true(iso_log_format(&record, line, ISO_LOG_LINE_MAX) > 0);
		assert_memory_equal(line, head, strlen(head));
	}
}

static void check_id(struct iso_slice id, const char *expected)
{
	const struct iso_log_record record = { .id = id };
	char want[512];

	(void)snprintf(want, sizeof(want), "\"id\":\"%s\",\"client\"", expected);
	assert_non_null(strstr(format(&record), want));
}

static void test_escapes(void **state)
{
	(void)state;
	check_id(S("a\"b\\c/d"), "a\\\"b\\\\c/d");
	check_id(S("\0\x01\n\r\t\x1b\x1f"), "\\u0000\\u0001\\u000a\\u000d\\u0009\\u001b\\u001f");
	check_id(S("\x7f\xc2\x80\xc2\x9f\xc2\xa0"), "\\u007f\\u0080\\u009f\xc2\xa0");
	check_id(S("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");
	check_id(S(""), "");
}

#define R "\xef\xbf\xbd"

static void test_what_is_not_utf8(void **state)
{
	(void)state;
	check_id(S("\x80"), R);
	check_id(S("a\xff"
		   "b"),
		 "a" R "b");
	check_id(S("\xc0\xaf"), R R);             /* overlong '/' */
	check_id(S("\xe0\x80\xaf"), R R R);       /* overlong */
	check_id(S("\xed\xa0\x80"), R R R);       /* a surrogate */
	check_id(S("\xf4\x90\x80\x80"), R R R R); /* above U+10FFFF */
	check_id(S("\xf0\x8f\xbf\xbf"), R R R R); /* overlong */
	check_id(S("\xf5\x80\x80\x80"), R R R R);
	check_id(S("\xe2\x82"), R R);          /* cut off */
	check_id(S("\xe2\x82\""), R R "\\\""); /* the quote is not eaten */
	check_id(S("\xf0\x9f\x98"), R R R);
	check_id(S("\xc2"), R);
	check_id(S("\xed\x9f\xbf\xee\x80\x80"), "\xed\x9f\xbf\xee\x80\x80");
}

static void test_long_values_end_in_an_ellipsis(void **state)
{
	char id[300];
	char want[160];

	(void)state;
	memset(id, 'x', sizeof(id));
	memset(want, 'x', sizeof(want));
	want[128] = 0;
	check_id(iso_slice(id, 128), want); /* just fits */
	memcpy(want + 125, "\xe2\x80\xa6", 4);
	check_id(iso_slice(id, 129), want);
	check_id(iso_slice(id, 300), want);
	/* An escape is not cut in two: the first has room, but then the ellipsis has none. */
	memset(id, 'y', 122);
	memcpy(id + 122, "\x01\x01", 2);
	memset(want, 'y', 122);
	memcpy(want + 122, "\xe2\x80\xa6", 4);
	check_id(iso_slice(id, 124), want);
	/* Nor is a character. */
	memset(id, 'z', 124);
	memcpy(id + 124, "\xf0\x9f\x98\x80zzz", 7);
	memset(want, 'z', 124);
	memcpy(want + 124, "\xe2\x80\xa6", 4);
	check_id(iso_slice(id, 131), want);
}

/* Every value as long and as costly as it can be, and more attempts than are shown: the line is whole and
 * fits. */
static void test_largest_record(void **state)
{
	static struct iso_log_attempt attempts[40];
	static struct iso_slice reasons[40];
	static char big[10000];
	const struct iso_slice b = { big, sizeof(big) };
	struct iso_log_record record = {
		.wall_us = UINT64_MAX,
		.duration_us = UINT64_MAX,
		.bytes = UINT64_MAX,
		.status = UINT16_MAX,
		.id = b,
		.client = b,
		.method = b,
		.host = b,
		.path = b,
		.protocol = b,
		.service = b,
		.route = b,
		.version = b,
		.region = b,
		.error = b,
		.attempts = attempts,
		.attempt_count = 40,
		.retry_reasons = reasons,
		.retry_reason_count = 40,
		.log_query = true,
	};

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		attempts[i] = (struct iso_log_attempt){
			b, b, b, b, UINT64_MAX, UINT16_MAX, ISO_LOG_EXECUTED_MAYBE
		};
		reasons[i] = b;
	}
	for (unsigned c = 0; c < 256; c++) {
		memset(big, (int)c, sizeof(big));
		(void)format(&record);
	}
	record.attempt_count = 17;
	assert_non_null(strstr(format(&record), "\"attempts_omitted\":1,"));
	record.attempt_count = 16;
	assert_null(strstr(format(&record), "omitted"));
}

static void test_the_last_attempt_is_always_there(void **state)
{
	static struct iso_log_attempt attempts[20];
	const struct iso_log_record record = { .attempts = attempts, .attempt_count = 20 };
	char names[20][4], want[32];
	const char *text;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "r%02u", i);
		attempts[i].region = iso_slice(names[i], 3);
	}
	text = format(&record);
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(want, sizeof(want), "\"region\":\"r%02u\"", i);
		if (i < 15 || i == 19)
			assert_non_null(strstr(text, want));
		else
			assert_null(strstr(text, want));
	}
	assert_non_null(strstr(text, "\"attempts_omitted\":4}"));
}

/* Any buffer that is too small yields 0 and is not overrun; the exact size does. */
static void test_small_buffers(void **state)
{
	const struct iso_log_attempt attempt = { .region = S("r\"1"), .status = 200 };
	const struct iso_log_record record = {
		.id = S("1"), .path = S("/\xff"), .attempts = &attempt, .attempt_count = 1
	};
	size_t whole = iso_log_format(&record, line, ISO_LOG_LINE_MAX);

	(void)state;
	assert_true(whole > 0);
	for (size_t cap = 0; cap < whole; cap++) {
		char *exact = malloc(cap + 1);

		assert_non_null(exact);
		exact[cap] = 0x55;
		assert_int_equal(iso_log_format(&record, exact, cap), 0);
		assert_int_equal(exact[cap], 0x55);
		free(exact);
	}
	assert_int_equal(iso_log_format(&record, line, whole), whole);
}

/* Random bytes in every text, from a fixed seed. */
static void test_random_bytes_make_valid_lines(void **state)
{
	static const unsigned char spice[] = { 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0x80,
					       0x9f, 0xa0, 0xbf, '"',  '\\', 0 };
	uint64_t x = 88172645463325252;
	char bytes[400];

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct iso_log_record record;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[i] = (char)(x & 0x100 ? spice[x % sizeof(spice)] : x >> 32);
		}
		record = (struct iso_log_record){
			.id = { bytes, x % 300 },
			.host = { bytes + 7, x % 391 },
			.path = { bytes + 3, x % 379 },
			.error = { bytes + 11, x % 383 },
			.log_query = true,
		};
		(void)format(&record);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_record),
		cmocka_unit_test(test_empty_record_is_nulls),
		cmocka_unit_test(test_query_only_when_asked),
		cmocka_unit_test(test_executed_words),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_what_is_not_utf8),
		cmocka_unit_test(test_long_values_end_in_an_ellipsis),
		cmocka_unit_test(test_largest_record),
		cmocka_unit_test(test_the_last_attempt_is_always_there),
		cmocka_unit_test(test_small_buffers),
		cmocka_unit_test(test_random_bytes_make_valid_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
