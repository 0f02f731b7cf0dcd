/*
 * A transport under TLS, against OpenSSL on the other end of a pair of sockets: handshakes that succeed and
 * fail, records whole and in parts, and how each kind of end is told.
 */
#include <signal.h>

#include "net/tls_pair.h"
#include "net/transport_rig.h"

static struct identity ca, id;
static struct iso_tls_server *server;
static struct iso_tls_client *client;
static SSL *ssl; /* the peer's */
static size_t peer_sends, peer_sent;
static int peer_end; /* what SSL_read said last that was no data; 0: nothing */
static bool peer_reads;

static int suite_setup(void **state)
{
	struct iso_tls_problem problem;
	struct iso_tls_cert cert;
	struct iso_tls_server_config config = { .certs = &cert,
						.n = 1,
						.offers = ISO_OFFER_H2 | ISO_OFFER_HTTP11,
						.policy = { .min_version = 12 } };

	signal(SIGPIPE, SIG_IGN); /* OpenSSL's own writes, on the peer's side */
	if (tls_dir_make(state) != 0)
		return -1;
	ca = identity_make("ca", NULL, NULL, 30, NULL);
	id = identity_make("leaf", &ca, "DNS:a.test", 30, NULL);
	cert = (struct iso_tls_cert){ .cert_path = id.cert_path, .key_path = id.key_path };
	assert_int_equal(iso_tls_server_new(&config, &problem, &server), ISO_OK);
	assert_int_equal(iso_tls_client_new(&(struct iso_tls_client_config){ .ca_path = ca.cert_path,
									     .h2 = true,
									     .http11 = true },
					    &problem, &client),
			 ISO_OK);
	return 0;
}

static int suite_teardown(void **state)
{
	iso_tls_server_unref(server);
	iso_tls_client_unref(client);
	identity_free(&ca);
	identity_free(&id);
	return tls_dir_remove(state);
}

static int setup(void **state)
{
	ssl = NULL;
	peer_sends = peer_sent = 0;
	peer_end = 0;
	peer_reads = true;
	return rig_setup(state);
}

static int teardown(void **state)
{
	SSL_free(ssl);
	ERR_clear_error();
	return rig_teardown(state);
}

/* One step of the peer: shakes hands, sends of the pattern, reads. */
static void peer_step(void)
{
	size_t n;

	if (ssl == NULL)
		return;
	ERR_clear_error();
	if (SSL_do_handshake(ssl) != 1) {
		peer_end = SSL_get_error(ssl, -1);
		return;
	}
	while (peer_sent < peer_sends &&
	       SSL_write_ex(ssl, r.bytes + peer_sent, peer_sends - peer_sent, &n) == 1)
		peer_sent += n;
	while (peer_reads && r.read_n < RIG_BYTES) {
		ERR_clear_error();
		if (SSL_read_ex(ssl, r.read + r.read_n, RIG_BYTES - r.read_n, &n) != 1) {
			peer_end = SSL_get_error(ssl, 0);
			break;
		}
		r.read_n += n;
	}
}

static void peer_is(SSL *with)
{
	assert_non_null(with);
	ssl = with;
	SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	assert_int_equal(SSL_set_fd(ssl, r.peer), 1);
}

/* The transport is the server, the peer our own client context. */
static void serve(void)
{
	rig_accept(server);
	peer_is(iso_tls_client_ssl(client, "a.test"));
	SSL_set_connect_state(ssl);
}

/* The transport is the client that wants `name`. */
static void connect_to(struct iso_tls_client *with, const char *name)
{
	struct iso_sockaddr to = { .len = sizeof(to.u.v4) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.u.v4.sin_family = AF_INET;
	to.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, &to.u.sa, to.len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, &to.u.sa, &to.len), 0);
	r.starting = true;
	assert_int_equal(iso_transport_connect(&r.t, &r.g.loop, &rig_ops, &to, with, name), ISO_OK);
	r.starting = false;
	r.peer = accept(listener, NULL, NULL);
	nonblocking(r.peer);
	close(listener);
	peer_is(iso_tls_server_ssl(server));
	SSL_set_accept_state(ssl);
}

static size_t wanted;

static bool ready_here(void)
{
	peer_step();
	return r.readies > 0 && SSL_is_init_finished(ssl);
}

static bool got_wanted(void)
{
	peer_step();
	return r.got_n >= wanted;
}

