/*
 * A transport in clear: what arrives and in which order, what has provably not left, who waits for whom, and
 * how it ends.
 */
#include "net/transport_rig.h"

#include "iso/base/rng.h"

static size_t wanted;

static bool has_got(void)
{
	return r.got_n >= wanted;
}

static void until_got(size_t n)
{
	wanted = n;
	rig_until(has_got);
}

static void test_ready_comes_in_this_turn_not_in_start(void **state)
{
	uint64_t before = r.g.loop.turns;

	(void)state;
	rig_accept(NULL);
	assert_int_equal(r.readies, 0);
	rig_until(is_ready);
	assert_int_equal(r.g.loop.turns, before + 1);
	rig_rest();
	assert_int_equal(r.readies, 1);
	assert_int_equal(r.inputs + r.closes, 0);
	assert_int_equal(r.t.alpn, ISO_ALPN_NONE);
}

static void test_bytes_arrive_in_order(void **state)
{
	size_t at = 0;

	(void)state;
	rig_accept(NULL);
	for (size_t n = 1; n < 40000; n = n * 3 + 1) {
		peer_write(r.bytes + at, n);
		at += n;
		until_got(at);
	}
	assert_int_equal(r.got_n, at);
	assert_memory_equal(r.got, r.bytes, at);
	assert_int_equal(r.closes, 0);
}

static struct iso_chunk *kept;
static uint8_t *kept_at;
static size_t kept_n;

static size_t keep_input(struct iso_transport *t, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	if (kept == NULL) {
		kept = iso_chunk_ref(chunk);
		kept_at = bytes;
		kept_n = n;
	}
	return rig_input(t, chunk, bytes, n);
}

static void test_a_kept_range_is_not_overwritten(void **state)
{
	static const struct iso_transport_ops ops = { rig_ready, keep_input, rig_fill, rig_closed };

	(void)state;
	kept = NULL;
	rig_accept(NULL);
	r.t.ops = &ops;
	peer_write(r.bytes, 5000);
	until_got(5000);
	for (size_t i = 0; i < 20; i++) {
		peer_write(r.bytes + 5000 + i * 5000, 5000);
		until_got(10000 + i * 5000);
	}
	assert_memory_equal(kept_at, r.bytes, kept_n);
	iso_chunk_unref(kept);
}

static void test_what_is_left_comes_again(void **state)
{
	(void)state;
	rig_accept(NULL);
	r.take_max = 10;
	peer_write(r.bytes, 100);
	until_got(10);
	peer_write(r.bytes + 100, 100);
	rig_rest();
	assert_int_equal(r.inputs, 1); /* it is paused, whatever comes */
	while (r.got_n < 180) {
		size_t before = r.got_n;

		iso_transport_resume(&r.t);
		until_got(before + 10);
		rig_rest();
		assert_true(r.got_n <= before + 20); /* all of one piece, and 10 of the next */
	}
	r.take_max = 0;
	wanted = r.got_n;
	iso_transport_resume(&r.t);
	rig_rest();
	assert_int_equal(r.got_n, wanted);
	r.take_max = SIZE_MAX;
	iso_transport_resume(&r.t);
	until_got(200);
	iso_transport_resume(&r.t); /* not paused: nothing */
	rig_rest();
	assert_memory_equal(r.got, r.bytes, 200);
	assert_int_equal(r.got_n, 200);
}

static void test_an_end_with_data(void **state)
{
	(void)state;
	rig_accept(NULL);
	peer_write(r.bytes, 30000);
	assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
	rig_until(is_closed);
	assert_int_equal(r.last_err, ISO_EEOF);
	assert_int_equal(r.got_n, 30000);
	assert_memory_equal(r.got, r.bytes, 30000);
	rig_send(5000); /* the other direction goes on */
	rig_until(peer_has_all);
	assert_memory_equal(r.read, r.bytes, 5000);
	rig_rest();
	assert_int_equal(r.closes, 1);
}

static void test_an_end_waits_for_who_is_paused(void **state)
{
	(void)state;
	rig_accept(NULL);
	r.take_max = 1;
	peer_write(r.bytes, 3);
	assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
	until_got(1);
	rig_rest();
	assert_int_equal(r.closes, 0);
	iso_transport_resume(&r.t);
	until_got(2);
	rig_rest();
	assert_int_equal(r.closes, 0);
	iso_transport_resume(&r.t);
	rig_until(is_closed);
	assert_int_equal(r.got_n, 3);
	assert_int_equal(r.last_err, ISO_EEOF);
}

