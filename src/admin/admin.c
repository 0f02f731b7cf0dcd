/*
 * The admin handler: which path is which document. Thread: control.
 */
#include "admin_priv.h"

#include <stdlib.h>

#include "iso/admin/explain.h"
#include "iso/http/uri.h"
#include "iso/net/loop.h"
#include "iso/net/resolver.h"
#include "iso/telemetry/prometheus.h"

enum { DOCUMENT_MAX = 16 * 1024 * 1024 };

struct admin_call {
	struct iso_sink request;
	struct iso_request rq;
	struct iso_admin *admin;
	struct iso_task task;
	struct iso_admin_wish wish;
};

static void send_text(struct admin_call *call, uint16_t status, const char *type, struct iso_slice body)
{
	struct iso_sink *to = call->rq.response;
	struct iso_head head = { .version = ISO_HTTP_11,
				 .status = status,
				 .content_length = (int64_t)body.len };
	struct iso_buf content;
	struct iso_text length;
	char digits[24];
	int err;

	iso_buf_init(&content);
	iso_text_init_fixed(&length, digits, sizeof(digits));
	iso_text_u64(&length, body.len);
	err = iso_fields_add(&head.fields, call->rq.arena, ISO_SLICE("content-type"), iso_slice_str(type));
	if (err == ISO_OK)
		err = iso_fields_add(&head.fields, call->rq.arena, ISO_SLICE("cache-control"),
				     ISO_SLICE("no-store"));
	if (err == ISO_OK)
		err = iso_fields_add_copy(&head.fields, call->rq.arena, ISO_SLICE("content-length"),
					  iso_text_slice(&length));
	if (err == ISO_OK && status == 405)
		err = iso_fields_add(&head.fields, call->rq.arena, ISO_SLICE("allow"),
				     iso_slice_eq(iso_uri_path(call->rq.head->path), ISO_SLICE("/reload"))
					     ? ISO_SLICE("POST")
					     : ISO_SLICE("GET, HEAD"));
	if (err == ISO_OK)
		err = iso_buf_append_copy(&content, &call->rq.loop->chunks, body.ptr, body.len);
	if (err != ISO_OK) {
		to->ops->reset(to, ISO_RESET_INTERNAL);
	} else if (call->rq.head->method_id == ISO_METHOD_HEAD) {
		to->ops->head(to, &head, true);
	} else {
		to->ops->head(to, &head, false);
		to->ops->data(to, &content, true);
	}
	iso_buf_done(&content);
}

static void send_document(struct admin_call *call, const char *type,
			  int (*write)(const struct iso_admin *admin, struct iso_text *text))
{
	struct iso_text text;

	iso_text_init(&text, DOCUMENT_MAX);
	if (write(call->admin, &text) == ISO_OK)
		send_text(call, 200, type, iso_text_slice(&text));
	else
		send_text(call, 503, "text/plain", ISO_SLICE("out of memory\n"));
	iso_text_done(&text);
}

/* GET /explain?method=GET&url=https://host/path, values with escapes as in a form. */
static void send_explanation(struct admin_call *call)
{
	struct iso_slice query = call->rq.head->path;
	struct iso_explain_request request = { .method = ISO_SLICE("GET"),
					       .draw = iso_rng_next(&call->rq.loop->rng),
					       .holds = call->admin->config.holds,
					       .now_us = call->rq.loop->now_us };
	const char *why = NULL;
	struct iso_text text;
	int err;

	(void)iso_uri_query_get(call->rq.arena, query, ISO_SLICE("method"), &request.method);
	(void)iso_uri_query_get(call->rq.arena, query, ISO_SLICE("host"), &request.host);
	(void)iso_uri_query_get(call->rq.arena, query, ISO_SLICE("url"), &request.url);
	(void)iso_uri_query_get(call->rq.arena, query, ISO_SLICE("fields"), &request.fields);
	(void)iso_uri_query_get(call->rq.arena, query, ISO_SLICE("client"), &request.client);
	iso_text_init(&text, DOCUMENT_MAX);
	err = iso_explain(call->admin->config.snapshot, call->admin->config.publisher, &request, &text, &why);
	if (err == ISO_OK) {
		send_text(call, 200, "application/json", iso_text_slice(&text));
	} else if (err == ISO_EBAD && why != NULL) {
		iso_text_done(&text);
		iso_text_init(&text, DOCUMENT_MAX);
		iso_text_fmt(&text, "%s: /explain?method=GET&url=https://api.example.com/orders\n", why);
		send_text(call, 400, "text/plain", iso_text_slice(&text));
	} else {
		send_text(call, 503, "text/plain", ISO_SLICE("out of memory\n"));
	}
	iso_text_done(&text);
}

