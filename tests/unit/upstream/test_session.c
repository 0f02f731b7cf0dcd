/*
 * Attempts on one connection: what of a request counts as written, and what is no answer to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define MUST(condition) assert_true(condition)

#include "region_rig.h"
#include "uconn_priv.h"

enum { FRAME_HEADERS = 1, FRAME_GOAWAY = 7, END_STREAM = 1 };
enum { CALLS = 3, PIECE = 8192, PIECES_MAX = 4096, PATIENCE_S = 20 };

struct call {
	struct iso_attempt a;
	struct iso_head head;
	struct iso_arena arena;
	enum iso_executed executed;
	bool got_head, over;
};

static struct call calls[CALLS];
static int fd; /* the region's end of the connection */

static struct call *call_of(struct iso_attempt *a)
{
	return ISO_CONTAINER(a, struct call, a);
}

static void on_head(struct iso_attempt *a, const struct iso_head *head, bool end)
{
	(void)head;
	(void)end;
	call_of(a)->got_head = true;
}

static void on_data(struct iso_attempt *a, struct iso_buf *data, bool end)
{
	size_t n = data->bytes;

	(void)end;
	iso_buf_done(data);
	iso_buf_init(data);
	iso_attempt_consumed(a, n);
}

static void on_trailers(struct iso_attempt *a, const struct iso_fields *trailers)
{
	(void)a;
	(void)trailers;
}

static void on_writable(struct iso_attempt *a, size_t n)
{
	(void)a;
	(void)n;
}

static void on_end(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed)
{
	(void)outcome;
	call_of(a)->over = true;
	call_of(a)->executed = executed;
}

static struct call *start(uint32_t i, const char *method, bool end)
{
	static const struct iso_attempt_ops ops = {
		on_head, on_data, on_trailers, on_writable, NULL, on_end
	};
	struct call *call = &calls[i];
	struct iso_attempt_spec spec = { .ops = &ops,
					 .service = &service,
					 .arena = &call->arena,
					 .head = &call->head,
					 .end = end,
					 .endpoint = -1 };

	memset(call, 0, sizeof(*call));
	iso_arena_init(&call->arena, &loop.arenas, 64 * 1024);
	call->head = rig_head(method, "");
	iso_attempt_start(&call->a, &upstream, &spec);
	return call;
}

static bool in_time(time_t since)
{
	return time(NULL) < since + PATIENCE_S;
}

/* The region's end of the connection that is being made; it takes little before it is read. */
static void accept_one(void)
{
	time_t since = time(NULL);

	do
		turns(1);
	while ((fd = accept(listening, NULL, NULL)) < 0 && in_time(since));
	assert_true(fd >= 0);
}

static void say(const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void write_piece(struct call *call)
{
	static const char zeros[PIECE];
	struct iso_buf body;

	iso_buf_init(&body);
	assert_int_equal(iso_buf_append_copy(&body, &loop.chunks, zeros, sizeof(zeros)), ISO_OK);
	assert_int_equal(iso_attempt_body(&call->a, &body, false), ISO_OK);
	iso_buf_done(&body);
	turns(2);
}

/* An upload until the kernel takes no more, and something of it waits in the transport. */
static struct call *upload_into_a_stalled_connection(void)
{
	/* SETTINGS_INITIAL_WINDOW_SIZE and a WINDOW_UPDATE: as much as there can be. */
	static const uint8_t hello[] = { 0,    0, 6, 4, 0, 0, 0, 0, 0, 0, 4,    0x7f, 0xff, 0xff,
					 0xff, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0,    0 };
	struct call *call = start(0, "POST", false);
	time_t since = time(NULL);
	const struct iso_transport *t;

	accept_one();
	say(hello, sizeof(hello));
	while (call->a.conn == NULL && in_time(since))
		turns(1);
	assert_non_null(call->a.conn);
	t = &call->a.conn->t;
	for (int i = 0; i < PIECES_MAX && t->accepted == t->queued; i++)
		write_piece(call);
	turns(5);
	assert_true(t->accepted < t->queued && call->a.body.bytes == 0);
	return call;
}

/* Reads what the region gets until a frame of this type with these flags, on this stream; whether it comes.
 */
static bool comes(uint8_t type, uint8_t flags, uint8_t stream)
{
	uint8_t head[9];
	uint32_t have = 0, skip = 24; /* the preface */
	time_t since = time(NULL);
	bool found = false;

	while (!found && in_time(since)) {
		uint8_t bytes[65536];
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n == 0)
			break;
		turns(1);
		for (ssize_t i = 0; i < n; i++) {
			if (skip > 0) {
				skip--;
				continue;
			}
			head[have++] = bytes[i];
			if (have < sizeof(head))
				continue;
			have = 0;
			skip = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
			found = found || (head[3] == type && (head[4] & flags) == flags && head[8] == stream);
		}
	}
	return found;
}

