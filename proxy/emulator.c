/*
 * The emulated endpoint: gateway and function. One loop, one thread.
 */
#include "emulator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "iso/http/uri.h"
#include "iso/net/resolver.h"
#include "reply.h"

enum {
	BODY_BYTES_MAX = 64 * 1024 * 1024, /* of ?bytes=N */
	PIECE = 16 * 1024,
};

/* One request on its way through gateway and function. */
struct call {
	struct iso_sink request;
	struct iso_request rq;
	struct emulator *e;
	struct iso_timer timer; /* the function's time */
	struct iso_task task;   /* the gateway's own answer, not inside the handler's call */
	struct iso_slice id;
	uint64_t received; /* body bytes */
	uint64_t left;     /* of a large answer: bytes not given to the stream yet */
	uint16_t status;   /* of an answer by the gateway alone; 0: the function's */
	bool health, over, started;
};

static struct call *call_of(struct iso_sink *sink)
{
	return ISO_CONTAINER(sink, struct call, request);
}

/* The number behind ?name= or &name=; 0 when there is none. */
static uint64_t query_number(struct iso_slice target, const char *name)
{
	struct iso_slice rest = target, part;
	size_t at = iso_slice_find(target, '?');
	uint64_t n;

	if (at == target.len)
		return 0;
	rest = iso_slice(target.ptr + at + 1, target.len - at - 1);
	while (iso_slice_next(&rest, '&', &part)) {
		size_t len = strlen(name);

		if (part.len > len && part.ptr[len] == '=' && memcmp(part.ptr, name, len) == 0 &&
		    iso_slice_u64(iso_slice(part.ptr + len + 1, part.len - len - 1), &n) == ISO_OK)
			return n;
	}
	return 0;
}

/* What the gateway says when the function is not asked, or fails: bodies as API Gateway's. */
static void send_gateway_error(struct call *call)
{
	static const struct {
		uint16_t status;
		const char *type, *body;
	} rows[] = {
		{ 403, "ForbiddenException", "{\"message\":\"Forbidden\"}" },
		{ 429, "TooManyRequestsException", "{\"message\":\"Too Many Requests\"}" },
		{ 500, "InternalServerErrorException", "{\"message\": \"Internal server error\"}" },
		{ 502, "InternalServerErrorException", "{\"message\": \"Internal server error\"}" },
		{ 503, "ServiceUnavailableException", "{\"message\":\"Service Unavailable\"}" },
		{ 504, "InternalServerErrorException", "{\"message\": \"Endpoint request timed out\"}" },
	};
	const char *type = "InternalServerErrorException", *body = "{\"message\":null}";
	char id[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].status == call->status) {
			type = rows[i].type;
			body = rows[i].body;
		}
	}
	snprintf(id, sizeof(id), "gw-%.*s", ISO_SLICE_FMT(call->id));
	{
		struct reply_field fields[] = {
			{ "content-type", "application/json" },
			{ "x-amzn-errortype", type },
			{ "x-amzn-requestid", id },
			{ "x-amz-apigw-id", id },
			{ "x-emulated-region", call->e->config.name },
		};

		reply_send(&call->rq, call->status, fields, sizeof(fields) / sizeof(fields[0]),
			   iso_slice_str(body));
	}
}

/* application/health+json: the dependencies that the function has pinged. */
static void send_health(struct call *call)
{
	struct emulator *e = call->e;
	json_t *checks = json_object(), *root;
	const char *name, *worst = "pass";
	json_t *state;
	char *text;

	json_object_foreach(e->dependencies, name, state)
	{
		const char *word = json_string_value(state);

		if (strcmp(word, "fail") == 0 || (strcmp(word, "warn") == 0 && strcmp(worst, "pass") == 0))
			worst = word;
		json_object_set_new(checks, name,
				    json_pack("[{s:s, s:s, s:i, s:s}]", "componentId", name, "status", word,
					      "observedValue", 3, "observedUnit", "ms"));
	}
	root = json_pack("{s:s, s:s, s:o}", "status", worst, "serviceId", e->config.name, "checks", checks);
	text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
	if (text != NULL) {
		struct reply_field fields[] = {
			{ "content-type", "application/health+json" },
			{ "x-emulated-region", e->config.name },
		};

		reply_send(&call->rq, strcmp(worst, "fail") == 0 ? 503 : 200, fields, 2, iso_slice_str(text));
	}
	free(text);
	json_decref(root);
}

