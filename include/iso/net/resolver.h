/*
 * Names to addresses by c-ares on a loop, with TTLs. The control loop owns one.
 */
#ifndef ISO_NET_RESOLVER_H
#define ISO_NET_RESOLVER_H

#include "iso/net/transport.h"

enum { ISO_RESOLVE_MAX = 8 };

struct iso_resolver;

struct iso_resolution {
	int err;         /* ISO_OK, ISO_EDNS (with why), ISO_ETIMEOUT */
	const char *why; /* words of a failure, static */
	bool none;       /* with ISO_EDNS: the server is sure that the name has no address of this family */
	uint32_t ttl_s;  /* least along the CNAME chain and over all addresses; not clamped */
	size_t n;
	struct iso_sockaddr addr[ISO_RESOLVE_MAX]; /* in the order of the resolver */
};

struct iso_resolve {
	void (*done)(struct iso_resolve *query, const struct iso_resolution *answer);
	struct iso_resolver *resolver; /* while it runs */
	uint16_t port;
	int family;
	bool cancelled;
	void *impl;
};

/* servers: "127.0.0.1:5353,…" for tests, NULL: the system's (resolv.conf; /etc/hosts is honoured). */
ISO_MUST_USE int iso_resolver_new(struct iso_loop *loop, const char *servers,
				  struct iso_resolver **ret_resolver);
void iso_resolver_free(struct iso_resolver *resolver);
/*
 * Starts a query for the addresses of one family, AF_INET (A) or AF_INET6 (AAAA): each may fail or be late by
 * itself. `done` comes exactly once, later, unless cancelled. An IP literal and "localhost" (127.0.0.1)
 * answer without a query (ttl_s UINT32_MAX; `none` for the other family). timeout_us bounds it all;
 * query->port is the caller's.
 */
ISO_MUST_USE int iso_resolve_start(struct iso_resolve *query, struct iso_resolver *resolver, const char *host,
				   int family, uint64_t timeout_us);
void iso_resolve_cancel(struct iso_resolve *query);

/* Parses an IP literal (v4, v6, [v6]) with a port; ISO_OK or ISO_EBAD. */
ISO_MUST_USE int iso_sockaddr_parse(const char *host, uint16_t port, struct iso_sockaddr *ret_addr);
/* "192.0.2.1:443" or "[2001:db8::1]:443"; size at least 64. */
void iso_sockaddr_format(const struct sockaddr *sa, char *ret_text, size_t size);
/* The bytes by which a client is known: an IPv4 address, or an IPv6 network of 64 bits, which is one
 * customer's. */
struct iso_slice iso_sockaddr_client(const struct iso_sockaddr *addr);
bool iso_sockaddr_eq(const struct iso_sockaddr *a, const struct iso_sockaddr *b);

#endif