static bool comes_whole(uint8_t stream)
{
	return comes(FRAME_HEADERS, END_STREAM, stream);
}

static void end(void)
{
	for (uint32_t i = 0; i < CALLS; i++)
		if (calls[i].head.path.len > 0 && !calls[i].over)
			iso_attempt_cancel(&calls[i].a);
	close(fd);
	rig_unbind();
	while ((fd = accept(listening, NULL, NULL)) >= 0) /* connections that the pool wanted besides */
		close(fd);
	for (uint32_t i = 0; i < CALLS; i++)
		iso_arena_done(&calls[i].arena);
	memset(calls, 0, sizeof(calls));
}

static int setup(void **state)
{
	int few = 4096;

	(void)state;
	rig_begin();
	return setsockopt(listening, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few));
}

/* A POST that waits behind such an upload, made and not taken by the kernel. */
static struct call *post_that_waits(void)
{
	const struct iso_transport *t;
	struct call *post;

	rig_bind(ISO_PROTOCOL_H2);
	t = &upload_into_a_stalled_connection()->a.conn->t;
	post = start(1, "POST", true);
	turns(2);
	assert_true(post->a.mark != UINT64_MAX && t->accepted <= post->a.mark);
	return post;
}

/* RST_STREAM takes nothing back: the region gets the request first. */
static void test_what_waits_on_a_shared_connection_may_run(void **state)
{
	struct call *post = post_that_waits();

	(void)state;
	assert_int_equal(iso_attempt_executed(&post->a, ISO_BREAK_GIVEN_UP), ISO_EXECUTED_MAYBE);
	iso_attempt_cancel(&post->a);
	assert_true(comes_whole(3));
	end();
}

/* A connection that is given up says goodbye, and what waits goes before that. */
static void test_what_waits_on_a_connection_that_lingers_may_run(void **state)
{
	static const uint8_t data_on_no_stream[] = { 0, 0, 1, 0, 0, 0, 0, 0, 0, 'x' };
	struct call *post = post_that_waits();
	time_t since = time(NULL);

	(void)state;
	say(data_on_no_stream, sizeof(data_on_no_stream));
	while (!post->over && in_time(since))
		turns(1);
	assert_true(post->over);
	assert_int_equal(post->executed, ISO_EXECUTED_MAYBE);
	assert_true(comes_whole(3));
	end();
}

/* One that is closed takes with it what the kernel has not got. */
static void test_what_waits_on_a_closed_connection_has_not_run(void **state)
{
	struct linger cut = { 1, 0 };
	struct call *post = post_that_waits();
	time_t since = time(NULL);

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut)), 0);
	close(fd);
	while (!post->over && in_time(since))
		turns(1);
	assert_true(post->over);
	assert_int_equal(post->executed, ISO_EXECUTED_NO);
	assert_true(calls[0].over);
	assert_int_equal(calls[0].executed, ISO_EXECUTED_MAYBE);
	fd = -1;
	end();
}

/* What was taken back before it was made costs the connection nothing. */
static void test_a_request_that_is_never_sent(void **state)
{
	struct iso_uconn *conn;
	struct call *post;

	(void)state;
	rig_bind(ISO_PROTOCOL_H2);
	conn = upload_into_a_stalled_connection()->a.conn;
	post = start(1, "POST", true);
	assert_ptr_equal(post->a.conn, conn);
	assert_int_equal(iso_attempt_executed(&post->a, ISO_BREAK_GIVEN_UP), ISO_EXECUTED_NO);
	iso_attempt_cancel(&post->a);
	turns(2);
	assert_int_equal(conn->state, ISO_UCONN_OPEN);
	assert_ptr_equal(start(2, "POST", true)->a.conn, conn);
	turns(2);
	assert_true(comes_whole(5));
	end();
}

