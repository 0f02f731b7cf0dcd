/*
 * Whole upstream sessions: the input is what a region sends, through a real socket, pool, codec and nghttp2
 * or llhttp, to attempts that read, upload, are cancelled, or want a tunnel. Every attempt ends once, nothing
 * is heard of it afterwards, and every chunk comes back.
 */
#include <unistd.h>

#include "fuzz.h"
#include "region_rig.h"

enum { CALLS = 5, ROUNDS = 4, CONNS_MAX = 32, BODY = 20000 };

struct call {
	struct iso_attempt a;
	struct iso_head head;
	struct iso_arena arena;
	bool started, over, got_final, got_end;
};

static struct call calls[CALLS];
static int conns[CONNS_MAX];
static uint32_t conn_count;

static struct call *call_of(struct iso_attempt *a)
{
	return ISO_CONTAINER(a, struct call, a);
}

static void on_head(struct iso_attempt *a, const struct iso_head *head, bool end)
{
	struct call *call = call_of(a);

	MUST(!call->over && !call->got_final && head->status >= 100 && head->status <= 999);
	MUST(head->status == 101 || head->status >= 200 || !end);
	MUST(!head->tunnel || call->head.protocol.len > 0);
	for (uint32_t i = 0; i < head->fields.n; i++)
		MUST(head->fields.v[i].name.len > 0 && head->fields.v[i].name.ptr[0] != ':');
	call->got_final = head->status >= 200 || head->status == 101;
	call->got_end = end;
}

static void on_data(struct iso_attempt *a, struct iso_buf *data, bool end)
{
	struct call *call = call_of(a);
	size_t n = data->bytes;

	MUST(!call->over && call->got_final && !call->got_end);
	MUST(n == 0 || call->head.method_id != ISO_METHOD_HEAD);
	iso_buf_done(data);
	iso_buf_init(data);
	call->got_end = end;
	if (call != &calls[0]) /* the first does not read on */
		iso_attempt_consumed(a, n);
}

static void on_trailers(struct iso_attempt *a, const struct iso_fields *trailers)
{
	struct call *call = call_of(a);

	MUST(!call->over && call->got_final && !call->got_end);
	for (uint32_t i = 0; i < trailers->n; i++)
		MUST(trailers->v[i].name.len > 0);
	call->got_end = true;
}

static void on_writable(struct iso_attempt *a, size_t n)
{
	MUST(!call_of(a)->over && n <= BODY);
}

static void on_suspect(struct iso_attempt *a)
{
	MUST(!call_of(a)->over);
}

static void on_end(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed)
{
	struct call *call = call_of(a);

	MUST(!call->over && outcome < ISO_OUTCOME_COUNT);
	MUST(outcome != ISO_OUTCOME_OK || (call->got_final && executed == ISO_EXECUTED_YES));
	MUST(executed != ISO_EXECUTED_NO || !call->got_final);
	call->over = true;
}

/* What the region has accepted by now, told what it has to say. */
static void answer(bool h2, bool greets, const uint8_t *data, size_t size)
{
	static const uint8_t settings[9] = { 0, 0, 0, 4 };
	struct linger cut = { 1, 0 }; /* no port is to stay in TIME_WAIT */
	char drain[4096];
	int fd;

	while (conn_count < CONNS_MAX && (fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		conns[conn_count++] = fd;
		MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut)) == 0);
		if (h2 && greets)
			(void)send(fd, settings, sizeof(settings), MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	for (uint32_t i = 0; i < conn_count; i++)
		while (recv(conns[i], drain, sizeof(drain), MSG_DONTWAIT) > 0)
			;
}

static void start(uint32_t i, const char *method, const char *protocol)
{
	static const struct iso_attempt_ops ops = { on_head,     on_data,    on_trailers,
						    on_writable, on_suspect, on_end };
	struct call *call = &calls[i];
	bool upload = strcmp(method, "POST") == 0;
	struct iso_attempt_spec spec = { .ops = &ops,
					 .service = &service,
					 .arena = &call->arena,
					 .head = &call->head,
					 .end = !upload && protocol[0] == '\0',
					 .idempotent = !upload,
					 .endpoint = -1 };

	memset(call, 0, sizeof(*call));
	iso_arena_init(&call->arena, &loop.arenas, 256 * 1024);
	call->head = rig_head(method, protocol);
	call->started = true;
	iso_attempt_start(&call->a, &upstream, &spec);
	if (upload) {
		static const char bytes[BODY] = { 0 };
		struct iso_buf body;

		iso_buf_init(&body);
		if (iso_buf_append_copy(&body, &loop.chunks, bytes, sizeof(bytes)) == ISO_OK)
			(void)!iso_attempt_body(&call->a, &body, true);
		iso_buf_done(&body);
	}
}

static void end_all(void)
{
	for (uint32_t i = 0; i < CALLS; i++) {
		if (!calls[i].over)
			iso_attempt_cancel(&calls[i].a);
		calls[i].over = true; /* whatever comes now is too late */
	}
	for (uint32_t i = 0; i < conn_count; i++)
		close(conns[i]);
	conn_count = 0;
	rig_unbind();
	for (uint32_t i = 0; i < CALLS; i++)
		iso_arena_done(&calls[i].arena);
	answer(false, false, NULL, 0); /* whoever still stood in the backlog */
	while (conn_count > 0)
		close(conns[--conn_count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun;
	bool h2 = size > 0 && (data[0] & 1) != 0, greets = size > 0 && (data[0] & 2) == 0;

	if (!begun)
		rig_begin();
	begun = true;
	if (size == 0)
		return 0;
	rig_bind(h2 ? ISO_PROTOCOL_H2 : ISO_PROTOCOL_HTTP11);
	start(0, "GET", "");
	start(1, "POST", "");
	start(2, "HEAD", "");
	start(3, "GET", "websocket");
	start(4, "GET", "");
	iso_upstream_turn_end(&upstream);
	for (int i = 0; i < ROUNDS; i++) {
		turns(2);
		answer(h2, greets, data + 1, size - 1);
		if (i == 2 && !calls[4].over) {
			iso_attempt_cancel(&calls[4].a);
			calls[4].over = true;
		}
	}
	turns(2);
	end_all();
	MUST(loop.chunks.live <= 2); /* the input chunk, and the open one for small copies */
	return 0;
}
