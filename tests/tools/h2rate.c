/*
 * h2rate: sends HTTP/2 requests at a fixed rate, whatever is outstanding (open loop), and writes down what
 * became of each. Latency runs from the moment a request was due, so that a stall cannot hide the requests
 * behind it.
 *
 * A request refused unprocessed (REFUSED_STREAM, GOAWAY below its stream) is sent once more on another
 * connection, as a browser would. One that was cut off is failed, never sent again.
 */
#include "h2rate_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char usage[] = "usage: h2rate --connect IP:PORT [options]\n"
			    "  --sni NAME        TLS name, verified, default localhost\n"
			    "  --authority NAME  default the SNI\n"
			    "  --ca FILE         trusted CAs; without it nothing is verified\n"
			    "  --cleartext       h2c by prior knowledge\n"
			    "  --connections N   default 4\n"
			    "  --seconds S       default 12\n"
			    "  --get-rate R      requests a second, default 300\n"
			    "  --post-rate R     default 30\n"
			    "  --get-path P      default /\n"
			    "  --post-path P     default the GET path\n"
			    "  --id-prefix P     of x-request-id, default r\n"
			    "  --timeout S       of a request, default 10\n"
			    "  --out FILE        a JSON line for each request\n"
			    "  --hold            keep the connections until standard input ends\n";

uint64_t now_us(const struct client *client)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000 - client->start_us;
}

/* ---- Requests ---- */

void request_end(struct client *client, struct request *req, const char *error)
{
	req->done = true;
	req->error = error;
	req->end_us = now_us(client);
	req->conn = NULL;
	client->unfinished--;
}

