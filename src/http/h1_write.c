/*
 * See h1_write.h.
 */
#include "iso/http/h1_write.h"

#include <stdio.h>

struct out {
	char *at, *end;
	int err;
};

static void put(struct out *o, struct iso_slice s)
{
	if (o->err != ISO_OK)
		return;
	if (s.len > (size_t)(o->end - o->at)) {
		o->err = ISO_ELIMIT;
		return;
	}
	if (s.len > 0)
		memcpy(o->at, s.ptr, s.len);
	o->at += s.len;
}

/* A text of the peer's: line ends in it would split the message. */
static void put_text(struct out *o, struct iso_slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0')
			o->err = ISO_EBAD;
	put(o, s);
}

static void put_fields(struct out *o, const struct iso_fields *fields)
{
	for (uint32_t i = 0; i < fields->n; i++) {
		const struct iso_field *f = &fields->v[i];

		/* Framing is the writer's own. */
		if (f->id == ISO_FIELD_CONTENT_LENGTH || f->id == ISO_FIELD_TRANSFER_ENCODING)
			continue;
		put_text(o, f->name);
		put(o, ISO_SLICE(": "));
		put_text(o, f->value);
		put(o, ISO_SLICE("\r\n"));
	}
}

static void put_start(struct out *o, const struct iso_head *head)
{
	char status[8];
	struct iso_slice reason;

	if (head->status == 0) {
		put_text(o, head->method);
		put(o, ISO_SLICE(" "));
		put_text(o, head->path);
		put(o, ISO_SLICE(" HTTP/1.1\r\nhost: "));
		put_text(o, head->authority);
		put(o, ISO_SLICE("\r\n"));
		return;
	}
	snprintf(status, sizeof(status), "%03u ", head->status % 1000u);
	reason = iso_status_reason(head->status);
	put(o, ISO_SLICE("HTTP/1.1 "));
	put(o, iso_slice_str(status));
	put(o, reason.len > 0 ? reason : ISO_SLICE("Unknown")); /* some clients fail on an empty one */
	put(o, ISO_SLICE("\r\n"));
}

int iso_h1_write_head(const struct iso_head *head, bool chunked, bool close, char *bytes, size_t size,
		      size_t *ret_n)
{
	struct out o = { bytes, bytes + size, ISO_OK };

	put_start(&o, head);
	put_fields(&o, &head->fields);
	if (chunked) {
		put(&o, ISO_SLICE("transfer-encoding: chunked\r\n"));
	} else if (head->content_length >= 0) {
		char text[48];

		snprintf(text, sizeof(text), "content-length: %lld\r\n", (long long)head->content_length);
		put(&o, iso_slice_str(text));
	}
	if (close)
		put(&o, ISO_SLICE("connection: close\r\n"));
	put(&o, ISO_SLICE("\r\n"));
	if (o.err == ISO_OK)
		*ret_n = (size_t)(o.at - bytes);
	return o.err;
}

size_t iso_h1_write_chunk_header(uint64_t len, char *bytes)
{
	return (size_t)snprintf(bytes, ISO_H1_CHUNK_HEADER_MAX, "%llx\r\n", (unsigned long long)len);
}

int iso_h1_write_last_chunk(const struct iso_fields *trailers, char *bytes, size_t size, size_t *ret_n)
{
	struct out o = { bytes, bytes + size, ISO_OK };

	put(&o, ISO_SLICE("0\r\n"));
	if (trailers != NULL)
		put_fields(&o, trailers);
	put(&o, ISO_SLICE("\r\n"));
	if (o.err == ISO_OK)
		*ret_n = (size_t)(o.at - bytes);
	return o.err;
}
