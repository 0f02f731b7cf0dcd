/*
 * One query per slot in turn: resolve, wait for the TTL, resolve again. Thread: control.
 * Invariant: a slot has either a query under way or its timer set, except for IP literals, which are resolved
 * once.
 */
#include "endpoints_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "endpoint_set_priv.h"
#include "iso/net/resolver.h"

enum {
	QUERY_TIMEOUT_US = 5 * 1000 * 1000,
	RETRY_US = 5 * 1000 * 1000,   /* after a failure that leaves a good set */
	RETRY_EMPTY_US = 1000 * 1000, /* while there is no address at all */
	HOST_MAX = 256,
};

struct slot {
	struct iso_endpoints *owner;
	struct iso_endpoint_set set;
	struct iso_resolve query;
	struct iso_timer timer;
	const char *why;
	char host[HOST_MAX]; /* "": not bound */
	uint16_t port;
	bool running;
};

struct iso_endpoints {
	struct iso_loop *loop;
	struct iso_resolver *resolver;
	struct iso_endpoints_hook hook;
	uint64_t ttl_min_us, ttl_max_us;
	struct slot slots[ISO_REGION_SLOTS];
};

static void wait_us(struct slot *s, uint64_t us)
{
	iso_timer_set(&s->owner->loop->wheel, &s->timer, s->owner->loop->now_us + us);
}

static void failed(struct slot *s, const char *why)
{
	s->why = why != NULL ? why : "the name did not resolve";
	wait_us(s, s->set.count > 0 ? RETRY_US : RETRY_EMPTY_US);
}

static bool is_in(const struct iso_resolution *answer, const struct iso_sockaddr *addr)
{
	for (size_t i = 0; i < answer->n; i++)
		if (iso_sockaddr_eq(&answer->addr[i], addr))
			return true;
	return false;
}

static void tell(const struct slot *s, const char *what, const struct iso_sockaddr *addr)
{
	char text[64];

	iso_sockaddr_format(&addr->u.sa, text, sizeof(text));
	fprintf(stderr, "dns: %s: %s %s\n", s->host, what, text);
}

/* For people who look for the reason of a change in traffic. Not for the first answer. */
static void tell_changes(const struct slot *s, const struct iso_resolution *answer)
{
	if (s->set.count == 0)
		return;
	for (uint32_t i = 0; i < s->set.count; i++)
		if (!s->set.entries[i].missing && !is_in(answer, &s->set.entries[i].addr))
			tell(s, "without", &s->set.entries[i].addr);
	for (size_t k = 0; k < answer->n; k++) {
		bool known = false;

		for (uint32_t i = 0; i < s->set.count; i++)
			known |= !s->set.entries[i].missing &&
				 iso_sockaddr_eq(&s->set.entries[i].addr, &answer->addr[k]);
		if (!known)
			tell(s, "now also", &answer->addr[k]);
	}
}

static void on_answer(struct iso_resolve *query, const struct iso_resolution *answer)
{
	struct slot *s = ISO_CONTAINER(query, struct slot, query);
	struct iso_endpoints *ep = s->owner;

	s->running = false;
	if (answer->err != ISO_OK || answer->n == 0) {
		failed(s, answer->why);
		return;
	}
	s->why = NULL;
	tell_changes(s, answer);
	iso_endpoint_set_answer(&s->set, answer->addr, answer->n,
				iso_endpoint_ttl_us(answer->ttl_s, ep->ttl_min_us, ep->ttl_max_us),
				ep->loop->now_us);
	if (answer->ttl_s != UINT32_MAX) /* an IP literal does not change */
		wait_us(s, s->set.ttl_us);
	ep->hook.changed(ep->hook.arg);
}

static void start(struct slot *s)
{
	int err;

	s->query.done = on_answer;
	err = iso_resolve_start(&s->query, s->owner->resolver, s->host, s->port, QUERY_TIMEOUT_US);
	s->running = err == ISO_OK;
	if (err != ISO_OK)
		failed(s, iso_err_text(err));
}

static void on_timer(struct iso_timer *timer)
{
	start(ISO_CONTAINER(timer, struct slot, timer));
}

static void stop(struct slot *s)
{
	if (s->running)
		iso_resolve_cancel(&s->query);
	s->running = false;
	iso_timer_clear(&s->owner->loop->wheel, &s->timer);
	s->host[0] = '\0';
	s->why = NULL;
	/* Workers may still hold what the old indexes meant. */
	iso_endpoint_set_init(&s->set, s->set.epoch + 1);
}

int iso_endpoints_new(struct iso_loop *loop, const char *dns_servers, const struct iso_endpoints_hook *hook,
		      struct iso_endpoints **ret_endpoints)
{
	struct iso_endpoints *ep = calloc(1, sizeof(*ep));
	int err;

	if (ep == NULL)
		return ISO_ENOMEM;
	ep->loop = loop;
	ep->hook = *hook;
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		ep->slots[i].owner = ep;
		iso_timer_init(&ep->slots[i].timer, on_timer);
		iso_endpoint_set_init(&ep->slots[i].set, 1);
	}
	err = iso_resolver_new(loop, dns_servers, &ep->resolver);
	if (err != ISO_OK) {
		free(ep);
		return err;
	}
	*ret_endpoints = ep;
	return ISO_OK;
}

void iso_endpoints_free(struct iso_endpoints *ep)
{
	if (ep == NULL)
		return;
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		stop(&ep->slots[i]);
	iso_resolver_free(ep->resolver);
	free(ep);
}

static void bind_slot(struct slot *s, const struct iso_cfg_region *region)
{
	struct iso_slice have = iso_slice_str(s->host);

	if (s->port == region->port && have.len > 0 && iso_slice_eq(have, region->host))
		return;
	stop(s);
	if (region->host.len == 0 || region->host.len >= sizeof(s->host)) {
		s->why = "the host's name is too long";
		return;
	}
	memcpy(s->host, region->host.ptr, region->host.len);
	s->host[region->host.len] = '\0';
	s->port = region->port;
	start(s);
}

void iso_endpoints_bind(struct iso_endpoints *ep, const struct iso_snapshot *snapshot)
{
	bool named[ISO_REGION_SLOTS] = { false };

	ep->ttl_min_us = snapshot->dns_min_ttl_us;
	ep->ttl_max_us = snapshot->dns_max_ttl_us;
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		const struct iso_cfg_service *service = &snapshot->services[i];

		for (uint32_t r = 0; r < service->region_count; r++) {
			named[service->regions[r].slot] = true;
			bind_slot(&ep->slots[service->regions[r].slot], &service->regions[r]);
		}
	}
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		if (!named[i] && ep->slots[i].host[0] != '\0')
			stop(&ep->slots[i]);
}

void iso_endpoints_read(struct iso_endpoints *ep, uint32_t slot, struct iso_board_region *to)
{
	iso_endpoint_set_read(&ep->slots[slot].set, ep->loop->now_us, to);
}

const char *iso_endpoints_why(const struct iso_endpoints *ep, uint32_t slot)
{
	return ep->slots[slot].why;
}
