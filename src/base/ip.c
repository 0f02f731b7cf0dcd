/*
 * See ip.h.
 */
#include "iso/base/ip.h"

#include <string.h>

static bool same_prefix(const struct iso_ip *a, const struct iso_ip *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	return memcmp(a->bytes, b->bytes, whole) == 0 &&
	       (rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest)) == 0);
}

bool iso_cidr_has(const struct iso_cidr *cidr, const struct iso_ip *ip)
{
	return same_prefix(&cidr->ip, ip, cidr->bits);
}

bool iso_cidr_overlap(const struct iso_cidr *a, const struct iso_cidr *b)
{
	return same_prefix(&a->ip, &b->ip, a->bits < b->bits ? a->bits : b->bits);
}