static bool peer_got_wanted(void)
{
	peer_step();
	return r.read_n >= wanted;
}

static bool closed_here(void)
{
	peer_step();
	return r.closes > 0;
}

static bool peer_ended(void)
{
	peer_step();
	return peer_end == SSL_ERROR_ZERO_RETURN || peer_end == SSL_ERROR_SSL ||
	       peer_end == SSL_ERROR_SYSCALL;
}

static bool step_only(void)
{
	peer_step();
	return false;
}

static void rest(void)
{
	r.until = step_only;
	rig_rest();
	r.until = NULL;
}

static void test_a_server_shakes_hands(void **state)
{
	(void)state;
	serve();
	assert_int_equal(r.readies, 0);
	rig_until(ready_here);
	rest();
	assert_int_equal(r.readies, 1);
	assert_int_equal(r.t.alpn, ISO_ALPN_H2);
	assert_int_equal(r.inputs + r.closes, 0);
	assert_null(r.t.out); /* idle: no buffer of ours */
	assert_int_equal(r.t.plain.bytes + r.t.parked.bytes, 0);
}

static void test_a_client_shakes_hands_and_resumes(void **state)
{
	struct iso_tls_client_config config = { .ca_path = ca.cert_path, .h2 = true, .http11 = true };
	struct iso_tls_client *fresh;
	struct iso_tls_problem problem;

	(void)state;
	assert_int_equal(iso_tls_client_new(&config, &problem, &fresh), ISO_OK);
	for (int i = 0; i < 2; i++) {
		connect_to(fresh, "a.test");
		rig_until(ready_here);
		rest();
		assert_int_equal(r.t.alpn, ISO_ALPN_H2);
		assert_int_equal(r.t.resumed_session, i == 1);
		assert_true(r.t.connected_us <= r.t.ready_us);
		iso_transport_done(&r.t);
		SSL_free(ssl);
		ssl = NULL;
		close(r.peer);
		r.peer = -1;
		r.readies = 0;
	}
	iso_tls_client_unref(fresh);
}

static void test_http11_alone_can_be_asked_for(void **state)
{
	(void)state;
	connect_to(client, "a.test");
	iso_tls_client_http11(&r.t);
	rig_until(ready_here);
	assert_int_equal(r.t.alpn, ISO_ALPN_HTTP11);
}

static void both_ways(void)
{
	rig_until(ready_here);
	peer_sends = wanted = RIG_BYTES;
	rig_send(RIG_BYTES);
	rig_until(got_wanted);
	rig_until(peer_got_wanted);
	assert_memory_equal(r.got, r.bytes, RIG_BYTES);
	assert_memory_equal(r.read, r.bytes, RIG_BYTES);
	rest();
	assert_int_equal(r.t.queued, r.t.accepted);
	assert_true(r.t.queued > RIG_BYTES); /* wire bytes: records have heads and tags */
	assert_null(r.t.out);
}

static void test_bytes_both_ways_as_a_server(void **state)
{
	(void)state;
	serve();
	both_ways();
}

static void test_bytes_both_ways_as_a_client(void **state)
{
	(void)state;
	connect_to(client, "a.test");
	both_ways();
}

/* Small writes of one turn are one record: 22 bytes around 20,000, not around each 10. */
static void test_small_writes_share_a_record(void **state)
{
	uint64_t before;

	(void)state;
	serve();
	rig_until(ready_here);
	rest();
	before = r.t.queued;
	r.piece = 10;
	rig_send(10000);
	wanted = 10000;
	rig_until(peer_got_wanted);
	assert_true(r.t.queued - before <= 10000 + 22);
}

static void test_a_paused_owner_loses_nothing(void **state)
{
	(void)state;
	serve();
	rig_until(ready_here);
	r.take_max = 1000;
	peer_sends = 200000; /* many records in one recv */
	while (r.got_n < peer_sends) {
		size_t before = r.got_n;

		wanted = before + 1;
		iso_transport_resume(&r.t);
		rig_until(got_wanted);
		rest();
		assert_true(r.got_n > before && r.got_n < before + 100000);
		if (r.got_n > 20000)
			r.take_max = 7777;
	}
	assert_int_equal(r.got_n, 200000);
	assert_memory_equal(r.got, r.bytes, 200000);
	iso_transport_resume(&r.t);
	rest();
	assert_int_equal(r.t.plain.bytes + r.t.parked.bytes, 0);
}

