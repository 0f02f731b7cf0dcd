/*
 * A borrowed range of bytes, never NUL-terminated by promise. Values; pass them by value.
 */
#ifndef ISO_BASE_SLICE_H
#define ISO_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct iso_slice {
	const char *ptr;
	size_t len;
};

#define ISO_SLICE(literal) ((struct iso_slice){ "" literal, sizeof(literal) - 1 })
#define ISO_SLICE_FMT(s) (int)(s).len, (s).ptr /* for "%.*s" */

static inline struct iso_slice iso_slice(const void *ptr, size_t len)
{
	return (struct iso_slice){ ptr, len };
}

static inline struct iso_slice iso_slice_str(const char *str)
{
	return (struct iso_slice){ str, str != NULL ? strlen(str) : 0 };
}

static inline bool iso_slice_eq(struct iso_slice a, struct iso_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool iso_slice_starts(struct iso_slice s, struct iso_slice prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool iso_slice_contains(struct iso_slice s, struct iso_slice part)
{
	return part.len == 0 || (s.len > 0 && memmem(s.ptr, s.len, part.ptr, part.len) != NULL);
}

/* ASCII only, independent of the locale. */
static inline char iso_ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool iso_slice_eq_nocase(struct iso_slice a, struct iso_slice b);
/* Without leading and trailing SP and HTAB (RFC 9110 section 5.6.3, OWS). */
struct iso_slice iso_slice_trim(struct iso_slice s);
/* Index of the first `c`, or s.len. */
size_t iso_slice_find(struct iso_slice s, char c);
/*
 * Cuts the part before `sep` off the front of *rest and returns it trimmed; *rest is what follows the
 * separator. Returns false when *rest is exhausted (ptr NULL). Walks comma lists: empty elements are returned
 * as empty.
 */
bool iso_slice_next(struct iso_slice *rest, char sep, struct iso_slice *ret_part);
/* Decimal digits only, no sign, no blanks, no overflow: ISO_OK or ISO_EBAD. */
int iso_slice_u64(struct iso_slice s, uint64_t *ret_value) __attribute__((warn_unused_result));

#endif