static void test_a_reset(void **state)
{
	(void)state;
	rig_accept(NULL);
	rig_send(10);
	rig_until(is_ready);
	rig_rest();
	close(r.peer); /* with our bytes unread */
	r.peer = -1;
	rig_until(is_closed);
	assert_int_equal(r.last_err, ISO_ERESET);
	rig_send(10);
	iso_transport_resume(&r.t);
	iso_transport_finish(&r.t);
	rig_rest();
	assert_int_equal(r.closes, 1);
	assert_int_equal(iso_transport_room(&r.t), 0);
	assert_int_equal(iso_transport_write(&r.t, "x", 1), ISO_ERESET);
}

/* At the end of a turn: the kernel takes no more. */
static bool is_full(void)
{
	return r.t.queued > r.t.accepted;
}

/* accepted is what the peer can ever read, so what begins behind it has not been sent. */
static void test_proof_of_not_sent(void **state)
{
	(void)state;
	rig_accept(NULL);
	rig_until(is_ready);
	assert_int_equal(r.t.queued, 0);
	rig_send(RIG_BYTES);
	rig_until(is_full);
	rig_end();
	assert_true(r.accepted > 0 && r.accepted < r.queued);
	assert_false(peer_read(SIZE_MAX));
	assert_int_equal(r.read_n, r.accepted);
	assert_memory_equal(r.read, r.bytes, r.read_n);
}

static void test_a_full_peer_holds_the_owner(void **state)
{
	uint64_t last = 0;
	int fills;

	(void)state;
	rig_accept(NULL);
	rig_send(RIG_BYTES);
	rig_until(is_full);
	iso_transport_dirty(&r.t); /* the kernel has made some room; the owner fills it */
	rig_rest();
	assert_int_equal(iso_transport_room(&r.t), 0);
	fills = r.fills;
	iso_transport_dirty(&r.t);
	rig_rest();
	assert_int_equal(r.fills, fills);                    /* no room, no fill */
	assert_true(r.t.queued - r.t.accepted < 256 * 1024); /* it is bounded */
	assert_true(iso_transport_unacknowledged(&r.t) >= r.t.queued - r.t.accepted);
	while (r.read_n < RIG_BYTES) {
		assert_true(peer_read(50000));
		rig_rest();
		assert_true(r.t.accepted >= last && r.t.queued >= r.t.accepted); /* they only grow */
		last = r.t.accepted;
	}
	rig_until(peer_has_all);
	rig_rest();
	assert_memory_equal(r.read, r.bytes, RIG_BYTES);
	assert_int_equal(r.t.queued, RIG_BYTES);
	assert_int_equal(r.t.accepted, RIG_BYTES);
	assert_int_equal(iso_transport_unacknowledged(&r.t), 0);
	assert_null(r.t.out); /* an idle connection owns no buffer */
	assert_int_equal(r.t.plain.bytes + r.t.parked.bytes, 0);
}

static struct iso_rng rng;
static struct iso_buf body;

/* Writes of all kinds, small and large, with and without room for the header. */
static void random_fill(struct iso_transport *t)
{
	while (r.sent_n < r.send_n && iso_transport_room(t) > 0) {
		size_t left = r.send_n - r.sent_n, n = 1 + iso_rng_below(&rng, 20000);
		size_t header = iso_rng_below(&rng, ISO_CHUNK_HEADROOM + 1), skip = iso_rng_below(&rng, 100);

		n = n < left ? n : left;
		if (iso_rng_below(&rng, 3) == 0 || header > n) {
			assert_int_equal(iso_transport_write(t, r.bytes + r.sent_n, n), ISO_OK);
			r.sent_n += n;
			continue;
		}
		while (body.bytes < skip + n - header) {
			size_t have = body.bytes < skip ? 0 : body.bytes - skip;
			size_t part = body.bytes < skip ? skip - body.bytes : n - header - have;
			struct iso_chunk *chunk = iso_chunk_acquire(&t->loop->chunks);

			assert_non_null(chunk);
			part = part < ISO_CHUNK_BYTES ? part : ISO_CHUNK_BYTES;
			memcpy(chunk->bytes, r.bytes + r.sent_n + header + have, part);
			assert_int_equal(iso_buf_append_seg(&body, chunk, chunk->bytes, (uint32_t)part,
							    ISO_CHUNK_HEADROOM),
					 ISO_OK);
			iso_chunk_unref(chunk);
		}
		iso_buf_consume(&body, skip);
		assert_int_equal(iso_transport_write_body(t, r.bytes + r.sent_n, header, &body, n - header),
				 ISO_OK);
		assert_int_equal(body.bytes, 0);
		r.sent_n += n;
	}
}

static bool peer_reads_at_random(void)
{
	return !peer_read(iso_rng_below(&rng, 60000)) || r.read_n >= r.send_n;
}

static void test_writes_of_all_kinds(void **state)
{
	static const struct iso_transport_ops ops = { rig_ready, rig_input, random_fill, rig_closed };

	(void)state;
	iso_rng_seed(&rng, 7);
	iso_buf_init(&body);
	rig_accept(NULL);
	r.t.ops = &ops;
	rig_send(RIG_BYTES);
	rig_until(peer_reads_at_random);
	assert_int_equal(r.read_n, RIG_BYTES);
	assert_memory_equal(r.read, r.bytes, RIG_BYTES);
	iso_buf_done(&body);
}

