/*
 * The line of the access log. Pure: a record in, bytes out, no heap, no clock, no locale.
 *
 * A value may take a fixed number of bytes of the line, escapes included; longer ones are cut between
 * characters. As every value, every array and every number has its maximum, no record can make a line longer
 * than ISO_LOG_LINE_MAX (asserted below at compile time), and a line is never cut itself.
 */
#include "iso/telemetry/access_log.h"

#include <assert.h>

enum {
	/* Bytes between the quotes. */
	MAX_ID = 128,
	MAX_CLIENT = 64,
	MAX_METHOD = 32,
	MAX_HOST = 256,
	MAX_PATH = 2048,
	MAX_PROTOCOL = 16,
	MAX_NAME = 128, /* of a service, route, version or region: more than the configuration allows */
	MAX_WORD = 32,  /* an outcome or a retry reason */
	MAX_ENDPOINT = 64,
	MAX_ERROR = 256,
	MAX_UPSTREAM_ID = 128,
	/* Keys, punctuation and numbers: generous bounds. */
	FIXED_ATTEMPT = 192,
	FIXED_RECORD = 512,
	MAX_ATTEMPT = MAX_NAME + MAX_ENDPOINT + MAX_WORD + MAX_UPSTREAM_ID + FIXED_ATTEMPT,
	MAX_LINE = MAX_ID + MAX_CLIENT + MAX_METHOD + MAX_HOST + MAX_PATH + MAX_PROTOCOL + 4 * MAX_NAME +
		   2 * MAX_ERROR + ISO_LOG_ATTEMPTS_MAX * MAX_ATTEMPT + ISO_LOG_REASONS_MAX * (MAX_WORD + 4) +
		   ISO_LOG_DECISIONS_MAX * (ISO_LOG_DECISION_MAX + 1) + FIXED_RECORD,
};

_Static_assert((int)MAX_LINE <= (int)ISO_LOG_LINE_MAX, "a line of the largest values must fit");

/* Once `full`, nothing is added any more and the line is void. */
struct pen {
	char *at;
	const char *end;
	bool full;
};

static void put(struct pen *pen, const char *bytes, size_t len)
{
	if ((size_t)(pen->end - pen->at) < len)
		pen->full = true;
	if (pen->full)
		return;
	memcpy(pen->at, bytes, len);
	pen->at += len;
}

#define PUT(pen, literal) put(pen, "" literal, sizeof(literal) - 1)

static void put_u64(struct pen *pen, uint64_t value)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	put(pen, digits + i, sizeof(digits) - i);
}

/* The last `width` decimal digits of value, with leading zeros. */
static void put_padded(struct pen *pen, uint64_t value, size_t width)
{
	char digits[8];

	assert(width <= sizeof(digits));
	for (size_t i = width; i-- > 0; value /= 10)
		digits[i] = (char)('0' + value % 10);
	put(pen, digits, width);
}

/* Microseconds as milliseconds with three decimals. */
static void put_ms(struct pen *pen, uint64_t us)
{
	put_u64(pen, us / 1000);
	PUT(pen, ".");
	put_padded(pen, us % 1000, 3);
}

/*
 * RFC 3339 in UTC. Days to a date in the proleptic Gregorian calendar: years are counted from March, so that
 * the leap day is the last of its year, in eras of 400 years (146,097 days).
 */
static void put_time(struct pen *pen, uint64_t wall_us)
{
	uint64_t ms = wall_us / 1000, days = ms / 86400000, in_day = ms % 86400000;
	uint64_t shifted = days + 719468; /* since 0000-03-01 */
	uint64_t era = shifted / 146097, day_of_era = shifted % 146097;
	uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) /
			       365;
	uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint64_t month_from_march = (5 * day_of_year + 2) / 153;
	uint64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
	uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	uint64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);

	put_padded(pen, year, 4);
	PUT(pen, "-");
	put_padded(pen, month, 2);
	PUT(pen, "-");
	put_padded(pen, day, 2);
	PUT(pen, "T");
	put_padded(pen, in_day / 3600000, 2);
	PUT(pen, ":");
	put_padded(pen, in_day / 60000 % 60, 2);
	PUT(pen, ":");
	put_padded(pen, in_day / 1000 % 60, 2);
	PUT(pen, ".");
	put_padded(pen, in_day % 1000, 3);
	PUT(pen, "Z");
}

