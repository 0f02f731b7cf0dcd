/*
 * The emulator's control API: plain JSON over HTTP/1.1, for tests and for trying things by hand. One loop.
 */
#include <stdlib.h>

#include "emulator.h"
#include "reply.h"

enum { BODY_MAX = 4096 };

struct control_call {
	struct iso_sink request;
	struct iso_request rq;
	struct emulator *e;
	struct iso_task task;
	char body[BODY_MAX];
	size_t len;
	bool ended;
};

static const char *const mode_names[] = {
	[EMULATOR_OK] = "ok",       [EMULATOR_HANG] = "hang",     [EMULATOR_REFUSE] = "refuse",
	[EMULATOR_RESET] = "reset", [EMULATOR_STATUS] = "status",
};

enum { MODES = sizeof(mode_names) / sizeof(mode_names[0]) };

static json_t *state_json(const struct emulator *e)
{
	return json_pack("{s:s, s:I, s:s, s:i, s:s, s:O, s:I, s:I}", "name", e->config.name, "delay_ms",
			 (json_int_t)(e->delay_us / 1000), "mode", mode_names[e->mode], "status", e->status,
			 "health", e->health_follows ? "same" : "ok", "dependencies", e->dependencies,
			 "requests", (json_int_t)e->requests, "executions", (json_int_t)e->executions);
}

/* NULL: applied. Else what is wrong with it. */
static const char *apply(struct emulator *e, const json_t *root)
{
	const json_t *delay = json_object_get(root, "delay_ms"), *mode = json_object_get(root, "mode");
	const json_t *status = json_object_get(root, "status"), *health = json_object_get(root, "health");
	json_t *dependencies = json_object_get(root, "dependencies");
	const json_t *rate = json_object_get(root, "rate"), *tail = json_object_get(root, "tail");
	const json_t *tail_ms = json_object_get(root, "tail_ms");
	int wanted = (int)e->mode;

	if (!json_is_object(root))
		return "an object is expected";
	if (mode != NULL) {
		for (wanted = 0; wanted < MODES; wanted++)
			if (json_is_string(mode) && strcmp(json_string_value(mode), mode_names[wanted]) == 0)
				break;
		if (wanted == MODES)
			return "mode is one of ok, hang, refuse, reset, status";
	}
	if (delay != NULL)
		e->delay_us = (uint64_t)json_integer_value(delay) * 1000;
	if (json_is_integer(rate))
		iso_bucket_init(&e->throttle, (uint64_t)json_integer_value(rate) * 1000, 0, e->loop->now_us);
	if (json_is_number(tail))
		e->tail_milli = (uint32_t)(json_number_value(tail) * 1000);
	if (json_is_integer(tail_ms))
		e->tail_us = (uint64_t)json_integer_value(tail_ms) * 1000;
	if (json_is_integer(status))
		e->status = (uint16_t)json_integer_value(status);
	if (json_is_string(health))
		e->health_follows = strcmp(json_string_value(health), "ok") != 0;
	if (json_is_object(dependencies))
		json_object_update(e->dependencies, dependencies);
	if (mode != NULL)
		emulator_set_mode(e, (enum emulator_mode)wanted);
	return NULL;
}

static void send_json(struct control_call *call, uint16_t status, json_t *root)
{
	static const struct reply_field fields[] = { { "content-type", "application/json" } };
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;

	reply_send(&call->rq, status, fields, 1, iso_slice_str(text != NULL ? text : "{}"));
	free(text);
	json_decref(root);
}

static bool is(const struct control_call *call, const char *method, const char *path)
{
	return iso_slice_eq(call->rq.head->method, iso_slice_str(method)) &&
	       iso_slice_eq(call->rq.head->path, iso_slice_str(path));
}

static void run_task(struct iso_task *task)
{
	struct control_call *call = ISO_CONTAINER(task, struct control_call, task);
	struct emulator *e = call->e;

	if (is(call, "PUT", "/state")) {
		json_t *root = json_loadb(call->body, call->len, 0, NULL);
		const char *why = root != NULL ? apply(e, root) : "the body is not JSON";

		json_decref(root);
		send_json(call, why == NULL ? 200 : 400,
			  why == NULL ? state_json(e) : json_pack("{s:s}", "error", why));
	} else if (is(call, "GET", "/state")) {
		send_json(call, 200, state_json(e));
	} else if (is(call, "GET", "/executions")) {
		send_json(call, 200,
			  json_pack("{s:I, s:O}", "total", (json_int_t)e->executions, "by_id", e->by_id));
	} else if (is(call, "POST", "/executions/reset")) {
		json_object_clear(e->by_id);
		e->executions = 0;
		send_json(call, 200, state_json(e));
	} else {
		send_json(call, 404,
			  json_pack("{s:s}", "error",
				    "GET or PUT /state, GET /executions, POST /executions/reset"));
	}
}

static struct control_call *call_of(struct iso_sink *sink)
{
	return ISO_CONTAINER(sink, struct control_call, request);
}

static void on_data(struct iso_sink *to, struct iso_buf *data, bool end)
{
	struct control_call *call = call_of(to);
	size_t n = data->bytes;

	call->len += iso_buf_peek(data, call->body + call->len, BODY_MAX - call->len);
	iso_buf_done(data);
	if (n > 0)
		call->rq.response->ops->writable(call->rq.response, n);
	if (end)
		iso_loop_post(call->e->loop, &call->task);
}

static void on_trailers(struct iso_sink *to, const struct iso_fields *trailers)
{
	(void)trailers;
	iso_loop_post(call_of(to)->e->loop, &call_of(to)->task);
}

static void on_writable(struct iso_sink *to, size_t freed)
{
	(void)to;
	(void)freed;
}

static void on_reset(struct iso_sink *to, enum iso_reset why)
{
	(void)why;
	iso_task_cancel(&call_of(to)->task);
}

static const struct iso_sink_ops request_ops = {
	.data = on_data,
	.trailers = on_trailers,
	.writable = on_writable,
	.reset = on_reset,
};

static struct iso_sink *on_request(struct iso_handler *handler, const struct iso_request *request)
{
	struct emulator *e = ISO_CONTAINER(handler, struct emulator, control_handler);
	struct control_call *call = iso_arena_zalloc(request->arena, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->request.ops = &request_ops;
	call->rq = *request;
	call->e = e;
	iso_task_init(&call->task, run_task);
	if (request->end)
		iso_loop_post(e->loop, &call->task);
	return &call->request;
}

void emulator_control_init(struct emulator *e)
{
	e->control_handler.request = on_request;
}
