/*
 * Two lookups per slot, for IPv4 and IPv6: resolve, wait for the TTL, resolve again, each by itself, so that
 * a name server that is silent or fails for one family takes nothing away from the other. Thread: control.
 * Invariant: a lookup has either a query under way or its timer set, except for IP literals, which are
 * resolved once.
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
	RESOLUTION_DELAY_US = 50 * 1000,
	HOST_MAX = 256,
};

struct slot;

/* One of the two questions of a slot: its addresses of one family. */
struct lookup {
	struct slot *slot;
	struct iso_resolve query;
	struct iso_timer timer;
	uint64_t asked_us;
	int family;
	const char *why; /* it failed last time; NULL: it did not, or has not ended yet */
	bool none;       /* there is no such address, it said last time */
	bool running;
};

enum { FAMILIES = 2 };

struct slot {
	struct iso_endpoints *owner;
	struct iso_endpoint_set set;
	struct lookup lookups[FAMILIES]; /* A, AAAA */
	struct iso_timer hold;           /* the first IPv4 addresses wait for the IPv6 ones */
	uint32_t took_us;                /* the last good answer; 0: none, or it needed no question */
	char host[HOST_MAX];             /* "": not bound */
	const char *why;                 /* it cannot be asked for */
	uint16_t port;
};

struct iso_endpoints {
	struct iso_loop *loop;
	struct iso_resolver *resolver;
	struct iso_endpoints_hook hook;
	uint64_t ttl_min_us, ttl_max_us;
	struct slot slots[ISO_REGION_SLOTS];
};

static struct iso_loop *loop_of(const struct slot *s)
{
	return s->owner->loop;
}

static struct lookup *other_of(const struct lookup *l)
{
	return &l->slot->lookups[l == &l->slot->lookups[0] ? 1 : 0];
}

