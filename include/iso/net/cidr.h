/*
 * Sets of networks ("10.0.0.0/8", "2001:db8::/32", a bare address): immutable once built, shared by
 * reference.
 */
#ifndef ISO_NET_CIDR_H
#define ISO_NET_CIDR_H

#include "iso/base/ip.h"
#include "iso/net/transport.h"

struct iso_cidr_set;

/* Without its port; false when it is of neither family. */
bool iso_sockaddr_ip(const struct sockaddr *addr, struct iso_ip *ret_ip);
/* ISO_OK; ISO_EBAD: no network, or bits are set behind its prefix. */
ISO_MUST_USE int iso_cidr_parse(struct iso_slice text, struct iso_cidr *ret_cidr);
/* Copies n > 0 of them. NULL: no memory. */
struct iso_cidr_set *iso_cidr_set_new(const struct iso_cidr *cidrs, size_t n);
struct iso_cidr_set *iso_cidr_set_ref(struct iso_cidr_set *set); /* NULL is fine */
void iso_cidr_set_unref(struct iso_cidr_set *set);               /* NULL is fine */
/* Whether the address lies in one of them; false for a NULL set. */
bool iso_cidr_set_has(const struct iso_cidr_set *set, const struct sockaddr *addr);

#endif
