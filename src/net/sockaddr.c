/*
 * Socket addresses to and from text. Pure.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "iso/net/listener.h"
#include "iso/net/resolver.h"

int iso_sockaddr_parse(const char *host, uint16_t port, struct iso_sockaddr *ret_addr)
{
	struct iso_sockaddr addr;
	char bare[INET6_ADDRSTRLEN + 1];
	size_t len = strlen(host);
	bool bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';

	memset(&addr, 0, sizeof(addr));
	if (bracketed) {
		if (len - 2 >= sizeof(bare))
			return ISO_EBAD;
		memcpy(bare, host + 1, len - 2);
		bare[len - 2] = '\0';
		host = bare;
	}
	/* RFC 3986 section 3.2.2: brackets are for IPv6 alone. */
	if (!bracketed && inet_pton(AF_INET, host, &addr.u.v4.sin_addr) == 1) {
		addr.u.v4.sin_family = AF_INET;
		addr.u.v4.sin_port = htons(port);
		addr.len = sizeof(addr.u.v4);
	} else if (inet_pton(AF_INET6, host, &addr.u.v6.sin6_addr) == 1) {
		addr.u.v6.sin6_family = AF_INET6;
		addr.u.v6.sin6_port = htons(port);
		addr.len = sizeof(addr.u.v6);
	} else {
		return ISO_EBAD;
	}
	*ret_addr = addr;
	return ISO_OK;
}

void iso_sockaddr_format(const struct sockaddr *sa, char *ret_text, size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)sa;

		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		snprintf(ret_text, size, "%s:%u", ip, ntohs(v4->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)sa;

		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		snprintf(ret_text, size, "[%s]:%u", ip, ntohs(v6->sin6_port));
	} else {
		snprintf(ret_text, size, "unix");
	}
}

bool iso_sockaddr_eq(const struct iso_sockaddr *a, const struct iso_sockaddr *b)
{
	if (a->u.sa.sa_family != b->u.sa.sa_family)
		return false;
	if (a->u.sa.sa_family == AF_INET)
		return a->u.v4.sin_port == b->u.v4.sin_port &&
		       a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
	return a->u.v6.sin6_port == b->u.v6.sin6_port && a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id &&
	       memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr, sizeof(a->u.v6.sin6_addr)) == 0;
}

int iso_listener_parse(struct iso_slice address, struct iso_sockaddr *ret_addr)
{
	char host[INET6_ADDRSTRLEN + 3];
	uint64_t port;
	size_t colon = address.len;

	while (colon > 0 && address.ptr[colon - 1] != ':')
		colon--;
	if (colon < 2 || colon - 1 >= sizeof(host))
		return ISO_EBAD;
	if (iso_slice_u64(iso_slice(address.ptr + colon, address.len - colon), &port) != ISO_OK ||
	    port > 65535)
		return ISO_EBAD;
	memcpy(host, address.ptr, colon - 1);
	host[colon - 1] = '\0';
	if (strlen(host) != colon - 1)
		return ISO_EBAD; /* a NUL inside: what follows it would be overlooked */
	if (strchr(host, ':') != NULL && host[0] != '[')
		return ISO_EBAD; /* an IPv6 address wants its brackets before a port */
	return iso_sockaddr_parse(host, (uint16_t)port, ret_addr);
}

struct iso_slice iso_sockaddr_client(const struct iso_sockaddr *addr)
{
	const struct in6_addr *v6 = &addr->u.v6.sin6_addr;

	if (addr->u.sa.sa_family != AF_INET6)
		return iso_slice((const char *)&addr->u.v4.sin_addr, sizeof(addr->u.v4.sin_addr));
	if (IN6_IS_ADDR_V4MAPPED(v6))
		return iso_slice((const char *)v6 + 12, 4);
	return iso_slice((const char *)v6, 8);
}
