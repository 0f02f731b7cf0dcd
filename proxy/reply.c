/*
 * See reply.h.
 */
#include "reply.h"

#include <stdio.h>

#include "iso/base/err.h"
#include "iso/net/loop.h"

void reply_send(const struct iso_request *request, uint16_t status, const struct reply_field *fields,
		size_t n, struct iso_slice body)
{
	struct iso_head head = { .version = ISO_HTTP_11,
				 .status = status,
				 .content_length = (int64_t)body.len };
	struct iso_sink *to = request->response;
	bool no_body = body.len == 0 || !iso_status_has_body(status, request->head->method_id);
	struct iso_buf content;
	char length[24];
	int err = ISO_OK;

	iso_buf_init(&content);
	for (size_t i = 0; i < n && err == ISO_OK; i++)
		err = iso_fields_add_copy(&head.fields, request->arena, iso_slice_str(fields[i].name),
					  iso_slice_str(fields[i].value));
	snprintf(length, sizeof(length), "%zu", body.len);
	if (err == ISO_OK && status != 204 && status != 304)
		err = iso_fields_add_copy(&head.fields, request->arena, ISO_SLICE("content-length"),
					  iso_slice_str(length));
	if (status == 204 || status == 304)
		head.content_length = -1;
	if (err == ISO_OK && !no_body)
		err = iso_buf_append_copy(&content, &request->loop->chunks, body.ptr, body.len);
	if (err != ISO_OK) {
		to->ops->reset(to, ISO_RESET_INTERNAL);
		return;
	}
	to->ops->head(to, &head, no_body);
	if (!no_body)
		to->ops->data(to, &content, true);
	iso_buf_done(&content);
}