/* The peer's next record with that text, not sent: its length. */
static size_t seal(const char *text, uint8_t record[200])
{
	BIO *wire = BIO_new(BIO_s_mem());
	int n;

	SSL_set0_wbio(ssl, wire); /* takes it */
	assert_int_equal(SSL_write(ssl, text, (int)strlen(text)), strlen(text));
	n = BIO_read(wire, record, 200);
	assert_true(n > 5);
	return (size_t)n;
}

/* A record that comes byte by byte is delivered once it is whole. */
static void test_a_record_in_parts(void **state)
{
	uint8_t record[200];
	size_t n;

	(void)state;
	serve();
	rig_until(ready_here);
	rest();
	n = seal("whole", record);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r.inputs, 0);
		peer_write(record + i, 1);
		rig_rest();
	}
	assert_int_equal(r.got_n, 5);
	assert_memory_equal(r.got, "whole", 5);
}

static bool is_full(void)
{
	return r.t.queued > r.t.accepted;
}

/* The offsets are those of the wire: what the peer's kernel has is `accepted`, and no more. */
static void test_proof_of_not_sent(void **state)
{
	uint64_t before;

	(void)state;
	serve();
	rig_until(ready_here);
	rest();
	before = r.t.accepted;
	assert_int_equal(before, r.t.queued);
	rig_send(RIG_BYTES);
	rig_until(is_full);
	rig_end();
	assert_true(r.accepted > before && r.accepted < r.queued);
	assert_false(peer_read(SIZE_MAX)); /* not through TLS */
	assert_int_equal(r.read_n, r.accepted - before);
}

static void test_an_end_with_data(void **state)
{
	(void)state;
	serve();
	rig_until(ready_here);
	peer_sends = 30000;
	peer_step();
	assert_int_equal(peer_sent, 30000);
	SSL_shutdown(ssl);
	rig_until(closed_here);
	assert_int_equal(r.last_err, ISO_EEOF);
	assert_int_equal(r.got_n, 30000);
	assert_memory_equal(r.got, r.bytes, 30000);
	rig_send(100); /* RFC 8446 section 6.1: this direction goes on */
	rest();
	assert_int_equal(r.closes, 1);
	assert_int_equal(r.sent_n, 100);
}

/* No close_notify: what came is given on, and then it counts as cut off. */
static void test_an_end_without_close_notify(void **state)
{
	(void)state;
	serve();
	rig_until(ready_here);
	peer_sends = 30000;
	peer_step();
	assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
	rig_until(closed_here);
	assert_int_equal(r.last_err, ISO_ERESET);
	assert_int_equal(r.got_n, 30000);
	assert_non_null(strstr(iso_transport_why(), "close_notify"));
	rest();
	assert_int_equal(r.closes, 1);
}

static void test_finish_says_goodbye(void **state)
{
	(void)state;
	serve();
	rig_until(ready_here);
	rig_send(300000);
	iso_transport_finish(&r.t);
	rig_until(peer_ended);
	assert_int_equal(peer_end, SSL_ERROR_ZERO_RETURN); /* a close_notify, behind all bytes */
	assert_int_equal(r.read_n, 300000);
	assert_memory_equal(r.read, r.bytes, 300000);
	assert_int_equal(r.closes, 0);
	SSL_shutdown(ssl);
	rig_until(closed_here);
	assert_int_equal(r.last_err, ISO_EEOF);
	rest();
	assert_int_equal(r.closes + r.inputs, 1);
}

static void test_a_spoilt_record(void **state)
{
	uint8_t record[200];
	size_t n;

	(void)state;
	serve();
	rig_until(ready_here);
	rest();
	n = seal("spoilt", record);
	record[n - 1] ^= 1;
	peer_write(record, n);
	rig_until(is_closed);
	assert_int_equal(r.last_err, ISO_ETLS);
	assert_int_equal(r.inputs, 0);
	assert_int_equal(iso_transport_write(&r.t, "x", 1), ISO_ERESET);
	rig_rest();
	assert_int_equal(r.closes, 1);
}

static void fails_with(int err)
{
	rig_until(is_closed);
	assert_int_equal(r.last_err, err);
	assert_int_equal(r.readies + r.inputs + r.fills, 0);
	assert_true(iso_transport_why()[0] != '\0');
	rig_rest();
	assert_int_equal(r.closes, 1);
}

static void test_what_is_no_handshake(void **state)
{
	(void)state;
	rig_accept(server);
	peer_write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 32);
	fails_with(ISO_ETLS);
}