/* RFC 9112 section 9.2: answers come after their requests. */
static void test_an_answer_before_its_request(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	time_t since = time(NULL);
	struct call *first, *second;

	(void)state;
	rig_bind(ISO_PROTOCOL_HTTP11);
	first = start(0, "GET", true);
	accept_one();
	while (first->a.sent_us == 0 && in_time(since))
		turns(1);
	say(answer, sizeof(answer) - 1);
	while (!first->over && in_time(since))
		turns(1);
	assert_true(first->over && first->got_head);
	say(answer, sizeof(answer) - 1); /* for whoever comes next */
	second = start(1, "POST", true);
	assert_non_null(second->a.conn);
	while (!second->over && in_time(since))
		turns(1);
	assert_true(second->over && !second->got_head);
	assert_int_equal(second->executed, ISO_EXECUTED_NO);
	end();
}

/* RFC 9113 section 5.1, wherever the reads part what comes: frames on a stream that has ended are an error.
 */
static void test_frames_behind_an_end_in_any_pieces(void **state)
{
	static const uint8_t all[] = {
		0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88,                 /* HEADERS: 200 */
		0, 0, 2, 0, 1, 0, 0, 0, 1, 'o',  'k',            /* DATA, END_STREAM */
		0, 0, 5, 1, 4, 0, 0, 0, 1, 0x88, 15,  13, 1, '6' /* HEADERS once more */
	};
	static const uint8_t settings[] = { 0, 0, 0, 4, 0, 0, 0, 0, 0 };

	(void)state;
	for (size_t cut = 1; cut < sizeof(all); cut++) {
		struct call *call;
		time_t since = time(NULL);

		rig_bind(ISO_PROTOCOL_H2);
		call = start(0, "GET", true);
		accept_one();
		say(settings, sizeof(settings));
		while (call->a.sent_us == 0 && in_time(since))
			turns(1);
		say(all, cut);
		turns(3);
		say(all + cut, sizeof(all) - cut);
		assert_true(comes(FRAME_GOAWAY, 0, 0));
		assert_true(call->over && call->got_head && call->executed == ISO_EXECUTED_YES);
		end();
	}
}

/* gRPC, refused by the connection that both get at once, which goes on all the same. */
static void test_two_that_http11_cannot_carry(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	time_t since = time(NULL);
	struct call *get;

	(void)state;
	rig_bind(ISO_PROTOCOL_HTTP11);
	for (uint32_t i = 0; i < 2; i++) {
		struct call *rpc = start(i, "POST", true);

		assert_int_equal(iso_fields_add(&rpc->head.fields, &rpc->arena, ISO_SLICE("content-type"),
						ISO_SLICE("application/grpc")),
				 ISO_OK);
	}
	accept_one();
	while (!(calls[0].over && calls[1].over) && in_time(since))
		turns(1);
	get = start(2, "GET", true);
	while (get->a.sent_us == 0 && in_time(since))
		turns(1);
	say(answer, sizeof(answer) - 1);
	while (!get->over && in_time(since))
		turns(1);
	assert_true(get->over && get->got_head);
	for (uint32_t i = 0; i < 2; i++)
		assert_true(calls[i].over && calls[i].executed == ISO_EXECUTED_NO);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_waits_on_a_shared_connection_may_run),
		cmocka_unit_test(test_what_waits_on_a_connection_that_lingers_may_run),
		cmocka_unit_test(test_what_waits_on_a_closed_connection_has_not_run),
		cmocka_unit_test(test_a_request_that_is_never_sent),
		cmocka_unit_test(test_an_answer_before_its_request),
		cmocka_unit_test(test_frames_behind_an_end_in_any_pieces),
		cmocka_unit_test(test_two_that_http11_cannot_carry),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
