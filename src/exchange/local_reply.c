/*
 * Answers of our own: problem details (RFC 9457), with Proxy-Status to say who failed.
 * Thread: the exchange's loop.
 */
#include "exchange_priv.h"
#include "iso/base/text.h"

enum { BODY_MAX = 1024 };

static int make(struct iso_exchange *x, uint16_t status, const char *detail, struct iso_head *ret_head,
		struct iso_slice *ret_body)
{
	struct iso_text body, line;
	char *memory = iso_arena_alloc(x->arena, BODY_MAX);
	char *length = iso_arena_alloc(x->arena, 24);
	struct iso_slice reason = iso_status_reason(status);
	int err;

	if (memory == NULL || length == NULL)
		return ISO_ENOMEM;
	iso_text_init_fixed(&body, memory, BODY_MAX);
	iso_text_str(&body, "{\"type\":\"about:blank\",\"title\":");
	iso_text_json(&body, reason.len > 0 ? reason : ISO_SLICE("Error"));
	iso_text_fmt(&body, ",\"status\":%u,\"detail\":", status);
	iso_text_json(&body, iso_slice_str(detail));
	if (x->id.len > 0) {
		iso_text_str(&body, ",\"request_id\":");
		iso_text_json(&body, x->id);
	}
	iso_text_str(&body, "}\n");
	iso_text_init_fixed(&line, length, 24);
	iso_text_u64(&line, body.len);
	*ret_head = (struct iso_head){ .version = ISO_HTTP_11,
				       .status = status,
				       .content_length = (int64_t)body.len };
	err = iso_fields_add(&ret_head->fields, x->arena, ISO_SLICE("content-type"),
			     ISO_SLICE("application/problem+json"));
	if (err == ISO_OK)
		err = iso_fields_add(&ret_head->fields, x->arena, ISO_SLICE("content-length"),
				     iso_text_slice(&line));
	if (err == ISO_OK && x->id.len > 0)
		err = iso_fields_add(&ret_head->fields, x->arena, ISO_SLICE("x-request-id"), x->id);
	if (err == ISO_OK)
		err = iso_proxy_status_tell(x, status, &ret_head->fields);
	if (err == ISO_OK)
		err = iso_rate_limit_tell(x, &ret_head->fields);
	if (err == ISO_OK && x->route != NULL)
		err = iso_edit_fields(x, &x->route->response_edits, NULL, &ret_head->fields);
	/* What has failed may have been written: who is known by a cookie is to read there. */
	if (err == ISO_OK && x->from.writer != 0 && !x->safe)
		err = iso_affinity_tell(x, NULL, &ret_head->fields);
	*ret_body = iso_text_slice(&body);
	return err != ISO_OK ? err : iso_text_ok(&body);
}

/* The gRPC status of an HTTP one (gRPC's http-grpc-status-mapping.md). */
static const char *grpc_status(uint16_t status)
{
	switch (status) {
	case 400:
		return "13"; /* INTERNAL */
	case 401:
		return "16"; /* UNAUTHENTICATED */
	case 403:
		return "7"; /* PERMISSION_DENIED */
	case 404:
		return "12"; /* UNIMPLEMENTED */
	case 429:
	case 502:
	case 503:
	case 504:
		return "14"; /* UNAVAILABLE */
	default:
		return "2"; /* UNKNOWN */
	}
}

/* What a gRPC client understands: 200 and the status in a head that is the trailers too. */
static bool send_grpc_reply(struct iso_exchange *x)
{
	const struct iso_field *type = iso_fields_get(&x->head->fields, ISO_FIELD_CONTENT_TYPE);
	struct iso_head head = { .version = ISO_HTTP_2, .status = 200, .content_length = -1 };
	int err;

	if (x->head->version != ISO_HTTP_2 || type == NULL ||
	    !iso_slice_starts(type->value, ISO_SLICE("application/grpc")))
		return false;
	err = iso_fields_add(&head.fields, x->arena, ISO_SLICE("content-type"),
			     ISO_SLICE("application/grpc"));
	if (err == ISO_OK)
		err = iso_fields_add(&head.fields, x->arena, ISO_SLICE("grpc-status"),
				     iso_slice_str(grpc_status(x->fail_status)));
	if (err == ISO_OK)
		err = iso_fields_add(&head.fields, x->arena, ISO_SLICE("grpc-message"), x->error);
	if (err == ISO_OK)
		err = iso_proxy_status_tell(x, x->fail_status, &head.fields);
	if (err != ISO_OK)
		return false;
	x->response->ops->head(x->response, &head, true);
	return true;
}