static void test_an_end_instead_of_a_handshake(void **state)
{
	(void)state;
	rig_accept(server);
	assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
	fails_with(ISO_ERESET);
}

static void test_an_end_within_a_handshake(void **state)
{
	static const uint8_t head[] = { 22, 3, 1, 1, 0, 1, 0 }; /* of a ClientHello */

	(void)state;
	rig_accept(server);
	peer_write(head, sizeof(head));
	assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
	fails_with(ISO_ERESET);
}

static bool closed_alone(void)
{
	ERR_clear_error();
	if (ssl != NULL)
		SSL_do_handshake(ssl);
	return r.closes > 0;
}

static void refused(struct iso_tls_client *with, const char *name, int err)
{
	connect_to(with, name);
	rig_until(closed_alone);
	assert_int_equal(r.last_err, err);
	assert_int_equal(r.readies + r.inputs + r.fills, 0);
	assert_true(iso_transport_why()[0] != '\0');
}

static void test_another_name(void **state)
{
	(void)state;
	rig_send(100); /* is never sent */
	refused(client, "b.test", ISO_ECERT);
}

static void test_an_unknown_authority(void **state)
{
	struct identity other = identity_make("other", NULL, NULL, 30, NULL);
	struct iso_tls_client_config config = { .ca_path = other.cert_path, .h2 = true };
	struct iso_tls_client *stranger;
	struct iso_tls_problem problem;

	(void)state;
	assert_int_equal(iso_tls_client_new(&config, &problem, &stranger), ISO_OK);
	refused(stranger, "a.test", ISO_ECERT);
	iso_tls_client_unref(stranger);
	identity_free(&other);
}

/* Without a name nothing could be verified: nothing is started. */
static void test_no_name(void **state)
{
	struct iso_sockaddr to = { .len = sizeof(to.u.v4) };

	(void)state;
	to.u.v4.sin_family = AF_INET;
	to.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.u.v4.sin_port = htons(9);
	assert_true(iso_transport_connect(&r.t, &r.g.loop, &rig_ops, &to, client, NULL) < 0);
	iso_transport_done(&r.t);
	assert_true(iso_transport_connect(&r.t, &r.g.loop, &rig_ops, &to, client, "") < 0);
	rig_rest();
	assert_int_equal(r.readies + r.closes, 0);
	ERR_clear_error();
}

static bool ended_here(void)
{
	peer_step();
	return r.ended;
}

static void ends_in(enum rig_end where)
{
	serve();
	r.end_in = where;
	peer_sends = 20000;
	rig_send(20000);
	rig_until(ended_here);
	rest();
	assert_int_equal(r.after_end, 0);
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
}

static void test_done_in_closed(void **state)
{
	(void)state;
	rig_accept(server);
	r.end_in = END_IN_CLOSED;
	peer_write("no TLS at all", 13);
	rig_until(has_ended);
	rig_rest();
	assert_int_equal(r.after_end, 0);
}

int main(void)
{
#define TLS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TLS_TEST(test_a_server_shakes_hands),
		TLS_TEST(test_a_client_shakes_hands_and_resumes),
		TLS_TEST(test_http11_alone_can_be_asked_for),
		TLS_TEST(test_bytes_both_ways_as_a_server),
		TLS_TEST(test_bytes_both_ways_as_a_client),
		TLS_TEST(test_small_writes_share_a_record),
		TLS_TEST(test_a_paused_owner_loses_nothing),
		TLS_TEST(test_a_record_in_parts),
		TLS_TEST(test_proof_of_not_sent),
		TLS_TEST(test_an_end_with_data),
		TLS_TEST(test_an_end_without_close_notify),
		TLS_TEST(test_finish_says_goodbye),
		TLS_TEST(test_a_spoilt_record),
		TLS_TEST(test_what_is_no_handshake),
		TLS_TEST(test_an_end_instead_of_a_handshake),
		TLS_TEST(test_an_end_within_a_handshake),
		TLS_TEST(test_another_name),
		TLS_TEST(test_an_unknown_authority),
		TLS_TEST(test_no_name),
		TLS_TEST(test_done_in_ready),
		TLS_TEST(test_done_in_input),
		TLS_TEST(test_done_in_fill),
		TLS_TEST(test_done_in_closed),
	};

	return cmocka_run_group_tests(tests, suite_setup, suite_teardown);
}