/* GET /config: what is in use, secrets masked, and its hash. */
static int write_config(const struct iso_admin *admin, struct iso_text *text)
{
	const struct iso_snapshot *snapshot = admin->config.snapshot;

	iso_text_fmt(text, "{\"generation\":%llu,\"hash\":\"%016llx\",\"file\":",
		     (unsigned long long)snapshot->generation, (unsigned long long)snapshot->hash);
	iso_text_json(text, snapshot->path);
	iso_text_str(text, ",\"config\":");
	iso_text_add(text, snapshot->description);
	iso_text_str(text, "}\n");
	return iso_text_ok(text);
}

/*
 * Browsers send Origin with what a page makes them POST, and a rebound name in Host: whoever asks for a
 * change must have meant this address.
 */
static bool is_meant(const struct iso_head *head)
{
	struct iso_slice host = iso_uri_host(head->authority);
	struct iso_sockaddr addr;
	char text[64];

	if (iso_fields_find(&head->fields, ISO_SLICE("origin")) != NULL || host.len >= sizeof(text))
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	return iso_slice_eq(host, ISO_SLICE("localhost")) || iso_sockaddr_parse(text, 0, &addr) == ISO_OK;
}

static void on_reloaded(struct iso_admin_wish *wish, const char *refused)
{
	struct admin_call *call = ISO_CONTAINER(wish, struct admin_call, wish);
	const struct iso_snapshot *snapshot = call->admin->config.snapshot;
	struct iso_text text;

	iso_text_init(&text, DOCUMENT_MAX);
	if (refused != NULL) {
		iso_text_str(&text, "{\"reloaded\":false,\"why\":");
		iso_text_json(&text, iso_slice_str(refused));
		iso_text_str(&text, "}\n");
	} else {
		iso_text_fmt(&text, "{\"reloaded\":true,\"generation\":%llu,\"hash\":\"%016llx\"}\n",
			     (unsigned long long)snapshot->generation, (unsigned long long)snapshot->hash);
	}
	send_text(call, refused == NULL ? 200 : 409, "application/json", iso_text_slice(&text));
	iso_text_done(&text);
}

static void reload(struct admin_call *call)
{
	if (call->admin->config.reload == NULL || call->admin->draining) {
		send_text(call, 503, "text/plain", ISO_SLICE("this process takes no new configuration\n"));
	} else if (!is_meant(call->rq.head)) {
		send_text(call, 403, "text/plain",
			  ISO_SLICE("ask by the address itself, and not from a web page\n"));
	} else {
		call->wish.done = on_reloaded;
		call->admin->config.reload(call->admin->config.arg, &call->wish);
	}
}

/* GET and HEAD. */
static void send_page(struct admin_call *call, struct iso_slice path)
{
	const char *why;

	if (iso_slice_eq(path, ISO_SLICE("/status"))) {
		send_document(call, "application/json", iso_admin_status);
	} else if (iso_slice_eq(path, ISO_SLICE("/metrics"))) {
		send_document(call, ISO_PROMETHEUS_MEDIA_TYPE, iso_admin_metrics);
	} else if (iso_slice_eq(path, ISO_SLICE("/config"))) {
		send_document(call, "application/json", write_config);
	} else if (iso_slice_eq(path, ISO_SLICE("/explain"))) {
		send_explanation(call);
	} else if (iso_slice_eq(path, ISO_SLICE("/healthz"))) {
		send_text(call, 200, "text/plain", ISO_SLICE("ok\n"));
	} else if (iso_slice_eq(path, ISO_SLICE("/readyz"))) {
		why = iso_admin_not_ready(call->admin);
		send_text(call, why == NULL ? 200 : 503, "text/plain",
			  why == NULL ? ISO_SLICE("ready\n") : iso_slice_str(why));
	} else {
		send_text(
			call, 404, "text/plain",
			ISO_SLICE(
				"there is /status, /metrics, /config, /explain, /healthz, /readyz, and POST "
				"/reload\n"));
	}
}