/*
 * Length of the well-formed UTF-8 sequence at the front of s, 0 when there is none: overlong forms,
 * surrogates and numbers above U+10FFFF are not (Unicode 15, table 3-7).
 */
static size_t utf8_len(const unsigned char *s, size_t len)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t need;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		need = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		need = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (len < need || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return need;
}

/* The form of one character in a JSON string (RFC 8259 section 7). Returns its length; *used: bytes of s. */
static size_t escape(const unsigned char *s, size_t len, char form[8], size_t *used)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = utf8_len(s, len);

	*used = n != 0 ? n : 1;
	if (n == 0) {
		memcpy(form, "\xef\xbf\xbd", 3); /* U+FFFD */
		return 3;
	}
	if (n == 1 && (s[0] == '"' || s[0] == '\\')) {
		form[0] = '\\';
		form[1] = (char)s[0];
		return 2;
	}
	/* C0, DEL and C1: a terminal that shows the log must not be steered by what a client sent. */
	if (s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0)) {
		unsigned char c = n == 1 ? s[0] : s[1];

		memcpy(form, "\\u00", 4);
		form[4] = hex[c >> 4];
		form[5] = hex[c & 15];
		return 6;
	}
	memcpy(form, s, n);
	return n;
}

/* A JSON string of at most `max` bytes between the quotes, or null. */
static void put_text(struct pen *pen, struct iso_slice text, size_t max)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	const unsigned char *s = (const unsigned char *)text.ptr;
	size_t left = text.len, room = max;
	char *cut; /* the last place with room for an ellipsis behind it */

	if (s == NULL) {
		PUT(pen, "null");
		return;
	}
	PUT(pen, "\"");
	cut = pen->at;
	while (left > 0 && !pen->full) {
		char form[8];
		size_t used, n = escape(s, left, form, &used);

		if (n > room) {
			pen->at = cut;
			put(pen, ellipsis, sizeof(ellipsis) - 1);
			break;
		}
		put(pen, form, n);
		room -= n;
		s += used;
		left -= used;
		if (room >= sizeof(ellipsis) - 1)
			cut = pen->at;
	}
	PUT(pen, "\"");
}

static void put_status(struct pen *pen, uint16_t status)
{
	if (status == 0)
		PUT(pen, "null");
	else
		put_u64(pen, status);
}

static void put_executed(struct pen *pen, enum iso_log_executed executed)
{
	if (executed == ISO_LOG_EXECUTED_NO)
		PUT(pen, "\"no\"");
	else if (executed == ISO_LOG_EXECUTED_YES)
		PUT(pen, "\"yes\"");
	else
		PUT(pen, "\"maybe\"");
}

static void put_attempt(struct pen *pen, const struct iso_log_attempt *attempt)
{
	PUT(pen, "{\"region\":");
	put_text(pen, attempt->region, MAX_NAME);
	PUT(pen, ",\"endpoint\":");
	put_text(pen, attempt->endpoint, MAX_ENDPOINT);
	PUT(pen, ",\"outcome\":");
	put_text(pen, attempt->outcome, MAX_WORD);
	PUT(pen, ",\"executed\":");
	put_executed(pen, attempt->executed);
	PUT(pen, ",\"status\":");
	put_status(pen, attempt->status);
	PUT(pen, ",\"ttfb_ms\":");
	if (attempt->status == 0)
		PUT(pen, "null");
	else
		put_ms(pen, attempt->ttfb_us);
	PUT(pen, ",\"upstream_request_id\":");
	put_text(pen, attempt->upstream_request_id, MAX_UPSTREAM_ID);
	PUT(pen, "}");
}

static void put_attempts(struct pen *pen, const struct iso_log_record *r)
{
	uint32_t shown = r->attempt_count < ISO_LOG_ATTEMPTS_MAX ? r->attempt_count : ISO_LOG_ATTEMPTS_MAX;

	PUT(pen, ",\"attempts\":[");
	for (uint32_t i = 0; i < shown; i++) {
		/* Of too many the last one stays: its answer is what the client got. */
		uint32_t index = i + 1 < shown ? i : r->attempt_count - 1;

		if (i > 0)
			PUT(pen, ",");
		put_attempt(pen, &r->attempts[index]);
	}
	PUT(pen, "]");
	if (shown < r->attempt_count) {
		PUT(pen, ",\"attempts_omitted\":");
		put_u64(pen, r->attempt_count - shown);
	}
}

