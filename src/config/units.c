/*
 * Durations and sizes, in integers throughout: 1.1s is 1,100,000 us and nothing near it. Pure.
 */
#include "units_priv.h"

enum {
	DIGITS_MAX = 12
}; /* of either part: 10^12 hours in microseconds would not fit, so this is checked below */

struct unit {
	const char *name;
	uint64_t factor;
};

static size_t digits(struct iso_slice s, size_t at)
{
	size_t n = 0;

	while (at + n < s.len && s.ptr[at + n] >= '0' && s.ptr[at + n] <= '9')
		n++;
	return n;
}

static int parse(struct iso_slice text, const struct unit *units, uint64_t *ret_value)
{
	size_t whole_len = digits(text, 0), at = whole_len, fraction_at = 0, fraction_len = 0;
	uint64_t whole, fraction = 0, scale = 1, factor = 0;

	if (at < text.len && text.ptr[at] == '.') {
		fraction_at = at + 1;
		fraction_len = digits(text, fraction_at);
		at = fraction_at + fraction_len;
		if (fraction_len == 0 || fraction_len > DIGITS_MAX)
			return ISO_EBAD;
	}
	for (; units->name != NULL && factor == 0; units++) {
		if (iso_slice_eq(iso_slice(text.ptr + at, text.len - at), iso_slice_str(units->name)))
			factor = units->factor;
	}
	if (factor == 0 || whole_len == 0 || whole_len > DIGITS_MAX ||
	    iso_slice_u64(iso_slice(text.ptr, whole_len), &whole) != ISO_OK)
		return ISO_EBAD;
	if (fraction_len > 0 &&
	    iso_slice_u64(iso_slice(text.ptr + fraction_at, fraction_len), &fraction) != ISO_OK)
		return ISO_EBAD;
	for (size_t i = 0; i < fraction_len; i++)
		scale *= 10;
	if (whole >= UINT64_MAX / factor - 1)
		return ISO_EBAD;
	/* 128 bits: 10^12 parts of an hour do not fit 64. */
	*ret_value = whole * factor + (uint64_t)((unsigned __int128)fraction * factor / scale);
	return ISO_OK;
}

int iso_unit_duration(struct iso_slice text, uint64_t *ret_us)
{
	static const struct unit units[] = {
		{ "us", 1 },
		{ "ms", 1000 },
		{ "s", 1000000 },
		{ "m", 60000000 },
		{ "h", UINT64_C(3600000000) },
		{ NULL, 0 },
	};

	return parse(text, units, ret_us);
}

int iso_unit_size(struct iso_slice text, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ "B", 1 }, { "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 }, { NULL, 0 },
	};

	return parse(text, units, ret_bytes);
}