static void run_task(struct iso_task *task)
{
	struct admin_call *call = ISO_CONTAINER(task, struct admin_call, task);
	struct iso_slice path = iso_uri_path(call->rq.head->path);
	enum iso_method method = call->rq.head->method_id;
	bool is_reload = iso_slice_eq(path, ISO_SLICE("/reload"));

	if (is_reload && method == ISO_METHOD_POST)
		reload(call);
	else if (is_reload || (method != ISO_METHOD_GET && method != ISO_METHOD_HEAD))
		send_text(call, 405, "text/plain",
			  is_reload ? ISO_SLICE("only POST\n") : ISO_SLICE("only GET and HEAD\n"));
	else
		send_page(call, path);
}

static void on_data(struct iso_sink *to, struct iso_buf *data, bool end)
{
	struct admin_call *call = ISO_CONTAINER(to, struct admin_call, request);
	size_t n = data->bytes;

	(void)end;
	iso_buf_done(data);
	if (n > 0)
		call->rq.response->ops->writable(call->rq.response, n);
}

static void on_trailers(struct iso_sink *to, const struct iso_fields *trailers)
{
	(void)to;
	(void)trailers;
}

static void on_writable(struct iso_sink *to, size_t freed)
{
	(void)to;
	(void)freed;
}

static void on_reset(struct iso_sink *to, enum iso_reset why)
{
	struct admin_call *call = ISO_CONTAINER(to, struct admin_call, request);

	(void)why;
	iso_task_cancel(&call->task);
	iso_list_remove(&call->wish.link);
}

static const struct iso_sink_ops request_ops = {
	.data = on_data,
	.trailers = on_trailers,
	.writable = on_writable,
	.reset = on_reset,
};

static struct iso_sink *on_request(struct iso_handler *handler, const struct iso_request *request)
{
	struct admin_call *call = iso_arena_zalloc(request->arena, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->request.ops = &request_ops;
	call->rq = *request;
	call->admin = ISO_CONTAINER(handler, struct iso_admin, handler);
	iso_task_init(&call->task, run_task);
	iso_list_init(&call->wish.link);
	iso_loop_post(request->loop, &call->task); /* no answer before we return */
	return &call->request;
}

static void *copy_array(const void *from, size_t bytes)
{
	void *to = malloc(bytes + 1);

	if (to != NULL && bytes > 0)
		memcpy(to, from, bytes);
	return to;
}

int iso_admin_new(const struct iso_admin_config *config, struct iso_admin **ret_admin)
{
	struct iso_admin *admin = calloc(1, sizeof(*admin));

	if (admin == NULL)
		return ISO_ENOMEM;
	admin->handler.request = on_request;
	admin->config = *config;
	admin->started_us = config->loop->now_us;
	admin->config.metrics = copy_array(config->metrics, config->metrics_count * sizeof(*config->metrics));
	admin->config.servers = copy_array(config->servers, config->server_count * sizeof(*config->servers));
	if (admin->config.metrics == NULL || admin->config.servers == NULL) {
		iso_admin_free(admin);
		return ISO_ENOMEM;
	}
	*ret_admin = admin;
	return ISO_OK;
}

void iso_admin_free(struct iso_admin *admin)
{
	if (admin == NULL)
		return;
	free((void *)(uintptr_t)admin->config.metrics);
	free((void *)(uintptr_t)admin->config.servers);
	free(admin);
}

struct iso_handler *iso_admin_handler(struct iso_admin *admin)
{
	return &admin->handler;
}

void iso_admin_adopt(struct iso_admin *admin, struct iso_snapshot *snapshot)
{
	if (admin != NULL)
		admin->config.snapshot = snapshot;
}

void iso_admin_drain(struct iso_admin *admin)
{
	if (admin != NULL)
		admin->draining = true;
}