/* The next pieces of a large answer, as long as the stream has not too much of it. */
static void send_pieces(struct call *call, size_t room)
{
	static const char pattern[PIECE] = { 'x' };

	while (call->left > 0 && room > 0 && !call->over) {
		size_t n = call->left < PIECE ? (size_t)call->left : PIECE;
		struct iso_buf piece;

		iso_buf_init(&piece);
		if (iso_buf_append_copy(&piece, &call->rq.loop->chunks, pattern, n) != ISO_OK) {
			call->rq.response->ops->reset(call->rq.response, ISO_RESET_INTERNAL);
			return;
		}
		call->left -= n;
		room -= room < n ? room : n;
		call->rq.response->ops->data(call->rq.response, &piece, call->left == 0);
		iso_buf_done(&piece);
	}
}

static void send_large(struct call *call, uint64_t bytes)
{
	struct iso_head head = { .version = ISO_HTTP_11, .status = 200, .content_length = (int64_t)bytes };
	char length[24];

	snprintf(length, sizeof(length), "%llu", (unsigned long long)bytes);
	if (iso_fields_add_copy(&head.fields, call->rq.arena, ISO_SLICE("content-length"),
				iso_slice_str(length)) != ISO_OK ||
	    iso_fields_add_copy(&head.fields, call->rq.arena, ISO_SLICE("x-emulated-region"),
				iso_slice_str(call->e->config.name)) != ISO_OK) {
		call->rq.response->ops->reset(call->rq.response, ISO_RESET_INTERNAL);
		return;
	}
	call->left = bytes;
	call->rq.response->ops->head(call->rq.response, &head, false);
	send_pieces(call, 8 * PIECE);
}

/* The function has run: its answer. */
static void send_answer(struct call *call)
{
	struct emulator *e = call->e;
	uint64_t bytes = query_number(call->rq.head->path, "bytes");
	char body[512], id[128];
	struct reply_field fields[] = {
		{ "content-type", "application/json" },
		{ "x-amzn-requestid", id },
		{ "x-amz-apigw-id", id },
		{ "x-emulated-region", e->config.name },
	};

	if (call->health) {
		send_health(call);
		return;
	}
	if (bytes > 0) {
		send_large(call, bytes < BODY_BYTES_MAX ? bytes : BODY_BYTES_MAX);
		return;
	}
	snprintf(id, sizeof(id), "%s-%.*s", e->config.name, ISO_SLICE_FMT(call->id));
	snprintf(body, sizeof(body), "{\"region\":\"%s\",\"method\":\"%.*s\",\"received\":%llu}\n",
		 e->config.name, ISO_SLICE_FMT(call->rq.head->method), (unsigned long long)call->received);
	reply_send(&call->rq, 200, fields, sizeof(fields) / sizeof(fields[0]), iso_slice_str(body));
}

static void on_time(struct iso_timer *timer)
{
	struct call *call = ISO_CONTAINER(timer, struct call, timer);

	if (!call->over && call->e->mode != EMULATOR_HANG)
		send_answer(call);
}

