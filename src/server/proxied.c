/*
 * See proxied_priv.h. Thread: the server's loop.
 */
#include "proxied_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "iso/net/proxy_header.h"

struct proxied {
	struct iso_list link;
	struct iso_server_listener *listener;
	struct event *event;
	struct iso_timer timer;
	struct iso_sockaddr peer;
	int fd;
};

/* Frees it; the descriptor stays with the caller. */
static int give_up(struct proxied *p)
{
	int fd = p->fd;

	iso_list_remove(&p->link);
	iso_timer_clear(&p->listener->server->loop->wheel, &p->timer);
	if (p->event != NULL)
		event_free(p->event);
	free(p);
	return fd;
}

static void cut(struct proxied *p, enum iso_cut reason)
{
	struct iso_server *server = p->listener->server;

	close(give_up(p));
	ISO_COUNT(server, cut[reason], 1);
}

/* Goes on with the connection, or ends it; false: the header has not come yet. */
static bool take_header(struct proxied *p)
{
	struct iso_server_listener *listener = p->listener;
	struct iso_sockaddr peer = p->peer;
	uint8_t bytes[ISO_PROXY_HEADER_MAX];
	struct iso_proxy_header header;
	size_t used;
	ssize_t n;
	int err;

	n = recv(p->fd, bytes, sizeof(bytes), MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close(give_up(p));
		return true;
	}
	err = iso_proxy_header_parse(bytes, (size_t)n, &header, &used);
	if (err == ISO_EAGAIN)
		return false;
	if (err != ISO_OK || recv(p->fd, bytes, used, 0) != (ssize_t)used) {
		cut(p, ISO_CUT_PROTOCOL);
		return true;
	}
	if (header.known)
		peer = header.source;
	iso_sconn_open(listener->server, listener, give_up(p), &peer);
	return true;
}

/* Edge-triggered: called for each piece that comes, not again and again for one that lies there. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct proxied *p = arg;

	(void)fd;
	(void)what;
	iso_loop_enter(p->listener->server->loop);
	(void)take_header(p);
}

static void on_timer(struct iso_timer *timer)
{
	cut(ISO_CONTAINER(timer, struct proxied, timer), ISO_CUT_HANDSHAKE_TIMEOUT);
}

void iso_proxied_open(struct iso_server_listener *listener, int fd, const struct iso_sockaddr *peer)
{
	struct iso_loop *loop = listener->server->loop;
	struct proxied *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		ISO_COUNT(listener->server, refused, 1);
		close(fd);
		return;
	}
	p->listener = listener;
	p->peer = *peer;
	p->fd = fd;
	iso_list_init(&p->link);
	iso_timer_init(&p->timer, on_timer);
	iso_list_push_back(&listener->server->proxied, &p->link);
	p->event = event_new(loop->base, fd, EV_READ | EV_ET | EV_PERSIST, on_readable, p);
	if (p->event == NULL || event_add(p->event, NULL) != 0) {
		ISO_COUNT(listener->server, refused, 1);
		close(give_up(p));
		return;
	}
	iso_timer_set(&loop->wheel, &p->timer, loop->now_us + listener->server->limits.handshake_timeout_us);
}

void iso_proxied_drop(struct iso_server_listener *listener)
{
	struct iso_list *proxied = &listener->server->proxied, *next;

	for (struct iso_list *l = proxied->next; l != proxied; l = next) {
		struct proxied *p = ISO_CONTAINER(l, struct proxied, link);

		next = l->next;
		if (p->listener == listener && !take_header(p))
			close(give_up(p));
	}
}
