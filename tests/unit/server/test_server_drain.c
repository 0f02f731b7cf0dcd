/*
 * Draining a real server with connections that wait for a request: they end, and the owner hears of the end
 * once, however many of them there were.
 */
#include <errno.h>
#include <sys/socket.h>

#include "iso/net/resolver.h"
#include "iso/server/server.h"
#include "net/loop_guard.h"

enum { CLIENTS = 5 };

static struct guarded_loop g;
static struct iso_server server;
static int told;

static struct iso_sink *on_request(struct iso_handler *handler, const struct iso_request *request)
{
	(void)handler;
	(void)request;
	fail();
	return NULL;
}

static void on_drained(struct iso_server *drained)
{
	assert_ptr_equal(drained, &server);
	assert_true(iso_list_empty(&server.conns));
	told++;
}

static void begin(int *clients, int n)
{
	static struct iso_handler handler = { on_request };
	static const struct iso_cfg_limits limits = {
		.header_bytes = 16 * 1024,
		.header_count = 50,
		.streams = 20,
		.connections = 10,
		.handshake_timeout_us = 10000000,
		.header_timeout_us = 10000000,
		.keepalive_timeout_us = 300000, /* also how long a drain lets them ask once more */
		.rate_window_us = 1000000,
	};
	struct iso_cfg_listener listener = { .http11 = true };
	int fd;

	guarded_init(&g);
	told = 0;
	iso_server_init(&server, &g.loop, &handler, &limits);
	server.drained = on_drained;
	assert_int_equal(iso_sockaddr_parse("127.0.0.1", 0, &listener.addr), ISO_OK);
	assert_int_equal(iso_listener_bind(&listener.addr, &fd), ISO_OK);
	listener.addr.len = sizeof(listener.addr.u);
	assert_int_equal(getsockname(fd, &listener.addr.u.sa, &listener.addr.len), 0);
	assert_int_equal(iso_server_listen(&server, fd, &listener), ISO_OK);
	for (int i = 0; i < n; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(clients[i], &listener.addr.u.sa, listener.addr.len), 0);
	}
	for (int turns = 0; turns < 1000 && atomic_load(&server.counters.connections) < (uint32_t)n; turns++)
		guarded_run_for(&g, 1000);
	assert_int_equal(atomic_load(&server.counters.connections), n);
}

static void end(const int *clients, int n)
{
	iso_server_done(&server);
	iso_loop_run_leftovers(&g.loop);
	assert_int_equal(told, 1);
	guarded_done(&g);
	for (int i = 0; i < n; i++)
		close(clients[i]);
}

static void test_nobody_is_connected(void **state)
{
	(void)state;
	begin(NULL, 0);
	iso_server_drain(&server);
	assert_int_equal(told, 1);
	end(NULL, 0);
}

static void test_waiting_connections_end(void **state)
{
	int clients[CLIENTS];
	char byte;

	(void)state;
	begin(clients, CLIENTS);
	assert_int_equal(told, 0);
	iso_server_drain(&server);
	/* They may ask once more, for two seconds, and then take a moment to close. */
	for (int turns = 0; turns < 10000 && told == 0; turns++)
		guarded_run_for(&g, 1000);
	assert_int_equal(told, 1);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(recv(clients[i], &byte, 1, 0), 0);
	end(clients, CLIENTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_is_connected),
		cmocka_unit_test(test_waiting_connections_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