static void count_execution(struct call *call)
{
	struct emulator *e = call->e;
	char id[160];
	json_t *count;

	e->executions++;
	snprintf(id, sizeof(id), "%.*s", (int)(call->id.len < 128 ? call->id.len : 128), call->id.ptr);
	count = json_object_get(e->by_id, id);
	json_object_set_new(e->by_id, id, json_integer(json_integer_value(count) + 1));
	if (e->journal_fd >= 0) {
		size_t len = strlen(id);

		id[len] = '\n';
		/* One write a line: it is there even when the next moment kills us. */
		if (write(e->journal_fd, id, len + 1) < 0)
			fprintf(stderr, "emulate: journal: %s\n", strerror(errno));
	}
}

/* The request is whole: the gateway calls the function. */
static void invoke(struct call *call)
{
	struct emulator *e = call->e;
	uint64_t delay_us = e->delay_us;

	if (call->started || call->status != 0)
		return;
	call->started = true;
	if (!call->health)
		count_execution(call);
	if (!call->health && iso_rng_next(&e->loop->rng) % 1000 < e->tail_milli)
		delay_us += e->tail_us;
	iso_timer_set(&e->loop->wheel, &call->timer, e->loop->now_us + delay_us);
}

static void run_task(struct iso_task *task)
{
	struct call *call = ISO_CONTAINER(task, struct call, task);

	if (call->status != 0)
		send_gateway_error(call);
	else
		call->rq.response->ops->reset(call->rq.response, ISO_RESET_INTERNAL);
}

static void on_data(struct iso_sink *to, struct iso_buf *data, bool end)
{
	struct call *call = call_of(to);
	size_t n = data->bytes;

	call->received += n;
	iso_buf_done(data);
	if (n > 0)
		call->rq.response->ops->writable(call->rq.response, n);
	if (end && call->e->mode != EMULATOR_HANG && !iso_list_linked(&call->task.link))
		invoke(call);
}

static void on_trailers(struct iso_sink *to, const struct iso_fields *trailers)
{
	struct call *call = call_of(to);

	(void)trailers;
	if (call->e->mode != EMULATOR_HANG && !iso_list_linked(&call->task.link))
		invoke(call);
}

static void on_writable(struct iso_sink *to, size_t freed)
{
	send_pieces(call_of(to), freed);
}

static void on_reset(struct iso_sink *to, enum iso_reset why)
{
	struct call *call = call_of(to);

	(void)why;
	call->over = true;
	iso_timer_clear(&call->e->loop->wheel, &call->timer);
	iso_task_cancel(&call->task);
}

static const struct iso_sink_ops request_ops = {
	.data = on_data,
	.trailers = on_trailers,
	.writable = on_writable,
	.reset = on_reset,
};

static bool is_health(const struct emulator *e, struct iso_slice target)
{
	struct iso_slice path = iso_uri_path(target), base = iso_slice_str(e->config.base_path);

	if (iso_slice_starts(path, base))
		path = iso_slice(path.ptr + base.len, path.len - base.len);
	return iso_slice_eq(path, ISO_SLICE("/health"));
}

static bool throttled(struct emulator *e)
{
	return atomic_load(&e->throttle.per_second_milli) != 0 &&
	       !iso_bucket_take(&e->throttle, 1, e->loop->now_us);
}

static struct iso_sink *on_request(struct iso_handler *handler, const struct iso_request *request)
{
	struct emulator *e = ISO_CONTAINER(handler, struct emulator, function);
	struct call *call = iso_arena_zalloc(request->arena, sizeof(*call));
	const struct iso_field *id = iso_fields_get(&request->head->fields, ISO_FIELD_X_REQUEST_ID);
	bool disturbed;

	if (call == NULL)
		return NULL;
	call->request.ops = &request_ops;
	call->rq = *request;
	call->e = e;
	call->id = id != NULL ? id->value : ISO_SLICE("none");
	call->health = is_health(e, request->head->path);
	iso_timer_init(&call->timer, on_time);
	iso_task_init(&call->task, run_task);
	e->requests += !call->health;
	disturbed = !call->health || e->health_follows;
	if (disturbed && e->mode == EMULATOR_STATUS)
		call->status = e->status;
	else if (throttled(e) && !call->health)
		call->status = 429;
	if (call->status != 0 || (disturbed && e->mode == EMULATOR_RESET))
		iso_loop_post(e->loop, &call->task);
	else if (request->end && !(disturbed && e->mode == EMULATOR_HANG))
		invoke(call);
	return &call->request;
}