static struct conn *pick_conn(struct client *client)
{
	for (unsigned tries = 0; tries < client->opt.connections; tries++) {
		unsigned slot = client->slot_next++ % client->opt.connections;
		struct conn *conn = client->slots[slot];

		if (!conn)
			return conn_open(client, slot);
		if (conn->state != CONN_READY)
			continue;
		if (nghttp2_session_check_request_allowed(conn->session) &&
		    conn->open_streams < nghttp2_session_get_remote_settings(
						 conn->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
			return conn;
	}
	/* None is free: the request waits in line on the next one. */
	return client->slots[client->slot_next++ % client->opt.connections];
}

void request_refused(struct client *client, struct request *req)
{
	if (req->retried) {
		request_end(client, req, "refused");
		return;
	}
	req->retried = true;
	req->error = NULL;
	req->conn = NULL;
	req->stream = 0;
	req->next_waiting = client->again;
	client->again = req;
}

/* Apart from request_refused, because a session must not be written to from inside its own callback. */
static void send_again(struct client *client)
{
	while (client->again) {
		struct request *req = client->again;

		client->again = req->next_waiting;
		if (!req->done)
			conn_take(pick_conn(client), req);
	}
}

static void make_request(struct client *client, size_t index, bool post, double due_s)
{
	struct request *req = &client->requests[index];

	req->index = (uint32_t)index;
	req->post = post;
	req->due_us = (uint64_t)(due_s * 1e6);
	snprintf(req->id, sizeof(req->id), "%.40s-%zu", client->opt.id_prefix, index);
	if (post)
		req->body_len = (size_t)snprintf(req->body, sizeof(req->body),
						 "{\"id\":\"%s\",\"amount\":%zu}", req->id, index);
}

/* Both methods at their own even pace, merged by due time; POSTs are half a step off, so that none coincide.
 */
static void plan(struct client *client)
{
	const struct options *opt = &client->opt;
	size_t gets = (size_t)(opt->get_rate * opt->seconds), posts = (size_t)(opt->post_rate * opt->seconds);
	size_t g = 0, p = 0;

	client->count = client->unfinished = gets + posts;
	client->requests = calloc(client->count + 1, sizeof(struct request));
	if (!client->requests)
		abort();
	while (g + p < client->count) {
		double get_at = g < gets ? (double)g / opt->get_rate : 1e18;
		double post_at = p < posts ? ((double)p + 0.5) / opt->post_rate : 1e18;

		if (get_at <= post_at) {
			make_request(client, g + p, false, get_at);
			g++;
		} else {
			make_request(client, g + p, true, post_at);
			p++;
		}
	}
}

/* ---- The run ---- */

static void turn(struct client *client, uint64_t wake_us)
{
	struct epoll_event events[64];
	struct itimerspec at = { 0 };
	uint64_t abs_us = client->start_us + wake_us, ticks;
	int n;

	at.it_value.tv_sec = (time_t)(abs_us / 1000000);
	at.it_value.tv_nsec = (long)(abs_us % 1000000) * 1000;
	timerfd_settime(client->timer, TFD_TIMER_ABSTIME, &at, NULL);
	n = epoll_wait(client->epoll, events, 64, 1000);
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr)
			conn_event(events[i].data.ptr, events[i].events);
		else if (read(client->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
			abort();
	}
	send_again(client);
	conn_sweep(client);
}

static unsigned shaking_hands(const struct client *client)
{
	unsigned count = 0;

	for (const struct conn *conn = client->conns; conn; conn = conn->next)
		count += conn->state < CONN_READY;
	return count;
}

/*
 * The clock of the run starts when the connections are up, so that their handshakes are not measured. At most
 * 32 shake hands at a time: a thousand at once would show the peak of a burst in the memory of the proxy.
 */
static bool warm_up(struct client *client)
{
	unsigned opened = 0;

	client->start_us = 0;
	client->start_us = now_us(client);
	while (opened < client->opt.connections || shaking_hands(client) > 0) {
		while (opened < client->opt.connections && shaking_hands(client) < 32)
			conn_open(client, opened++);
		turn(client, now_us(client) + 10000);
		if (client->connect_failures || now_us(client) > client->opt.timeout_us)
			return false;
	}
	client->start_us += now_us(client);
	for (struct conn *conn = client->conns; conn; conn = conn->next)
		conn->opened_us = 0;
	return true;
}

static void send_due(struct client *client)
{
	uint64_t now = now_us(client);

	while (client->due_next < client->count && client->requests[client->due_next].due_us <= now) {
		struct request *req = &client->requests[client->due_next++];

		if (now - req->due_us > client->lag_max_us)
			client->lag_max_us = now - req->due_us;
		conn_take(pick_conn(client), req);
		now = now_us(client);
	}
}

static void expire(struct client *client)
{
	uint64_t now = now_us(client);

	while (client->oldest < client->due_next && client->requests[client->oldest].done)
		client->oldest++;
	for (size_t i = client->oldest; i < client->due_next; i++) {
		struct request *req = &client->requests[i];
		struct conn *conn = req->conn;

		if (req->due_us + client->opt.timeout_us > now)
			break;
		if (req->done)
			continue;
		request_end(client, req, "timeout");
		if (conn)
			conn_cancel(conn, req);
	}
}

static void run(struct client *client)
{
	while (client->unfinished) {
		uint64_t wake = now_us(client) + 100000;

		send_due(client);
		if (client->due_next < client->count && client->requests[client->due_next].due_us < wake)
			wake = client->requests[client->due_next].due_us;
		turn(client, wake);
		expire(client);
	}
}

/* Answers PINGs and SETTINGS until standard input ends. */
static void hold(struct client *client)
{
	struct conn in = { .client = client, .fd = 0, .state = CONN_CLOSED };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &in };
	struct epoll_event events[64];
	char byte;

	epoll_ctl(client->epoll, EPOLL_CTL_DEL, client->timer, NULL);
	if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, 0, &ev))
		return; /* a file has ended already */
	for (;;) {
		int n = epoll_wait(client->epoll, events, 64, 1000);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &in && read(0, &byte, 1) <= 0)
				return;
			if (events[i].data.ptr && events[i].data.ptr != &in)
				conn_event(events[i].data.ptr, events[i].events);
		}
		conn_sweep(client);
	}
}

/* ---- Options ---- */

static bool parse_address(const char *text, struct sockaddr_in *ret_address)
{
	char host[64];
	const char *colon = strrchr(text, ':');

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	ret_address->sin_family = AF_INET;
	ret_address->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return inet_pton(AF_INET, host, &ret_address->sin_addr) == 1;
}

enum kind { TEXT, NUMBER, COUNT, MICROSECONDS, FLAG };

