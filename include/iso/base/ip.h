/*
 * IP addresses and networks as plain bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). Pure.
 */
#ifndef ISO_BASE_IP_H
#define ISO_BASE_IP_H

#include <stdbool.h>
#include <stdint.h>

struct iso_ip {
	uint8_t bytes[16];
};

/* A network; the address bits behind its prefix are 0. */
struct iso_cidr {
	struct iso_ip ip;
	uint8_t bits; /* of 128 */
};

bool iso_cidr_has(const struct iso_cidr *cidr, const struct iso_ip *ip);
/* Whether some address lies in both. */
bool iso_cidr_overlap(const struct iso_cidr *a, const struct iso_cidr *b);

#endif
