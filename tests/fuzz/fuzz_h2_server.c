/*
 * Whole downstream HTTP/2 sessions: the input is what a client sends (behind the preface, unless the first
 * byte says otherwise), through a real socket, server, guard and nghttp2, to a handler that answers, echoes,
 * resets or waits by the path. Afterwards every chunk is back.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "iso/base/clock.h"
#include "iso/server/server.h"

enum { TURNS = 40 };

struct call {
	struct iso_sink sink;
	struct iso_sink *response;
	struct iso_task task;
	char way;
	bool tunnel;
};

static struct iso_loop loop;
static struct iso_server server;
static int listening;
static struct sockaddr_in address;

static void answer(struct iso_task *task)
{
	struct call *call = ISO_CONTAINER(task, struct call, task);
	struct iso_head head = {
		.version = ISO_HTTP_2, .status = 200, .content_length = -1, .tunnel = call->tunnel
	};
	struct iso_buf body;

	if (call->way == 'r') {
		call->response->ops->reset(call->response, ISO_RESET_CANCEL);
		return;
	}
	iso_buf_init(&body);
	call->response->ops->head(call->response, &head, false);
	if (iso_buf_append_copy(&body, &loop.chunks, "hello", 5) == ISO_OK)
		call->response->ops->data(call->response, &body, call->way != 'e');
	iso_buf_done(&body);
}

static void on_data(struct iso_sink *to, struct iso_buf *data, bool end)
{
	struct call *call = ISO_CONTAINER(to, struct call, sink);

	if (call->way == 'e' && !iso_list_linked(&call->task.link)) {
		call->response->ops->data(call->response, data, end);
		return;
	}
	call->response->ops->writable(call->response, data->bytes);
	iso_buf_done(data);
}

static void on_trailers(struct iso_sink *to, const struct iso_fields *trailers)
{
	(void)to;
	for (uint32_t i = 0; i < trailers->n; i++)
		MUST(trailers->v[i].name.len > 0);
}

static void on_writable(struct iso_sink *to, size_t freed)
{
	struct call *call = ISO_CONTAINER(to, struct call, sink);

	if (call->way == 'e' && !iso_list_linked(&call->task.link))
		call->response->ops->writable(call->response, freed);
}

static void on_reset(struct iso_sink *to, enum iso_reset why)
{
	(void)why;
	iso_task_cancel(&ISO_CONTAINER(to, struct call, sink)->task);
}

static struct iso_sink *on_request(struct iso_handler *handler, const struct iso_request *request)
{
	static const struct iso_sink_ops ops = {
		.data = on_data, .trailers = on_trailers, .writable = on_writable, .reset = on_reset
	};
	struct call *call = iso_arena_zalloc(request->arena, sizeof(*call));

	(void)handler;
	MUST(request->head->path.len > 0 && request->head->method.len > 0);
	if (call == NULL)
		return NULL;
	call->sink.ops = &ops;
	call->response = request->response;
	call->way = request->head->path.len > 1 ? request->head->path.ptr[1] : 'a';
	call->tunnel = request->head->protocol.len > 0;
	MUST(!call->tunnel || request->head->content_length <= 0);
	iso_task_init(&call->task, answer);
	if (call->way != 'w')
		iso_loop_post(&loop, &call->task);
	return &call->sink;
}

static struct iso_handler handler = { on_request };

static void begin(void)
{
	static const struct iso_cfg_limits limits = {
		.header_bytes = 16 * 1024,
		.header_count = 50,
		.streams = 20,
		.connections = 10,
		.handshake_timeout_us = 1000000,
		.header_timeout_us = 1000000,
		.keepalive_timeout_us = 1000000,
		.h2_resets = 50,
		.h2_control_frames = 200,
		.h2_empty_frames = 20,
		.body_rate = 240,
		.rate_window_us = 1000000,
	};
	struct iso_cfg_listener listener = { .h2 = true };
	struct iso_sockaddr any = { .len = sizeof(any.u.v4) };
	socklen_t len = sizeof(address);

	any.u.v4.sin_family = AF_INET;
	any.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(iso_loop_init(&loop, 4096) == ISO_OK);
	iso_server_init(&server, &loop, &handler, &limits);
	MUST(iso_listener_bind(&any, &listening) == ISO_OK);
	MUST(getsockname(listening, (struct sockaddr *)&address, &len) == 0);
	listener.addr = any;
	MUST(iso_server_listen(&server, listening, &listener) == ISO_OK);
}

static void run_stop(struct iso_task *task)
{
	(void)task;
	iso_loop_stop(&loop);
}

/* So many turns that do not wait, or until the connection has gone. */
static void turns(int most)
{
	struct iso_task stop;

	iso_task_init(&stop, run_stop);
	for (int i = 0; i < most && (i < 2 || atomic_load(&server.counters.connections) > 0); i++) {
		iso_loop_post_next(&loop, &stop);
		loop.stopping = false;
		iso_loop_run(&loop);
	}
}

/* libFuzzer looks at its clock by a signal, which may come in between: the connection is made all the same.
 */
static bool is_connected(int fd)
{
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		if (errno != EINTR && errno != EALREADY)
			return errno == EISCONN;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
	static bool begun;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char drain[4096];

	if (!begun)
		begin();
	begun = true;
	MUST(fd >= 0 && is_connected(fd));
	if (size > 0 && (data[0] & 1) == 0)
		MUST(send(fd, preface, sizeof(preface), MSG_NOSIGNAL) > 0);
	if (size > 1)
		(void)send(fd, data + 1, size - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	turns(3);
	while (recv(fd, drain, sizeof(drain), MSG_DONTWAIT) > 0)
		;
	turns(2);
	close(fd);
	/* On a loaded machine the end of the connection may take a while to arrive. */
	for (uint64_t until_us = iso_clock_mono_us() + 5000000;
	     atomic_load(&server.counters.connections) > 0 && iso_clock_mono_us() < until_us;)
		turns(TURNS);
	MUST(atomic_load(&server.counters.connections) == 0 && atomic_load(&server.counters.streams) == 0);
	MUST(loop.chunks.live <= 2); /* the input chunk, and the open one for small copies */
	return 0;
}
