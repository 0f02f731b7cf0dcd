/*
 * Targets, authorities and URLs: the normal form is one, and holds what it promises.
 */
#include "fuzz.h"
#include "iso/http/uri.h"

static void check_normal(struct iso_arena *arena, struct iso_slice target)
{
	struct iso_slice once, twice, path;

	if (iso_uri_normalise(arena, target, &once) != ISO_OK)
		return;
	MUST(iso_uri_normalise(arena, once, &twice) == ISO_OK);
	MUST(iso_slice_eq(once, twice));
	path = iso_uri_path(once);
	for (size_t i = 0; i + 2 < path.len; i++)
		MUST(memcmp(path.ptr + i, "%00", 3) != 0 && memcmp(path.ptr + i, "/./", 3) != 0);
	for (size_t i = 0; i + 3 < path.len; i++)
		MUST(memcmp(path.ptr + i, "/../", 4) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size > 0 ? size : 1); /* without a NUL: reading on is a finding */
	struct iso_slice text, half, hosts[2];
	struct iso_arena arena;
	struct iso_url url;
	const char *why = NULL;

	MUST(exact != NULL);
	memcpy(exact, data, size);
	text = iso_slice(exact, size);
	half = iso_slice(exact, size / 2);
	iso_arena_init(&arena, NULL, 1 << 20);
	check_normal(&arena, text);
	(void)iso_uri_target_ok(text);
	if (iso_uri_authority_ok(text))
		MUST(iso_uri_host(text).len > 0);
	if (iso_url_parse(text, &url, &why) == ISO_OK)
		MUST(url.host.len > 0 && url.port > 0);
	else
		MUST(why != NULL);
	hosts[0] = half;
	hosts[1] = ISO_SLICE("a.test");
	MUST(iso_uri_relocate(&arena, text, hosts, half, ISO_SLICE("https://b.test")).ptr != NULL ||
	     size == 0);
	(void)iso_uri_recookie(&arena, text, half);
	iso_arena_done(&arena);
	free(exact);
	return 0;
}
