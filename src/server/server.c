/*
 * The server: its listeners, what new connections get of them, the drain. Thread: its loop; update comes from
 * the loop's own mailbox.
 */
#include <stdlib.h>
#include <unistd.h>

#include "conn_priv.h"
#include "iso/net/resolver.h"
#include "proxied_priv.h"

/* What of the configuration new connections get. */
static void take(struct iso_server_listener *listener, const struct iso_cfg_listener *cfg)
{
	listener->tls = cfg->tls != NULL ? iso_tls_server_ref(cfg->tls) : NULL;
	listener->proxy_protocol = iso_cidr_set_ref(cfg->proxy_protocol);
	listener->trusted_proxies = iso_cidr_set_ref(cfg->trusted_proxies);
	listener->h2 = cfg->h2;
	listener->http11 = cfg->http11;
}

static void forget(struct iso_server_listener *listener)
{
	iso_tls_server_unref(listener->tls);
	iso_cidr_set_unref(listener->proxy_protocol);
	iso_cidr_set_unref(listener->trusted_proxies);
}

static void on_accepted(struct iso_listener *l, int fd, const struct iso_sockaddr *peer)
{
	struct iso_server_listener *listener = ISO_CONTAINER(l, struct iso_server_listener, l);

	iso_loop_enter(listener->server->loop);
	if (iso_cidr_set_has(listener->proxy_protocol, &peer->u.sa))
		iso_proxied_open(listener, fd, peer);
	else
		iso_sconn_open(listener->server, listener, fd, peer);
}

void iso_server_init(struct iso_server *server, struct iso_loop *loop, struct iso_handler *handler,
		     const struct iso_cfg_limits *limits)
{
	memset(server, 0, sizeof(*server));
	server->loop = loop;
	server->handler = handler;
	server->limits = *limits;
	iso_list_init(&server->conns);
	iso_list_init(&server->listeners);
	iso_list_init(&server->proxied);
}

static void stop(struct iso_server_listener *listener)
{
	iso_listener_stop(&listener->l); /* may accept some more */
	iso_proxied_drop(listener);
	forget(listener);
	free(listener);
}

static void stop_listening(struct iso_server *server)
{
	struct iso_list *node;

	while ((node = iso_list_pop_front(&server->listeners)) != NULL)
		stop(ISO_CONTAINER(node, struct iso_server_listener, link));
}

void iso_server_retain(struct iso_server *server, const struct iso_cfg_listener *listeners, uint32_t n)
{
	struct iso_list *next;

	for (struct iso_list *l = server->listeners.next; l != &server->listeners; l = next) {
		struct iso_server_listener *listener = ISO_CONTAINER(l, struct iso_server_listener, link);
		uint32_t i = 0;

		next = l->next;
		while (i < n && !iso_sockaddr_eq(&listeners[i].addr, &listener->addr))
			i++;
		if (i < n)
			continue;
		iso_list_remove(l);
		stop(listener);
	}
}

void iso_server_done(struct iso_server *server)
{
	if (server == NULL || server->loop == NULL)
		return;
	stop_listening(server);
	server->draining = false;
	while (!iso_list_empty(&server->conns))
		iso_sconn_close(ISO_CONTAINER(server->conns.next, struct iso_sconn, link));
	server->loop = NULL;
}

int iso_server_listen(struct iso_server *server, int fd, const struct iso_cfg_listener *cfg)
{
	struct iso_server_listener *listener = calloc(1, sizeof(*listener));
	int err;

	if (listener == NULL) {
		close(fd);
		return ISO_ENOMEM;
	}
	listener->server = server;
	listener->addr = cfg->addr;
	take(listener, cfg);
	iso_list_init(&listener->link);
	err = iso_listener_start(&listener->l, server->loop, fd, on_accepted);
	if (err != ISO_OK) {
		forget(listener);
		free(listener);
		return err;
	}
	if (server->held)
		iso_listener_hold(&listener->l);
	iso_list_push_back(&server->listeners, &listener->link);
	return ISO_OK;
}

void iso_server_hold(struct iso_server *server)
{
	server->held = true;
}

void iso_server_let_go(struct iso_server *server)
{
	server->held = false;
	for (struct iso_list *l = server->listeners.next; l != &server->listeners; l = l->next)
		iso_listener_go_on(&ISO_CONTAINER(l, struct iso_server_listener, link)->l);
}

void iso_server_update(struct iso_server *server, const struct iso_cfg_listener *cfg)
{
	for (struct iso_list *l = server->listeners.next; l != &server->listeners; l = l->next) {
		struct iso_server_listener *listener = ISO_CONTAINER(l, struct iso_server_listener, link);

		if (!iso_sockaddr_eq(&listener->addr, &cfg->addr))
			continue;
		forget(listener);
		take(listener, cfg);
	}
}

/* A drain that ends connections comes here from each of them and once more by itself: told once. */
void iso_server_check_drained(struct iso_server *server)
{
	if (!server->draining || server->drained_told || !iso_list_empty(&server->conns))
		return;
	server->drained_told = true;
	if (server->drained != NULL)
		server->drained(server);
}

void iso_server_drain(struct iso_server *server)
{
	struct iso_list *next;

	server->draining = true;
	stop_listening(server);
	for (struct iso_list *l = server->conns.next; l != &server->conns; l = next) {
		struct iso_sconn *c = ISO_CONTAINER(l, struct iso_sconn, link);

		next = l->next;
		c->draining = true;
		if (c->phase == ISO_SCONN_OPEN)
			c->ops->drain(c);
	}
	iso_server_check_drained(server);
}