static void put_retry_reasons(struct pen *pen, const struct iso_log_record *r)
{
	if (r->retry_reason_count == 0)
		return;
	PUT(pen, ",\"retry_reasons\":[");
	for (uint32_t i = 0; i < r->retry_reason_count && i < ISO_LOG_REASONS_MAX; i++) {
		if (i > 0)
			PUT(pen, ",");
		put_text(pen, r->retry_reasons[i], MAX_WORD);
	}
	PUT(pen, "]");
}

static struct iso_slice logged_path(const struct iso_log_record *r)
{
	struct iso_slice path = r->path;
	const char *query = NULL;

	if (!r->log_query && path.len > 0)
		query = memchr(path.ptr, '?', path.len);
	if (query != NULL)
		path.len = (size_t)(query - path.ptr);
	return path;
}

static bool has_decision(const struct iso_log_record *r, uint32_t i)
{
	return r->decisions[i].len > 0 && r->decisions[i].len <= ISO_LOG_DECISION_MAX;
}

/* The last one is the one that most people look for; those of the tries before it come beside it. */
static void put_decisions(struct pen *pen, const struct iso_log_record *r)
{
	uint32_t last = r->decision_count, earlier = 0;

	while (last > 0 && !has_decision(r, last - 1))
		last--;
	if (last == 0)
		return;
	PUT(pen, ",\"decision\":");
	put(pen, r->decisions[last - 1].ptr, r->decisions[last - 1].len);
	for (uint32_t i = 0; i + 1 < last; i++) {
		if (!has_decision(r, i))
			continue;
		if (earlier++ == 0)
			PUT(pen, ",\"earlier_decisions\":[");
		else
			PUT(pen, ",");
		put(pen, r->decisions[i].ptr, r->decisions[i].len);
	}
	if (earlier > 0)
		PUT(pen, "]");
}

size_t iso_log_format(const struct iso_log_record *r, char *ret_line, size_t cap)
{
	struct pen pen = { .at = ret_line, .end = ret_line + cap };

	PUT(&pen, "{\"ts\":\"");
	put_time(&pen, r->wall_us);
	PUT(&pen, "\",\"id\":");
	put_text(&pen, r->id, MAX_ID);
	PUT(&pen, ",\"client\":");
	put_text(&pen, r->client, MAX_CLIENT);
	PUT(&pen, ",\"method\":");
	put_text(&pen, r->method, MAX_METHOD);
	PUT(&pen, ",\"host\":");
	put_text(&pen, r->host, MAX_HOST);
	PUT(&pen, ",\"path\":");
	put_text(&pen, logged_path(r), MAX_PATH);
	PUT(&pen, ",\"protocol\":");
	put_text(&pen, r->protocol, MAX_PROTOCOL);
	PUT(&pen, ",\"status\":");
	put_status(&pen, r->status);
	PUT(&pen, ",\"bytes\":");
	put_u64(&pen, r->bytes);
	PUT(&pen, ",\"duration_ms\":");
	put_ms(&pen, r->duration_us);
	PUT(&pen, ",\"service\":");
	put_text(&pen, r->service, MAX_NAME);
	PUT(&pen, ",\"route\":");
	put_text(&pen, r->route, MAX_NAME);
	PUT(&pen, ",\"version\":");
	put_text(&pen, r->version, MAX_NAME);
	PUT(&pen, ",\"region\":");
	put_text(&pen, r->region, MAX_NAME);
	put_attempts(&pen, r);
	put_retry_reasons(&pen, r);
	if (r->not_retried.len > 0) {
		PUT(&pen, ",\"not_retried\":");
		put_text(&pen, r->not_retried, MAX_ERROR);
	}
	if (r->budget_told) {
		PUT(&pen, ",\"retry_budget\":");
		put_ms(&pen, r->budget_milli); /* three decimals, too */
	}
	put_decisions(&pen, r);
	if (r->error.ptr != NULL) {
		PUT(&pen, ",\"error\":");
		put_text(&pen, r->error, MAX_ERROR);
	}
	PUT(&pen, "}\n");
	return pen.full ? 0 : (size_t)(pen.at - ret_line);
}