static void wait_us(struct lookup *l, uint64_t us)
{
	iso_timer_set(&loop_of(l->slot)->wheel, &l->timer, loop_of(l->slot)->now_us + us);
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
static void tell_changes(const struct slot *s, int family, const struct iso_resolution *answer)
{
	if (s->set.ttl_us[family == AF_INET ? 0 : 1] == 0)
		return;
	for (uint32_t i = 0; i < s->set.count; i++)
		if (!s->set.entries[i].missing && s->set.entries[i].addr.u.sa.sa_family == family &&
		    !is_in(answer, &s->set.entries[i].addr))
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

/* The addresses may be used. */
static void publish(struct slot *s)
{
	iso_timer_clear(&loop_of(s)->wheel, &s->hold);
	s->owner->hook.changed(s->owner->hook.arg);
}

static void on_hold(struct iso_timer *timer)
{
	publish(ISO_CONTAINER(timer, struct slot, hold));
}

/*
 * It failed: the last good set of the family stays. That there is no address of this family is believed when
 * the next answer for the other one is good; else the whole answer would be empty.
 */
static void failed(struct lookup *l, const struct iso_resolution *answer)
{
	struct slot *s = l->slot;
	uint32_t others = iso_endpoint_set_fresh(&s->set, other_of(l)->family);
	uint64_t ttl_us = s->set.ttl_us[other_of(l)->family == AF_INET ? 0 : 1];

	l->none = answer->none;
	l->why = answer->why != NULL ? answer->why : "the name did not resolve";
	if (answer->ttl_s != UINT32_MAX)
		wait_us(l, s->set.count == 0 ? RETRY_EMPTY_US : l->none && others > 0 ? ttl_us : RETRY_US);
	if (iso_timer_is_set(&s->hold))
		publish(s);
}

static void drop_family(struct slot *s, int family)
{
	static const struct iso_resolution empty = { .n = 0 };

	if (iso_endpoint_set_fresh(&s->set, family) == 0)
		return;
	tell_changes(s, family, &empty);
	iso_endpoint_set_none(&s->set, family, loop_of(s)->now_us);
}

static void succeeded(struct lookup *l, const struct iso_resolution *answer)
{
	struct slot *s = l->slot;
	const struct iso_endpoints *ep = s->owner;
	uint64_t now_us = loop_of(s)->now_us;
	uint64_t ttl_us = iso_endpoint_ttl_us(answer->ttl_s, ep->ttl_min_us, ep->ttl_max_us);
	bool first = s->set.count == 0;

	l->why = NULL;
	l->none = false;
	s->took_us = answer->ttl_s != UINT32_MAX ? (uint32_t)(now_us - l->asked_us) : 0;
	tell_changes(s, l->family, answer);
	iso_endpoint_set_answer(&s->set, answer->addr, answer->n, ttl_us, now_us);
	if (other_of(l)->none)
		drop_family(s, other_of(l)->family);
	if (answer->ttl_s != UINT32_MAX) /* an IP literal does not change */
		wait_us(l, ttl_us);
	/* RFC 8305 section 3: IPv6 addresses may be a moment behind. */
	if (first && l->family == AF_INET && other_of(l)->running)
		iso_timer_set(&loop_of(s)->wheel, &s->hold, now_us + RESOLUTION_DELAY_US);
	else
		publish(s);
}

static void on_answer(struct iso_resolve *query, const struct iso_resolution *answer)
{
	struct lookup *l = ISO_CONTAINER(query, struct lookup, query);

	l->running = false;
	if (answer->err != ISO_OK || answer->n == 0)
		failed(l, answer);
	else
		succeeded(l, answer);
}

static void start(struct lookup *l)
{
	struct slot *s = l->slot;
	int err;

	l->query.done = on_answer;
	l->query.port = s->port;
	l->asked_us = loop_of(s)->now_us;
	err = iso_resolve_start(&l->query, s->owner->resolver, s->host, l->family, QUERY_TIMEOUT_US);
	l->running = err == ISO_OK;
	if (err != ISO_OK) {
		l->why = iso_err_text(err);
		wait_us(l, RETRY_EMPTY_US);
	}
}

static void on_timer(struct iso_timer *timer)
{
	start(ISO_CONTAINER(timer, struct lookup, timer));
}

static void stop(struct slot *s)
{
	for (int i = 0; i < FAMILIES; i++) {
		struct lookup *l = &s->lookups[i];

		if (l->running)
			iso_resolve_cancel(&l->query);
		l->running = l->none = false;
		l->why = NULL;
		iso_timer_clear(&loop_of(s)->wheel, &l->timer);
	}
	iso_timer_clear(&loop_of(s)->wheel, &s->hold);
	s->host[0] = '\0';
	s->why = NULL;
	s->took_us = 0;
	/* Workers may still hold what the old indexes meant. */
	iso_endpoint_set_init(&s->set, s->set.epoch + 1);
}

static void slot_init(struct slot *s, struct iso_endpoints *owner)
{
	static const int families[FAMILIES] = { AF_INET, AF_INET6 };

	s->owner = owner;
	for (int i = 0; i < FAMILIES; i++) {
		s->lookups[i].slot = s;
		s->lookups[i].family = families[i];
		iso_timer_init(&s->lookups[i].timer, on_timer);
	}
	iso_timer_init(&s->hold, on_hold);
	iso_endpoint_set_init(&s->set, 1);
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
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		slot_init(&ep->slots[i], ep);
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
	for (int i = 0; i < FAMILIES; i++)
		start(&s->lookups[i]);
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
	if (!iso_timer_is_set(&ep->slots[slot].hold))
		iso_endpoint_set_read(&ep->slots[slot].set, ep->loop->now_us, to);
}

const char *iso_endpoints_why(const struct iso_endpoints *ep, uint32_t slot)
{
	const struct slot *s = &ep->slots[slot];
	const struct lookup *v4 = &s->lookups[0], *v6 = &s->lookups[1];

	if (s->why != NULL || (v4->why != NULL && v6->why != NULL))
		return s->why != NULL ? s->why : v4->none ? v6->why : v4->why;
	if (s->set.count == 0) /* the other one has not ended yet */
		return NULL;
	return v4->why != NULL && !v4->none ? v4->why : v6->why != NULL && !v6->none ? v6->why : NULL;
}

uint32_t iso_endpoints_took_us(const struct iso_endpoints *ep, uint32_t slot)
{
	return ep->slots[slot].took_us;
}