static int listen_now(struct emulator *e)
{
	int fd, err = iso_listener_bind(&e->config.listener.addr, &fd);
	struct iso_sockaddr *addr = &e->config.listener.addr;

	if (err != ISO_OK)
		return err;
	addr->len = sizeof(addr->u);
	getsockname(fd, &addr->u.sa, &addr->len); /* a port 0 has become a number, which stays */
	err = iso_server_listen(&e->server, fd, &e->config.listener);
	e->listening = err == ISO_OK;
	return err;
}

static const struct iso_cfg_limits limits = {
	.header_bytes = 64 * 1024,
	.header_count = 200,
	.streams = 1000,
	.handshake_timeout_us = 10 * 1000 * 1000,
	.header_timeout_us = 10 * 1000 * 1000,
	.keepalive_timeout_us = 60 * 1000 * 1000,
	.connections = 10000,
	/* Its one client is a proxy under test, which may do what it likes. */
	.h2_resets = UINT32_MAX,
	.h2_control_frames = UINT32_MAX,
	.h2_empty_frames = UINT32_MAX,
	.rate_window_us = 10 * 1000 * 1000,
};

void emulator_set_mode(struct emulator *e, enum emulator_mode mode)
{
	e->mode = mode;
	if (mode == EMULATOR_REFUSE && e->listening) {
		iso_server_done(&e->server);
		e->listening = false;
	} else if (mode != EMULATOR_REFUSE && !e->listening) {
		iso_server_init(&e->server, e->loop, &e->function, &limits);
		if (listen_now(e) != ISO_OK)
			fprintf(stderr, "emulate: cannot listen again\n");
	}
}

int emulator_start(struct emulator *e, struct iso_loop *loop, const struct emulator_config *config)
{
	int err, fd;

	memset(e, 0, sizeof(*e));
	e->config = *config;
	e->loop = loop;
	e->delay_us = config->delay_us;
	e->status = 503;
	e->health_follows = true;
	e->journal_fd = -1;
	e->function.request = on_request;
	e->dependencies = json_pack("{s:s, s:s}", "database", "pass", "payments", "pass");
	e->by_id = json_object();
	if (e->dependencies == NULL || e->by_id == NULL)
		return ISO_ENOMEM;
	if (config->journal != NULL) {
		e->journal_fd = open(config->journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (e->journal_fd < 0)
			return iso_err_from_errno(errno);
	}
	iso_server_init(&e->server, loop, &e->function, &limits);
	err = listen_now(e);
	if (err != ISO_OK || config->control.len == 0)
		return err;
	emulator_control_init(e);
	iso_server_init(&e->control, loop, &e->control_handler, &limits);
	err = iso_listener_bind(&config->control, &fd);
	if (err == ISO_OK) {
		struct iso_cfg_listener control = { .addr = config->control, .http11 = true };

		control.addr.len = sizeof(control.addr.u);
		getsockname(fd, &control.addr.u.sa, &control.addr.len);
		e->config.control = control.addr;
		err = iso_server_listen(&e->control, fd, &control);
	}
	return err;
}

void emulator_stop(struct emulator *e)
{
	iso_server_done(&e->server);
	iso_server_done(&e->control);
	json_decref(e->dependencies);
	json_decref(e->by_id);
	if (e->journal_fd >= 0)
		close(e->journal_fd);
}

void emulator_address(const struct emulator *e, char *ret_text, size_t size)
{
	iso_sockaddr_format(&e->config.listener.addr.u.sa, ret_text, size);
}
