/*
 * Listening sockets on the loopback and a real loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "iso/net/listener.h"
#include "iso/net/resolver.h"
#include "net/loop_guard.h"

enum { CLIENTS_MAX = 200 };

static struct guarded_loop g;
static struct iso_listener listener;
static struct iso_sockaddr bound;
static struct iso_sockaddr peers[CLIENTS_MAX];
static int accepted_fds[CLIENTS_MAX], client_fds[CLIENTS_MAX];
static int accepted_count, client_count, stop_at;

static void on_accepted(struct iso_listener *l, int fd, const struct iso_sockaddr *peer)
{
	assert_ptr_equal(l, &listener);
	assert_true(accepted_count < CLIENTS_MAX);
	peers[accepted_count] = *peer;
	accepted_fds[accepted_count++] = fd;
	if (accepted_count == stop_at)
		iso_loop_stop(&g.loop);
}

static int bind_to(const char *host, uint16_t port)
{
	struct iso_sockaddr addr;
	int fd = -1;

	assert_int_equal(iso_sockaddr_parse(host, port, &addr), ISO_OK);
	assert_int_equal(iso_listener_bind(&addr, &fd), ISO_OK);
	bound.len = sizeof(bound.u);
	assert_int_equal(getsockname(fd, &bound.u.sa, &bound.len), 0);
	return fd;
}

static void listen_with(void (*accepted)(struct iso_listener *, int, const struct iso_sockaddr *))
{
	guarded_init(&g);
	accepted_count = client_count = 0;
	stop_at = -1;
	assert_int_equal(iso_listener_start(&listener, &g.loop, bind_to("127.0.0.1", 0), accepted), ISO_OK);
}

static void connect_clients(int n)
{
	for (int i = 0; i < n; i++) {
		int fd = socket(bound.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_true(fd >= 0);
		assert_int_equal(connect(fd, &bound.u.sa, bound.len), 0);
		client_fds[client_count++] = fd;
	}
}

static void finish(void)
{
	iso_listener_stop(&listener);
	for (int i = 0; i < accepted_count; i++)
		close(accepted_fds[i]);
	for (int i = 0; i < client_count; i++)
		close(client_fds[i]);
	guarded_done(&g);
}

static void test_accepts(void **state)
{
	int on = 0;
	socklen_t size = sizeof(on);

	(void)state;
	listen_with(on_accepted);
	connect_clients(stop_at = 3);
	guarded_run(&g);
	assert_int_equal(accepted_count, 3);
	for (int i = 0; i < 3; i++) {
		struct iso_sockaddr own = { .len = sizeof(own.u) };

		assert_int_equal(getsockname(client_fds[i], &own.u.sa, &own.len), 0);
		assert_true(iso_sockaddr_eq(&own, &peers[i])); /* the kernel's queue is first in, first out */
		assert_true(fcntl(accepted_fds[i], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(accepted_fds[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(getsockopt(accepted_fds[i], IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
		assert_true(on);
	}
	finish();
}

static struct iso_timer look;

static void on_look(struct iso_timer *timer)
{
	(void)timer;
	assert_int_equal(accepted_count, 0);
	iso_listener_go_on(&listener);
}

static void test_held_it_accepts_nobody(void **state)
{
	(void)state;
	listen_with(on_accepted);
	iso_listener_hold(&listener);
	connect_clients(stop_at = 3);
	iso_timer_init(&look, on_look);
	iso_timer_set(&g.loop.wheel, &look, g.loop.now_us + 20000);
	guarded_run(&g);
	assert_int_equal(accepted_count, 3);
	finish();
}

static uint64_t first_turn;
static int in_first_turn;

static void on_counted(struct iso_listener *l, int fd, const struct iso_sockaddr *peer)
{
	if (accepted_count == 0)
		first_turn = g.loop.turns;
	in_first_turn += g.loop.turns == first_turn;
	on_accepted(l, fd, peer);
}

static void test_a_burst_is_taken_in_parts(void **state)
{
	(void)state;
	in_first_turn = 0;
	listen_with(on_counted);
	connect_clients(stop_at = 150);
	guarded_run(&g);
	assert_int_equal(accepted_count, 150);
	assert_int_equal(in_first_turn, 16);
	finish();
}

static void test_stop_takes_who_is_queued(void **state)
{
	(void)state;
	listen_with(on_accepted);
	connect_clients(100);
	assert_int_equal(accepted_count, 0); /* no turn has run */
	iso_listener_stop(&listener);
	assert_int_equal(accepted_count, 100);
	assert_int_equal(connect(client_fds[0], &bound.u.sa, bound.len), -1);
	iso_listener_stop(&listener);
	iso_listener_stop(NULL);
	finish();
}

static void on_stopping(struct iso_listener *l, int fd, const struct iso_sockaddr *peer)
{
	on_accepted(l, fd, peer);
	if (l->event != NULL)
		iso_listener_stop(l);
	iso_loop_stop(&g.loop);
}

static void test_stopped_by_its_callback(void **state)
{
	(void)state;
	listen_with(on_stopping);
	connect_clients(5);
	guarded_run(&g);
	assert_int_equal(accepted_count, 5); /* those that were queued, and each once */
	guarded_run_for(&g, 5000);
	finish();
}

static void test_out_of_descriptors(void **state)
{
	struct rlimit limit, low;
	uint64_t turns;
	int spare;

	(void)state;
	listen_with(on_accepted);
	connect_clients(1);
	spare = dup(0);
	assert_true(spare >= 0);
	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)spare;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	turns = g.loop.turns;
	guarded_run_for(&g, 120000);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(accepted_count, 0);
	/* It rested for 50 ms at a time; a spinning one does thousands of turns. */
	assert_true(g.loop.turns - turns < 30);
	stop_at = 1;
	guarded_run(&g); /* and the client still waits in the queue */
	assert_int_equal(accepted_count, 1);
	finish();
}

static void test_ports_are_shared_and_v6_is_apart(void **state)
{
	int first = bind_to("127.0.0.1", 0), second, six;
	uint16_t port = ntohs(bound.u.v4.sin_port);

	(void)state;
	second = bind_to("127.0.0.1", port); /* SO_REUSEPORT: one socket per worker */
	assert_int_equal(ntohs(bound.u.v4.sin_port), port);
	assert_true(fcntl(second, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(second, F_GETFD) & FD_CLOEXEC);
	six = socket(AF_INET6, SOCK_STREAM, 0);
	if (six >= 0) {
		int only = 0;
		socklen_t size = sizeof(only);

		close(six);
		six = bind_to("::", port);
		assert_int_equal(getsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size), 0);
		assert_true(only);
		close(six);
	}
	close(first);
	close(second);
}

static void test_refused_addresses(void **state)
{
	struct iso_sockaddr addr;
	int fd = -7, taken, port;

	(void)state;
	assert_int_equal(iso_sockaddr_parse("192.0.2.1", 0, &addr), ISO_OK); /* RFC 5737: nobody's */
	assert_true(iso_listener_bind(&addr, &fd) < 0);
	memset(&addr, 0, sizeof(addr));
	addr.u.sa.sa_family = 0x7f;
	addr.len = sizeof(addr.u.v4);
	assert_true(iso_listener_bind(&addr, &fd) < 0);
	/* A port that another program holds without SO_REUSEPORT. */
	taken = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(iso_sockaddr_parse("127.0.0.1", 0, &addr), ISO_OK);
	assert_int_equal(bind(taken, &addr.u.sa, addr.len), 0);
	assert_int_equal(listen(taken, 1), 0);
	assert_int_equal(getsockname(taken, &addr.u.sa, &addr.len), 0);
	port = ntohs(addr.u.v4.sin_port);
	assert_true(port > 0);
	assert_true(iso_listener_bind(&addr, &fd) < 0);
	assert_int_equal(fd, -7); /* untouched */
	close(taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_held_it_accepts_nobody),
		cmocka_unit_test(test_a_burst_is_taken_in_parts),
		cmocka_unit_test(test_stop_takes_who_is_queued),
		cmocka_unit_test(test_stopped_by_its_callback),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_ports_are_shared_and_v6_is_apart),
		cmocka_unit_test(test_refused_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