static void test_finish_flushes_first(void **state)
{
	(void)state;
	rig_accept(NULL);
	rig_until(is_ready);
	rig_send(300000);
	iso_transport_finish(&r.t);
	iso_transport_finish(&r.t);
	rig_rest();
	rig_rest();
	assert_int_equal(r.closes, 0);
	while (r.sent_n < r.send_n || r.read_n < r.send_n) {
		size_t left = r.send_n - r.read_n;

		assert_true(peer_read(left < 10000 ? left : 10000)); /* no end before the last byte */
		rig_rest();
	}
	rig_until(peer_sees_the_end);
	assert_int_equal(r.read_n, 300000);
	assert_memory_equal(r.read, r.bytes, 300000);
	peer_write("late", 4); /* is thrown away */
	rig_rest();
	assert_int_equal(r.inputs + r.closes, 0);
	close(r.peer);
	r.peer = -1;
	rig_until(is_closed);
	assert_int_equal(r.last_err, ISO_EEOF);
	rig_rest();
	assert_int_equal(r.closes, 1);
}

static void test_finish_of_who_is_paused(void **state)
{
	(void)state;
	rig_accept(NULL);
	r.take_max = 0;
	peer_write(r.bytes, 5000);
	rig_rest();
	assert_int_equal(r.inputs, 1);
	iso_transport_finish(&r.t);
	rig_until(peer_sees_the_end);
	assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
	rig_until(is_closed);
	assert_int_equal(r.inputs, 1);
}

static struct iso_task other;
static int inputs_before_other;

static void run_other(struct iso_task *task)
{
	(void)task;
	inputs_before_other = r.inputs;
}

static bool has_input(void)
{
	return r.inputs > 0;
}

static void reads_beside_another(bool patient)
{
	rig_accept(NULL);
	rig_rest();
	assert_true(r.t.patient); /* until its owner says otherwise */
	r.t.patient = patient;
	inputs_before_other = -1;
	iso_task_init(&other, run_other);
	peer_write(r.bytes, 100);
	iso_loop_post(&r.g.loop, &other);
	rig_until(has_input);
	assert_int_equal(r.got_n, 100);
}

static void test_a_patient_one_is_read_after_others(void **state)
{
	(void)state;
	reads_beside_another(true);
	assert_int_equal(inputs_before_other, 0);
}

static void test_a_prompt_one_is_read_before(void **state)
{
	(void)state;
	reads_beside_another(false);
	assert_int_equal(inputs_before_other, 1);
}

static void ends_in(enum rig_end where)
{
	rig_accept(NULL);
	r.end_in = where;
	peer_write(r.bytes, 20000);
	rig_send(20000);
	if (where == END_IN_CLOSED)
		assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
	rig_until(has_ended);
	rig_rest();
	assert_int_equal(r.after_end, 0);
	(void)peer_read(SIZE_MAX);
	assert_int_equal(r.read_n, r.accepted);
}

static void test_done_in_ready(void **state)
{
	(void)state;
	ends_in(END_IN_READY);
	assert_int_equal(r.inputs + r.fills + r.closes, 0);
}

static void test_done_in_input(void **state)
{
	(void)state;
	ends_in(END_IN_INPUT);
	assert_int_equal(r.inputs, 1);
}

static void test_done_in_fill(void **state)
{
	(void)state;
	ends_in(END_IN_FILL);
	assert_int_equal(r.fills, 1);
	assert_int_equal(r.accepted, 0); /* it had been written, not sent */
}

static void test_done_in_closed(void **state)
{
	(void)state;
	ends_in(END_IN_CLOSED);
	assert_int_equal(r.closes, 1);
}

static void test_done_before_anything(void **state)
{
	struct iso_transport zero = { .fd = 0 };

	(void)state;
	iso_transport_done(NULL);
	iso_transport_done(&zero);
	rig_accept(NULL);
	peer_write("x", 1);
	iso_transport_dirty(&r.t);
	rig_end();
	rig_end();
	iso_transport_dirty(&r.t);
	iso_transport_resume(&r.t);
	iso_transport_finish(&r.t);
	rig_rest();
	assert_int_equal(r.readies + r.inputs + r.fills + r.closes, 0);
}

/* Takes what chunks the loop has. */
static int exhaust(struct iso_chunk **ret_all)
{
	struct iso_chunk *chunk;
	int n = 0;

	while ((chunk = iso_chunk_acquire(&r.g.loop.chunks)) != NULL) {
		ret_all[n++] = chunk;
		assert_true(n <= 64);
	}
	return n;
}

