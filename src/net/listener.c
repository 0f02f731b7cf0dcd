/*
 * Listening sockets. Thread: binding anywhere, accepting on the loop.
 */
#include "iso/net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,      /* the kernel caps it at net.core.somaxconn */
	ACCEPTS_MAX = 16,    /* in one go, so that a burst does not starve running exchanges */
	PAUSE_US = 50 * 1000 /* rest when descriptors or memory are out: the queue keeps the clients */
};

int iso_listener_bind(const struct iso_sockaddr *addr, int *ret_fd)
{
	int fd = socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, err;

	if (fd < 0)
		return iso_err_from_errno(errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (addr->u.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
	    bind(fd, &addr->u.sa, addr->len) != 0 || listen(fd, BACKLOG) != 0) {
		err = iso_err_from_errno(errno);
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return ISO_OK;
}

static void accept_some(struct iso_listener *listener, int max)
{
	/* `accepted` may stop the listener: then the descriptor is not ours any more. */
	for (int i = 0; i < max && listener->event != NULL; i++) {
		struct iso_sockaddr peer;
		int fd, on = 1;

		peer.len = sizeof(peer.u);
		fd = accept4(listener->fd, &peer.u.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			listener->accepted(listener, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			event_del(listener->event);
			iso_timer_set(&listener->loop->wheel, &listener->pause,
				      listener->loop->now_us + PAUSE_US);
			return;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		/* ECONNABORTED and the like: that client has gone, the next one has not. */
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct iso_listener *listener = arg;

	(void)fd;
	(void)what;
	iso_loop_enter(listener->loop);
	iso_loop_post_later(listener->loop, &listener->accepting);
}

static void run_accepting(struct iso_task *task)
{
	accept_some(ISO_CONTAINER(task, struct iso_listener, accepting), ACCEPTS_MAX);
}

static void on_pause(struct iso_timer *timer)
{
	struct iso_listener *listener = ISO_CONTAINER(timer, struct iso_listener, pause);

	if (event_add(listener->event, NULL) != 0) /* memory is still out */
		iso_timer_set(&listener->loop->wheel, timer, listener->loop->now_us + PAUSE_US);
}

int iso_listener_start(struct iso_listener *listener, struct iso_loop *loop, int fd,
		       void (*accepted)(struct iso_listener *, int, const struct iso_sockaddr *))
{
	listener->loop = loop;
	listener->fd = fd;
	listener->accepted = accepted;
	iso_timer_init(&listener->pause, on_pause);
	iso_task_init(&listener->accepting, run_accepting);
	listener->event = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_readable, listener);
	if (listener->event == NULL || event_add(listener->event, NULL) != 0) {
		if (listener->event != NULL)
			event_free(listener->event);
		listener->event = NULL;
		close(fd);
		return ISO_ENOMEM;
	}
	return ISO_OK;
}

void iso_listener_hold(struct iso_listener *listener)
{
	iso_timer_clear(&listener->loop->wheel, &listener->pause);
	iso_task_cancel(&listener->accepting);
	event_del(listener->event);
}

void iso_listener_go_on(struct iso_listener *listener)
{
	on_pause(&listener->pause);
}

void iso_listener_stop(struct iso_listener *listener)
{
	if (listener == NULL || listener->event == NULL)
		return;
	iso_task_cancel(&listener->accepting);
	accept_some(listener, BACKLOG);
	if (listener->event == NULL)
		return; /* stopped from within */
	iso_timer_clear(&listener->loop->wheel, &listener->pause);
	event_free(listener->event);
	listener->event = NULL;
	close(listener->fd);
}
