/*
 * See date.h. Pure.
 */
#include "iso/http/date.h"

#include <stddef.h>

struct date {
	uint32_t year, month, day, hour, minute, second; /* month: 0 to 11 */
};

static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
static const char *const long_days[] = { "Monday", "Tuesday",  "Wednesday", "Thursday",
					 "Friday", "Saturday", "Sunday" };
static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static bool take(struct iso_slice *text, const char *what)
{
	struct iso_slice want = iso_slice_str(what);

	if (!iso_slice_starts(*text, want))
		return false;
	*text = iso_slice(text->ptr + want.len, text->len - want.len);
	return true;
}

static bool take_name(struct iso_slice *text, const char *const names[], uint32_t n, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!take(text, names[i]))
			continue;
		*ret_index = i;
		return true;
	}
	return false;
}

/* Exactly so many digits; with blank the first may be a blank instead. */
static bool take_number(struct iso_slice *text, size_t digits, bool blank, uint32_t *ret_n)
{
	uint32_t n = 0;

	if (text->len < digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		char c = text->ptr[i];

		if (blank && i == 0 && c == ' ')
			c = '0';
		if (c < '0' || c > '9')
			return false;
		n = n * 10 + (uint32_t)(c - '0');
	}
	*text = iso_slice(text->ptr + digits, text->len - digits);
	*ret_n = n;
	return true;
}

static bool take_time(struct iso_slice *text, struct date *d)
{
	return take_number(text, 2, false, &d->hour) && take(text, ":") &&
	       take_number(text, 2, false, &d->minute) && take(text, ":") &&
	       take_number(text, 2, false, &d->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool imf_fixdate(struct iso_slice text, struct date *d)
{
	uint32_t day;

	return take_name(&text, days, 7, &day) && take(&text, ", ") &&
	       take_number(&text, 2, false, &d->day) && take(&text, " ") &&
	       take_name(&text, months, 12, &d->month) && take(&text, " ") &&
	       take_number(&text, 4, false, &d->year) && take(&text, " ") && take_time(&text, d) &&
	       take(&text, " GMT") && text.len == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static bool rfc850_date(struct iso_slice text, uint32_t this_year, struct date *d)
{
	uint32_t day;

	if (!take_name(&text, long_days, 7, &day) || !take(&text, ", ") ||
	    !take_number(&text, 2, false, &d->day) || !take(&text, "-") ||
	    !take_name(&text, months, 12, &d->month) || !take(&text, "-") ||
	    !take_number(&text, 2, false, &d->year) || !take(&text, " ") || !take_time(&text, d) ||
	    !take(&text, " GMT") || text.len != 0)
		return false;
	d->year += this_year / 100 * 100;
	if (d->year > this_year + 50)
		d->year -= 100;
	return true;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool asctime_date(struct iso_slice text, struct date *d)
{
	uint32_t day;

	return take_name(&text, days, 7, &day) && take(&text, " ") &&
	       take_name(&text, months, 12, &d->month) && take(&text, " ") &&
	       take_number(&text, 2, true, &d->day) && take(&text, " ") && take_time(&text, d) &&
	       take(&text, " ") && take_number(&text, 4, false, &d->year) && text.len == 0;
}

static bool is_leap(uint32_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint32_t days_of(uint32_t month, uint32_t year)
{
	static const uint8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return lengths[month] + (month == 1 && is_leap(year) ? 1u : 0u);
}

/* Leap days of all years before this one. */
static uint64_t leap_days(uint64_t year)
{
	year--;
	return year / 4 - year / 100 + year / 400;
}

static uint32_t year_of(uint64_t now_s)
{
	uint32_t year = 1970;
	uint64_t day = now_s / 86400;

	for (uint32_t length; day >= (length = is_leap(year) ? 366 : 365); year++)
		day -= length;
	return year;
}

bool iso_http_date_parse(struct iso_slice text, uint64_t now_s, uint64_t *ret_s)
{
	struct date d = { 0 };
	uint64_t day;

	if (!imf_fixdate(text, &d) && !rfc850_date(text, year_of(now_s), &d) && !asctime_date(text, &d))
		return false;
	/* 60: a leap second. */
	if (d.year < 1970 || d.day < 1 || d.day > days_of(d.month, d.year) || d.hour > 23 || d.minute > 59 ||
	    d.second > 60)
		return false;
	day = (d.year - 1970) * 365ull + leap_days(d.year) - leap_days(1970) + d.day - 1;
	for (uint32_t month = 0; month < d.month; month++)
		day += days_of(month, d.year);
	*ret_s = ((day * 24 + d.hour) * 60 + d.minute) * 60 + d.second;
	return true;
}
