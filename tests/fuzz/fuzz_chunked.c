/*
 * The chunked coding against a slow reading of RFC 9112 section 7.1: what ours accepts, the RFC means the
 * same by.
 */
#include "fuzz.h"
#include "iso/http/chunked.h"

/* Sizes and data alone; extensions are anything without a control character. -1: not chunked, or not whole.
 */
static long reference(const uint8_t *in, size_t n, uint8_t *out, size_t *ret_used)
{
	size_t at = 0, len = 0;

	for (;;) {
		uint64_t size = 0;
		size_t digits = 0;

		for (; at < n; at++, digits++) {
			int c = in[at];
			int v = c >= '0' && c <= '9'   ? c - '0'
				: c >= 'a' && c <= 'f' ? c - 'a' + 10
				: c >= 'A' && c <= 'F' ? c - 'A' + 10
						       : -1;

			if (v < 0)
				break;
			if (size >> 59 != 0)
				return -1;
			size = size * 16 + (uint64_t)v;
		}
		if (digits == 0)
			return -1;
		for (; at < n && in[at] != '\r'; at++)
			if (in[at] == '\n' || in[at] == '\0')
				return -1;
		if (at + 1 >= n || in[at + 1] != '\n')
			return -1;
		at += 2;
		if (size == 0)
			break;
		if (size > n - at || n - at - size < 2 || in[at + size] != '\r' || in[at + size + 1] != '\n')
			return -1;
		memcpy(out + len, in + at, (size_t)size);
		len += (size_t)size;
		at += (size_t)size + 2;
	}
	*ret_used = at;
	return (long)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size > 0 ? (size_t)data[0] % 32 + 1 : 1, at = 1, len = 0, expected_used;
	uint8_t *ours = malloc(size + 1), *expected = malloc(size + 1);
	struct iso_chunked c;
	int err = ISO_OK;

	MUST(ours != NULL && expected != NULL);
	iso_chunked_init(&c);
	while (at < size && err == ISO_OK && !c.last) {
		size_t give = step < size - at ? step : size - at, used = 0;
		struct iso_slice got;

		err = iso_chunked_feed(&c, data + at, give, &used, &got);
		if (err != ISO_OK)
			break;
		MUST(used > 0 && used <= give && len + got.len <= size);
		memcpy(ours + len, got.ptr, got.len);
		len += got.len;
		at += used;
	}
	MUST(err == ISO_OK || (err == ISO_EBAD && c.why != NULL));
	if (err == ISO_OK && c.last) {
		long expected_len = reference(data + 1, size - 1, expected, &expected_used);

		MUST(expected_len >= 0 && (size_t)expected_len == len && expected_used == at - 1);
		MUST(memcmp(ours, expected, len) == 0);
	}
	free(ours);
	free(expected);
	return 0;
}
