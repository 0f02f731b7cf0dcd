/*
 * Hop-by-hop rules: lines "name:value" become fields; afterwards nothing that concerns one connection is
 * left.
 */
#include "fuzz.h"
#include "iso/http/hop.h"

static void fill(struct iso_head *head, struct iso_arena *arena, const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;

	while (at < end && head->fields.n < 50) {
		const char *lf = memchr(at, '\n', (size_t)(end - at)), *stop = lf != NULL ? lf : end;
		const char *colon = memchr(at, ':', (size_t)(stop - at));

		if (colon != NULL && colon > at)
			MUST(iso_fields_add_copy(&head->fields, arena, iso_slice(at, (size_t)(colon - at)),
						 iso_slice(colon + 1, (size_t)(stop - colon - 1))) == ISO_OK);
		at = stop + 1;
	}
}

static void check(const struct iso_fields *fields)
{
	for (uint32_t i = 0; i < fields->n; i++) {
		const struct iso_field *f = &fields->v[i];

		MUST(f->id != ISO_FIELD_CONNECTION && f->id != ISO_FIELD_KEEP_ALIVE &&
		     f->id != ISO_FIELD_UPGRADE);
		MUST(f->id != ISO_FIELD_TRANSFER_ENCODING && f->id != ISO_FIELD_PROXY_CONNECTION);
		MUST(f->id != ISO_FIELD_TE || iso_slice_eq(f->value, ISO_SLICE("trailers")));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iso_hop_facts facts = { .client_ip = ISO_SLICE("192.0.2.7"), .scheme = ISO_SLICE("https") };
	struct iso_head head = { .version = ISO_HTTP_11,
				 .authority = ISO_SLICE("a.test"),
				 .content_length = -1 };
	struct iso_arena arena;
	struct iso_slice id;

	if (size == 0)
		return 0;
	facts.trusted = (data[0] & 1) != 0;
	iso_arena_init(&arena, NULL, 1 << 20);
	fill(&head, &arena, data + 1, size - 1);
	if ((data[0] & 2) != 0) {
		if (iso_hop_response(&head, &arena) == ISO_OK)
			check(&head.fields);
	} else if (iso_hop_request(&head, &arena, &facts, &id) == ISO_OK) {
		check(&head.fields);
		MUST(id.len > 0);
		MUST(facts.trusted || iso_fields_get(&head.fields, ISO_FIELD_FORWARDED) == NULL);
		MUST(iso_fields_remove(&head.fields, ISO_FIELD_X_FORWARDED_FOR) == 1);
		MUST(iso_fields_remove(&head.fields, ISO_FIELD_X_REQUEST_ID) == 1);
	}
	iso_hop_trailers(&head.fields);
	MUST(iso_fields_get(&head.fields, ISO_FIELD_CONTENT_LENGTH) == NULL);
	if (iso_hop_join_cookies(&head.fields, &arena) == ISO_OK)
		MUST(iso_fields_remove(&head.fields, ISO_FIELD_COOKIE) <= 1);
	iso_arena_done(&arena);
	return 0;
}