static void test_no_chunk_left(void **state)
{
	struct iso_chunk *all[65];
	int n;

	(void)state;
	rig_accept(NULL);
	rig_until(is_ready);
	n = exhaust(all);
	peer_write("x", 1);
	rig_until(is_closed);
	assert_int_equal(r.last_err, ISO_ENOMEM);
	assert_int_equal(r.inputs, 0);
	while (n > 0)
		iso_chunk_unref(all[--n]);
}

static void test_no_chunk_left_to_write(void **state)
{
	struct iso_chunk *all[65];
	int n;

	(void)state;
	rig_accept(NULL);
	rig_until(is_ready);
	n = exhaust(all);
	rig_send(100000);
	rig_until(is_closed);
	assert_int_equal(r.last_err, ISO_ENOMEM);
	assert_int_equal(r.write_err, ISO_ENOMEM);
	assert_int_equal(r.t.accepted, 0);
	while (n > 0)
		iso_chunk_unref(all[--n]);
}

/* A port of the loopback that nobody listens on: it was bound a moment ago, and is ours still, unlistened. */
static int port_without_listener(struct iso_sockaddr *ret_addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_addr = (struct iso_sockaddr){ .len = sizeof(ret_addr->u.v4) };
	ret_addr->u.v4.sin_family = AF_INET;
	ret_addr->u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, &ret_addr->u.sa, ret_addr->len), 0);
	assert_int_equal(getsockname(fd, &ret_addr->u.sa, &ret_addr->len), 0);
	return fd;
}

static int start_to(const struct iso_sockaddr *to)
{
	int err;

	r.starting = true;
	err = iso_transport_connect(&r.t, &r.g.loop, &rig_ops, to, NULL, NULL);
	r.starting = false;
	return err;
}

static void test_connects(void **state)
{
	struct iso_sockaddr to;
	int listener = port_without_listener(&to);

	(void)state;
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(start_to(&to), ISO_OK);
	assert_int_equal(r.readies, 0);
	rig_send(100); /* before it is connected: waits */
	rig_until(is_ready);
	r.peer = accept(listener, NULL, NULL);
	nonblocking(r.peer);
	assert_true(r.t.connected_us >= r.t.started_us && r.t.ready_us >= r.t.connected_us);
	rig_until(peer_has_all);
	assert_memory_equal(r.read, r.bytes, 100);
	close(listener);
}

static void test_refused(void **state)
{
	struct iso_sockaddr to;
	int fd = port_without_listener(&to);

	(void)state;
	assert_int_equal(start_to(&to), ISO_OK);
	rig_send(100);
	rig_until(is_closed);
	assert_int_equal(r.last_err, ISO_EREFUSED);
	assert_int_equal(r.readies + r.fills, 0);
	assert_int_equal(r.t.queued, 0);
	assert_non_null(strstr(iso_transport_why(), "connect"));
	close(fd);
}

static void test_what_cannot_be_started(void **state)
{
	struct iso_sockaddr to = { .len = sizeof(to.u.v4) };

	(void)state;
	to.u.sa.sa_family = 0x7f;
	assert_true(start_to(&to) < 0);
	iso_transport_done(&r.t);
	to.u.sa.sa_family = AF_INET; /* port 0 of the broadcast address */
	to.u.v4.sin_addr.s_addr = htonl(INADDR_BROADCAST);
	assert_true(start_to(&to) < 0);
	iso_transport_done(&r.t);
	rig_rest();
	assert_int_equal(r.readies + r.closes, 0);
}

int main(void)
{
#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_ready_comes_in_this_turn_not_in_start),
		RIG_TEST(test_bytes_arrive_in_order),
		RIG_TEST(test_a_kept_range_is_not_overwritten),
		RIG_TEST(test_what_is_left_comes_again),
		RIG_TEST(test_an_end_with_data),
		RIG_TEST(test_an_end_waits_for_who_is_paused),
		RIG_TEST(test_a_reset),
		RIG_TEST(test_proof_of_not_sent),
		RIG_TEST(test_a_full_peer_holds_the_owner),
		RIG_TEST(test_writes_of_all_kinds),
		RIG_TEST(test_finish_flushes_first),
		RIG_TEST(test_finish_of_who_is_paused),
		RIG_TEST(test_a_patient_one_is_read_after_others),
		RIG_TEST(test_a_prompt_one_is_read_before),
		RIG_TEST(test_done_in_ready),
		RIG_TEST(test_done_in_input),
		RIG_TEST(test_done_in_fill),
		RIG_TEST(test_done_in_closed),
		RIG_TEST(test_done_before_anything),
		RIG_TEST(test_no_chunk_left),
		RIG_TEST(test_no_chunk_left_to_write),
		RIG_TEST(test_connects),
		RIG_TEST(test_refused),
		RIG_TEST(test_what_cannot_be_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
