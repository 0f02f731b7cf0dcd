/*
 * Field lists. Pure; memory is the message's arena.
 */
#include "iso/http/field.h"

#include "iso/base/err.h"

enum { FIRST_CAP = 16 };

static const struct iso_slice names[ISO_FIELD_COUNT] = { [ISO_FIELD_OTHER] = { "", 0 },
#define X(id, name) [ISO_FIELD_##id] = { name, sizeof(name) - 1 },
							 ISO_FIELD_TABLE(X)
#undef X
};

struct iso_slice iso_field_name(enum iso_field_id id)
{
	return names[(unsigned int)id < ISO_FIELD_COUNT ? id : ISO_FIELD_OTHER];
}

#define IS(id) (memcmp(name.ptr, names[ISO_FIELD_##id].ptr, name.len) == 0 ? ISO_FIELD_##id : ISO_FIELD_OTHER)
#define IS2(a, b) (IS(a) != ISO_FIELD_OTHER ? ISO_FIELD_##a : IS(b))
#define IS3(a, b, c) (IS(a) != ISO_FIELD_OTHER ? ISO_FIELD_##a : IS2(b, c))

/* By length first: most names are told apart by it, and one comparison settles the rest. */
enum iso_field_id iso_field_id(struct iso_slice name)
{
	switch (name.len) {
	case 2:
		return IS(TE);
	case 3:
		return IS(VIA);
	case 4:
		return IS2(HOST, DATE);
	case 6:
		return IS3(COOKIE, EXPECT, SERVER);
	case 7:
		return IS2(TRAILER, UPGRADE);
	case 8:
		return IS3(LOCATION, CDN_LOOP, PRIORITY);
	case 9:
		return IS(FORWARDED);
	case 10:
		return IS3(CONNECTION, KEEP_ALIVE, SET_COOKIE);
	case 11:
		return IS2(RETRY_AFTER, TRACEPARENT);
	case 12:
		return IS3(CONTENT_TYPE, X_REQUEST_ID, PROXY_STATUS);
	case 13:
		return IS(AUTHORIZATION);
	case 14:
		return IS2(CONTENT_LENGTH, HTTP2_SETTINGS);
	case 15:
		return IS2(X_FORWARDED_FOR, IDEMPOTENCY_KEY);
	case 16:
		return IS3(PROXY_CONNECTION, X_FORWARDED_HOST, X_AMZN_REQUESTID) != ISO_FIELD_OTHER
			       ? IS3(PROXY_CONNECTION, X_FORWARDED_HOST, X_AMZN_REQUESTID)
			       : IS(X_AMZN_ERRORTYPE);
	case 17:
		return IS2(TRANSFER_ENCODING, X_FORWARDED_PROTO);
	case 18:
		return IS(PROXY_AUTHENTICATE);
	case 19:
		return IS(PROXY_AUTHORIZATION);
	default:
		return ISO_FIELD_OTHER;
	}
}

bool iso_field_is_framing_twin(struct iso_slice name)
{
	return iso_slice_eq(name, ISO_SLICE("content_length")) ||
	       iso_slice_eq(name, ISO_SLICE("transfer_encoding"));
}

static int reserve(struct iso_fields *fields, struct iso_arena *arena)
{
	uint32_t cap = fields->cap == 0 ? FIRST_CAP : fields->cap * 2;
	struct iso_field *v;

	if (fields->n < fields->cap)
		return ISO_OK;
	v = iso_arena_alloc(arena, cap * sizeof(*v));
	if (v == NULL)
		return ISO_ENOMEM;
	if (fields->n > 0)
		memcpy(v, fields->v, fields->n * sizeof(*v));
	fields->v = v;
	fields->cap = cap;
	return ISO_OK;
}

int iso_fields_add(struct iso_fields *fields, struct iso_arena *arena, struct iso_slice lower_name,
		   struct iso_slice value)
{
	int err = reserve(fields, arena);

	if (err != ISO_OK)
		return err;
	fields->v[fields->n++] = (struct iso_field){ .name = lower_name,
						     .value = value,
						     .id = (uint16_t)iso_field_id(lower_name) };
	return ISO_OK;
}

int iso_fields_add_copy(struct iso_fields *fields, struct iso_arena *arena, struct iso_slice name,
			struct iso_slice value)
{
	char *lower = iso_arena_alloc(arena, name.len + 1);

	value = iso_arena_dup(arena, value);
	if (lower == NULL || value.ptr == NULL)
		return ISO_ENOMEM;
	for (size_t i = 0; i < name.len; i++)
		lower[i] = iso_ascii_lower(name.ptr[i]);
	lower[name.len] = '\0';
	return iso_fields_add(fields, arena, iso_slice(lower, name.len), value);
}

struct iso_field *iso_fields_get(const struct iso_fields *fields, enum iso_field_id id)
{
	for (uint32_t i = 0; i < fields->n; i++)
		if (fields->v[i].id == id)
			return &fields->v[i];
	return NULL;
}

struct iso_field *iso_fields_find(const struct iso_fields *fields, struct iso_slice lower_name)
{
	for (uint32_t i = 0; i < fields->n; i++)
		if (iso_slice_eq(fields->v[i].name, lower_name))
			return &fields->v[i];
	return NULL;
}

uint32_t iso_fields_remove(struct iso_fields *fields, enum iso_field_id id)
{
	uint32_t kept = 0, n = fields->n;

	for (uint32_t i = 0; i < n; i++)
		if (fields->v[i].id != id)
			fields->v[kept++] = fields->v[i];
	fields->n = kept;
	return n - kept;
}

uint32_t iso_fields_remove_name(struct iso_fields *fields, struct iso_slice lower_name)
{
	uint32_t kept = 0, n = fields->n;

	for (uint32_t i = 0; i < n; i++)
		if (!iso_slice_eq(fields->v[i].name, lower_name))
			fields->v[kept++] = fields->v[i];
	fields->n = kept;
	return n - kept;
}
