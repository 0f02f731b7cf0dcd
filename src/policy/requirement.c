/*
 * See requirement.h.
 */
#include "iso/policy/requirement.h"

#include <string.h>

/* The next segment of a path, without slashes; false at its end. */
static bool next_segment(struct iso_slice *path, struct iso_slice *ret_segment)
{
	size_t n;

	while (path->len > 0 && path->ptr[0] == '/')
		*path = iso_slice(path->ptr + 1, path->len - 1);
	if (path->len == 0)
		return false;
	n = iso_slice_find(*path, '/');
	*ret_segment = iso_slice(path->ptr, n);
	*path = iso_slice(path->ptr + n, path->len - n);
	return true;
}

static bool matches(struct iso_slice pattern, struct iso_slice path)
{
	struct iso_slice want, have;

	for (;;) {
		bool more = next_segment(&pattern, &want);

		if (more && pattern.len == 0 && iso_slice_eq(want, ISO_SLICE("*")))
			return true;
		if (next_segment(&path, &have) != more)
			return false;
		if (!more)
			return true;
		if (want.ptr[0] == '{' && want.ptr[want.len - 1] == '}')
			continue;
		if (!iso_slice_eq(want, have))
			return false;
	}
}

enum iso_dependency_state iso_affected_state(const struct iso_affected *affected, struct iso_slice path)
{
	enum iso_dependency_state worst = ISO_DEPENDENCY_PASS;

	path.len = iso_slice_find(path, '?');
	for (uint32_t i = 0; i < affected->n; i++)
		if (affected->v[i].state > worst && matches(iso_slice_str(affected->v[i].path), path))
			worst = affected->v[i].state;
	return worst;
}

uint16_t iso_requirement_lacking(const uint64_t broken[], uint32_t n, uint16_t among, uint64_t requires)
{
	uint64_t shared = requires;
	uint16_t lacking = 0;

	for (uint32_t i = 0; i < n; i++)
		if ((among >> i & 1) != 0)
			shared &= broken[i];
	for (uint32_t i = 0; i < n; i++)
		if ((broken[i] & requires & ~shared) != 0)
			lacking = (uint16_t)(lacking | 1u << i);
	return (among & ~(uint32_t)lacking) != 0 ? lacking : 0;
}
