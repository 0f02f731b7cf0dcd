/*
 * The net without memory: ours, libevent's and c-ares'. An error, nothing left open, nothing lost.
 */
#include "sweep.h"

#include <ares.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "net/tls_pair.h"
#include "iso/net/cidr.h"
#include "iso/net/listener.h"
#include "iso/net/resolver.h"

static struct iso_loop loop;
static struct identity ca, leaf;

/* The lowest descriptor that is free: nothing may stay open. */
static int spare(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void make_a_loop(void)
{
	static struct iso_loop made;
	int first = spare(), err;

	sweep_arm();
	err = iso_loop_init(&made, 16);
	sweep_disarm();
	assert_true(err == ISO_OK || sweep_failed());
	iso_loop_done(&made);
	assert_int_equal(spare(), first);
}

static void ready(struct iso_transport *t)
{
	(void)t;
}

static size_t input(struct iso_transport *t, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	(void)t;
	(void)chunk;
	(void)bytes;
	return n;
}

static void closed(struct iso_transport *t, int err)
{
	(void)t;
	(void)err;
	fail(); /* no turn has run */
}

static const struct iso_transport_ops ops = { ready, input, ready, closed };

static void accept_a_connection(void)
{
	static struct iso_transport t;
	int first = spare(), fds[2], err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	sweep_arm();
	err = iso_transport_accept(&t, &loop, &ops, fds[0], NULL);
	sweep_disarm();
	sweep_tells(err);
	if (err != ISO_OK)
		assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* closed on error too */
	iso_transport_done(&t);
	close(fds[1]);
	assert_int_equal(spare(), first);
}

static void connect_somewhere(void)
{
	static struct iso_transport t;
	struct iso_sockaddr to;
	int first = spare(), err;

	assert_int_equal(iso_sockaddr_parse("127.0.0.1", 9, &to), ISO_OK);
	sweep_arm();
	err = iso_transport_connect(&t, &loop, &ops, &to, NULL, NULL);
	sweep_disarm();
	sweep_tells(err);
	iso_transport_done(&t);
	assert_int_equal(spare(), first);
}

static void accepted(struct iso_listener *listener, int fd, const struct iso_sockaddr *peer)
{
	(void)listener;
	(void)fd;
	(void)peer;
	fail();
}

static void listen_somewhere(void)
{
	static struct iso_listener listener;
	struct iso_sockaddr addr;
	int first = spare(), fd, err;

	assert_int_equal(iso_sockaddr_parse("127.0.0.1", 0, &addr), ISO_OK);
	assert_int_equal(iso_listener_bind(&addr, &fd), ISO_OK);
	sweep_arm();
	err = iso_listener_start(&listener, &loop, fd, accepted);
	sweep_disarm();
	sweep_tells(err);
	if (err == ISO_OK)
		iso_listener_stop(&listener);
	else
		iso_listener_stop(NULL);
	if (fcntl(fd, F_GETFD) != -1 && err != ISO_OK)
		close(fd);
	assert_int_equal(spare(), first);
}

static int answers;

static void answered(struct iso_resolve *query, const struct iso_resolution *answer)
{
	(void)query;
	(void)answer;
	answers++;
}

static void ask_for_a_name(void)
{
	struct iso_resolve name = { .done = answered }, literal = { .done = answered };
	struct iso_resolver *resolver = NULL;
	int err, first = spare(), started = 0;

	answers = 0;
	sweep_arm();
	err = iso_resolver_new(&loop, "127.0.0.1:1", &resolver);
	if (err == ISO_OK) {
		started += iso_resolve_start(&literal, resolver, "192.0.2.1", 80, 1000) == ISO_OK;
		started += iso_resolve_start(&name, resolver, "a.test", 80, 1000) == ISO_OK;
	}
	sweep_disarm();
	assert_int_equal(answers, 0); /* never inside start */
	if (err != ISO_OK) {
		assert_true(sweep_failed());
		assert_null(resolver);
	} else {
		assert_true(started == 2 || sweep_failed());
		iso_loop_run_leftovers(&loop);
		assert_true(answers <= started);
	}
	iso_resolver_free(resolver);
	iso_loop_run_leftovers(&loop);
	assert_int_equal(spare(), first);
}

static void make_a_set(void)
{
	struct iso_cidr cidrs[3];
	struct iso_cidr_set *set;

	memset(cidrs, 0, sizeof(cidrs));
	sweep_arm();
	set = iso_cidr_set_new(cidrs, 3);
	sweep_disarm();
	assert_int_equal(set == NULL, sweep_failed());
	iso_cidr_set_unref(set);
}

/* Without what OpenSSL itself asks for. */
static void make_tls_contexts(void)
{
	struct iso_tls_cert cert = { .cert_path = leaf.cert_path, .key_path = leaf.key_path };
	struct iso_tls_server_config server_config = {
		.certs = &cert, .n = 1, .offers = ISO_OFFER_H2, .policy = { .min_version = 12 }
	};
	struct iso_tls_client_config client_config = { .ca_path = ca.cert_path, .h2 = true };
	struct iso_tls_problem problem;
	struct iso_tls_server *server = NULL;
	struct iso_tls_client *client = NULL;
	int err, client_err;

	sweep_arm();
	err = iso_tls_server_new(&server_config, &problem, &server);
	client_err = iso_tls_client_new(&client_config, &problem, &client);
	sweep_disarm();
	assert_int_equal(err == ISO_OK, server != NULL);
	assert_int_equal(client_err == ISO_OK, client != NULL);
	assert_int_equal(server == NULL || client == NULL, sweep_failed());
	iso_tls_server_unref(server);
	iso_tls_client_unref(client);
}

static int setup(void **state)
{
	(void)state;
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
	assert_int_equal(ares_library_init_mem(ARES_LIB_INIT_ALL, __wrap_malloc, free, __wrap_realloc), 0);
	if (tls_dir_make(state) != 0)
		return -1;
	ca = identity_make("ca", NULL, NULL, 30, NULL);
	leaf = identity_make("leaf", &ca, "DNS:a.test", 30, NULL);
	return iso_loop_init(&loop, 64);
}

static int teardown(void **state)
{
	iso_loop_done(&loop);
	identity_free(&ca);
	identity_free(&leaf);
	ares_library_cleanup();
	libevent_global_shutdown();
	return tls_dir_remove(state);
}

static void test_loop(void **state)
{
	(void)state;
	sweep(make_a_loop, 8);
}

static void test_transport(void **state)
{
	(void)state;
	sweep(accept_a_connection, 1);
	sweep(connect_somewhere, 1);
}

static void test_listener(void **state)
{
	(void)state;
	sweep(listen_somewhere, 1);
}

static void test_resolver(void **state)
{
	(void)state;
	sweep(ask_for_a_name, 10);
}

static void test_sets_and_contexts(void **state)
{
	(void)state;
	sweep(make_a_set, 1);
	sweep(make_tls_contexts, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_listener),
		cmocka_unit_test(test_resolver),
		cmocka_unit_test(test_sets_and_contexts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
