/*
 * The PROXY protocol's header, versions 1 and 2 (HAProxy's proxy-protocol.txt, 2020): what a balancer in
 * front of us says about its client before the first byte. Pure.
 */
#ifndef ISO_NET_PROXY_HEADER_H
#define ISO_NET_PROXY_HEADER_H

#include "iso/net/transport.h"

enum { ISO_PROXY_HEADER_MAX = 2048 }; /* version 2 with TLVs; version 1 has at most 107 bytes */

struct iso_proxy_header {
	struct iso_sockaddr source, destination;
	bool known; /* false: LOCAL, UNKNOWN or a family that is no IP: the connection's own addresses hold */
};

/*
 * ISO_OK: whole, *ret_used bytes long. ISO_EAGAIN: not yet. ISO_EBAD: no such header, or longer than
 * ISO_PROXY_HEADER_MAX.
 */
ISO_MUST_USE int iso_proxy_header_parse(const uint8_t *bytes, size_t n, struct iso_proxy_header *ret_header,
					size_t *ret_used);

#endif