/* The whole answer at once. */
static void send_whole(struct iso_exchange *x, const struct iso_head *head, struct iso_slice text)
{
	struct iso_buf body;

	iso_buf_init(&body);
	if (iso_buf_append_copy(&body, &x->host->loop->chunks, text.ptr, text.len) != ISO_OK) {
		x->response->ops->reset(x->response, ISO_RESET_INTERNAL);
		return;
	}
	x->committed = x->response_end = true;
	x->phase = ISO_PHASE_RELAY;
	x->status = head->status;
	iso_timer_clear(&x->host->loop->wheel, &x->timer);
	if (x->error.ptr != NULL && send_grpc_reply(x)) {
		iso_buf_done(&body);
		return;
	}
	if (x->head->method_id == ISO_METHOD_HEAD || text.len == 0) {
		x->response->ops->head(x->response, head, true);
	} else {
		x->bytes += text.len;
		x->response->ops->head(x->response, head, false);
		x->response->ops->data(x->response, &body, true);
	}
	iso_buf_done(&body);
}

static void send_reply(struct iso_exchange *x)
{
	struct iso_head head;
	struct iso_slice text;

	if (make(x, x->fail_status, x->error.ptr, &head, &text) != ISO_OK) {
		/* What has come of a request or an answer may have used up the memory: the status needs none.
		 */
		head = (struct iso_head){ .version = ISO_HTTP_11, .status = x->fail_status };
		text = ISO_SLICE("");
	}
	send_whole(x, &head, text);
}

void iso_local_answer(struct iso_exchange *x)
{
	const struct iso_cfg_answer *answer = &x->route->answer;
	struct iso_head head = { .version = ISO_HTTP_11, .status = answer->status, .content_length = -1 };
	struct iso_text line;
	char *length = iso_arena_alloc(x->arena, 24);
	int err = length != NULL ? ISO_OK : ISO_ENOMEM;

	if (err == ISO_OK && iso_status_has_body(answer->status, ISO_METHOD_GET)) {
		iso_text_init_fixed(&line, length, 24);
		iso_text_u64(&line, answer->body.len);
		head.content_length = (int64_t)answer->body.len;
		err = iso_fields_add(&head.fields, x->arena, ISO_SLICE("content-length"),
				     iso_text_slice(&line));
	}
	if (err == ISO_OK && answer->body.len > 0)
		err = iso_fields_add(&head.fields, x->arena, ISO_SLICE("content-type"), answer->content_type);
	if (err == ISO_OK && answer->location.n > 0) {
		struct iso_slice location = iso_edit_text(x, &answer->location);

		err = location.ptr != NULL
			      ? iso_fields_add(&head.fields, x->arena, ISO_SLICE("location"), location)
			      : ISO_ENOMEM;
	}
	if (err == ISO_OK && x->id.len > 0)
		err = iso_fields_add(&head.fields, x->arena, ISO_SLICE("x-request-id"), x->id);
	if (err == ISO_OK)
		err = iso_rate_limit_tell(x, &head.fields);
	if (err == ISO_OK)
		err = iso_edit_fields(x, &x->route->response_edits, NULL, &head.fields);
	if (err == ISO_OK)
		send_whole(x, &head, answer->body);
	else
		x->response->ops->reset(x->response, ISO_RESET_INTERNAL);
}

void iso_local_reply(struct iso_exchange *x, uint16_t status, const char *detail)
{
	x->fail_status = status;
	x->error = iso_slice_str(detail);
	x->phase = ISO_PHASE_FAIL;
	if (x->in_request)
		iso_loop_post(x->host->loop, &x->advance);
	else
		send_reply(x);
}
