/*
 * Between our heads and nghttp2's name/value arrays. Pure.
 */
#include "iso/http/h2_nv.h"

static void put(nghttp2_nv *nv, struct iso_slice name, struct iso_slice value, uint8_t flags)
{
	/* nghttp2 takes non-const pointers and does not write through them. */
	nv->name = (uint8_t *)(uintptr_t)name.ptr;
	nv->namelen = name.len;
	nv->value = (uint8_t *)(uintptr_t)value.ptr;
	nv->valuelen = value.len;
	nv->flags = flags;
}

/*
 * What changes with each message would only push what repeats (authorization, user-agent, keys) out of the
 * dynamic table, at the cost of an insertion each.
 */
static bool changes_always(const struct iso_field *f)
{
	switch (f->id) {
	case ISO_FIELD_X_REQUEST_ID:
	case ISO_FIELD_X_AMZN_REQUESTID:
	case ISO_FIELD_TRACEPARENT:
	case ISO_FIELD_CONTENT_LENGTH:
	case ISO_FIELD_IDEMPOTENCY_KEY:
		return true;
	default:
		return (f->flags & ISO_FIELD_F_NO_INDEX) != 0;
	}
}

static int put_fields(const struct iso_fields *fields, nghttp2_nv *nv, size_t at, size_t *ret_n)
{
	if (at + fields->n > ISO_H2_NV_MAX)
		return ISO_ELIMIT;
	for (uint32_t i = 0; i < fields->n; i++) {
		const struct iso_field *f = &fields->v[i];
		bool hide = (f->flags & ISO_FIELD_F_NEVER_INDEX) != 0 || changes_always(f);

		put(&nv[at++], f->name, f->value, hide ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
	}
	*ret_n = at;
	return ISO_OK;
}

int iso_h2_nv_request(const struct iso_head *head, nghttp2_nv *nv, size_t *ret_n)
{
	bool tunnel = head->protocol.len > 0; /* RFC 8441 section 4 */

	put(&nv[0], ISO_SLICE(":method"), tunnel ? ISO_SLICE("CONNECT") : head->method, NGHTTP2_NV_FLAG_NONE);
	put(&nv[1], ISO_SLICE(":scheme"), head->scheme, NGHTTP2_NV_FLAG_NONE);
	put(&nv[2], ISO_SLICE(":authority"), head->authority, NGHTTP2_NV_FLAG_NONE);
	put(&nv[3], ISO_SLICE(":path"), head->path, NGHTTP2_NV_FLAG_NO_INDEX);
	if (tunnel)
		put(&nv[4], ISO_SLICE(":protocol"), head->protocol, NGHTTP2_NV_FLAG_NONE);
	return put_fields(&head->fields, nv, tunnel ? 5 : 4, ret_n);
}

int iso_h2_nv_response(const struct iso_head *head, char status_text[4], nghttp2_nv *nv, size_t *ret_n)
{
	status_text[0] = (char)('0' + head->status / 100 % 10);
	status_text[1] = (char)('0' + head->status / 10 % 10);
	status_text[2] = (char)('0' + head->status % 10);
	status_text[3] = '\0';
	put(&nv[0], ISO_SLICE(":status"), iso_slice(status_text, 3), NGHTTP2_NV_FLAG_NONE);
	return put_fields(&head->fields, nv, 1, ret_n);
}

int iso_h2_nv_fields(const struct iso_fields *fields, nghttp2_nv *nv, size_t *ret_n)
{
	return put_fields(fields, nv, 0, ret_n);
}

void iso_h2_head_init(struct iso_head *head)
{
	*head = (struct iso_head){ .version = ISO_HTTP_2, .content_length = -1 };
}

static int take_pseudo(struct iso_head *head, struct iso_slice name, struct iso_slice value)
{
	uint64_t status;

	if (iso_slice_eq(name, ISO_SLICE(":status"))) {
		if (value.len != 3 || iso_slice_u64(value, &status) != ISO_OK || status < 100)
			return ISO_EBAD;
		head->status = (uint16_t)status;
	} else if (iso_slice_eq(name, ISO_SLICE(":method"))) {
		head->method = value;
		head->method_id = iso_method_id(value);
	} else if (iso_slice_eq(name, ISO_SLICE(":path"))) {
		head->path = value;
	} else if (iso_slice_eq(name, ISO_SLICE(":scheme"))) {
		head->scheme = value;
	} else if (iso_slice_eq(name, ISO_SLICE(":authority"))) {
		head->authority = value;
	} else if (iso_slice_eq(name, ISO_SLICE(":protocol"))) {
		head->protocol = value;
	}
	return ISO_OK;
}

int iso_h2_take_header(struct iso_head *head, struct iso_arena *arena, struct iso_slice name,
		       struct iso_slice value, uint8_t nv_flags)
{
	enum iso_field_id id = ISO_FIELD_OTHER;
	int err;

	value = iso_arena_dup(arena, value);
	if (value.ptr == NULL)
		return ISO_ENOMEM;
	if (name.len > 0 && name.ptr[0] == ':')
		return take_pseudo(head, name, value);
	id = iso_field_id(name);
	if (id == ISO_FIELD_HOST) {
		/* RFC 9113 section 8.3.1: host and :authority must not disagree. */
		if (head->authority.len > 0 && !iso_slice_eq_nocase(head->authority, value))
			return ISO_EBAD;
		head->authority = value;
		return ISO_OK;
	}
	if (id == ISO_FIELD_OTHER && iso_field_is_framing_twin(name))
		return ISO_EBAD; /* as over HTTP/1.1, where it may go on */
	if (id == ISO_FIELD_CONTENT_LENGTH) {
		uint64_t length;

		if (iso_slice_u64(value, &length) != ISO_OK || length > INT64_MAX)
			return ISO_EBAD;
		head->content_length = (int64_t)length;
	}
	name = id != ISO_FIELD_OTHER ? iso_field_name(id) : iso_arena_dup(arena, name);
	if (name.ptr == NULL)
		return ISO_ENOMEM;
	err = iso_fields_add(&head->fields, arena, name, value);
	if (err == ISO_OK && (nv_flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0)
		head->fields.v[head->fields.n - 1].flags |= ISO_FIELD_F_NEVER_INDEX;
	return err;
}