static const struct {
	const char *name;
	enum kind kind;
	size_t at;
} option_table[] = {
	{ "connect", TEXT, offsetof(struct options, connect) },
	{ "sni", TEXT, offsetof(struct options, sni) },
	{ "authority", TEXT, offsetof(struct options, authority) },
	{ "ca", TEXT, offsetof(struct options, ca) },
	{ "out", TEXT, offsetof(struct options, out) },
	{ "get-path", TEXT, offsetof(struct options, get_path) },
	{ "post-path", TEXT, offsetof(struct options, post_path) },
	{ "id-prefix", TEXT, offsetof(struct options, id_prefix) },
	{ "get-rate", NUMBER, offsetof(struct options, get_rate) },
	{ "post-rate", NUMBER, offsetof(struct options, post_rate) },
	{ "seconds", NUMBER, offsetof(struct options, seconds) },
	{ "connections", COUNT, offsetof(struct options, connections) },
	{ "timeout", MICROSECONDS, offsetof(struct options, timeout_us) },
	{ "cleartext", FLAG, offsetof(struct options, cleartext) },
	{ "hold", FLAG, offsetof(struct options, hold) },
};
enum { OPTION_COUNT = sizeof(option_table) / sizeof(*option_table) };

static void set_option(struct options *opt, size_t row, char *text)
{
	void *at = (char *)opt + option_table[row].at;

	switch (option_table[row].kind) {
	case TEXT:
		*(const char **)at = text;
		break;
	case NUMBER:
		*(double *)at = strtod(text, NULL);
		break;
	case COUNT:
		*(unsigned *)at = (unsigned)strtoul(text, NULL, 10);
		break;
	case MICROSECONDS:
		*(uint64_t *)at = (uint64_t)(strtod(text, NULL) * 1e6);
		break;
	case FLAG:
		*(bool *)at = true;
		break;
	}
}

static bool parse_options(int argc, char **argv, struct options *opt)
{
	struct option names[OPTION_COUNT + 1] = { 0 };
	int row;

	for (row = 0; row < OPTION_COUNT; row++) {
		names[row].name = option_table[row].name;
		names[row].has_arg = option_table[row].kind != FLAG;
		names[row].val = row;
	}
	while ((row = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (row >= OPTION_COUNT) /* '?' */
			return false;
		set_option(opt, (size_t)row, optarg);
	}
	if (!opt->authority)
		opt->authority = opt->sni;
	if (!opt->post_path)
		opt->post_path = opt->get_path;
	return optind == argc && opt->connect && opt->connections &&
	       parse_address(opt->connect, &opt->address);
}

static bool setup_tls(struct client *client)
{
	client->tls = SSL_CTX_new(TLS_client_method());
	if (!client->tls || SSL_CTX_set_alpn_protos(client->tls, (const unsigned char *)"\x02h2", 3))
		return false;
	SSL_CTX_set_mode(client->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					      SSL_MODE_RELEASE_BUFFERS);
	if (!client->opt.ca)
		return true;
	SSL_CTX_set_verify(client->tls, SSL_VERIFY_PEER, NULL);
	return SSL_CTX_load_verify_locations(client->tls, client->opt.ca, NULL) == 1;
}

int main(int argc, char **argv)
{
	struct client client = { .opt = { .sni = "localhost",
					  .get_path = "/",
					  .id_prefix = "r",
					  .connections = 4,
					  .get_rate = 300,
					  .post_rate = 30,
					  .seconds = 12,
					  .timeout_us = 10000000 } };
	struct epoll_event ev = { .events = EPOLLIN };
	int rc;

	if (!parse_options(argc, argv, &client.opt)) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	client.slots = calloc(client.opt.connections, sizeof(struct conn *));
	client.epoll = epoll_create1(EPOLL_CLOEXEC);
	client.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!client.slots || client.epoll < 0 || client.timer < 0 || !setup_tls(&client)) {
		ERR_print_errors_fp(stderr);
		fputs("h2rate: cannot set up (is the CA file readable?)\n", stderr);
		return 1;
	}
	epoll_ctl(client.epoll, EPOLL_CTL_ADD, client.timer, &ev);
	conn_setup(&client);
	plan(&client);
	if (!warm_up(&client)) {
		fprintf(stderr, "h2rate: cannot connect to %s\n", client.opt.connect);
		return 1;
	}
	run(&client);
	rc = report_write(&client);
	if (client.opt.hold)
		hold(&client);
	return rc;
}
