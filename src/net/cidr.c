/*
 * See cidr.h. Any thread.
 */
#include "iso/net/cidr.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "iso/net/resolver.h"

struct iso_cidr_set {
	_Atomic uint32_t refs;
	size_t n;
	struct iso_cidr v[];
};

enum { V4_PREFIX_BITS = 96 };

bool iso_sockaddr_ip(const struct sockaddr *addr, struct iso_ip *ret_ip)
{
	if (addr->sa_family == AF_INET6) {
		memcpy(ret_ip->bytes, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 16);
		return true;
	}
	if (addr->sa_family != AF_INET)
		return false;
	memset(ret_ip->bytes, 0, 10);
	ret_ip->bytes[10] = ret_ip->bytes[11] = 0xff;
	memcpy(ret_ip->bytes + 12, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
	return true;
}

int iso_cidr_parse(struct iso_slice text, struct iso_cidr *ret_cidr)
{
	size_t slash = iso_slice_find(text, '/');
	struct iso_sockaddr addr;
	uint8_t masked[16];
	char host[64];
	uint64_t bits;
	bool v4;

	if (slash == 0 || slash >= sizeof(host))
		return ISO_EBAD;
	memcpy(host, text.ptr, slash);
	host[slash] = '\0';
	if (iso_sockaddr_parse(host, 0, &addr) != ISO_OK || !iso_sockaddr_ip(&addr.u.sa, &ret_cidr->ip))
		return ISO_EBAD;
	v4 = addr.u.sa.sa_family == AF_INET;
	bits = v4 ? 32 : 128;
	if (slash < text.len) {
		uint64_t most = bits;

		if (iso_slice_u64(iso_slice(text.ptr + slash + 1, text.len - slash - 1), &bits) != ISO_OK ||
		    bits > most)
			return ISO_EBAD;
	}
	ret_cidr->bits = (uint8_t)(bits + (v4 ? V4_PREFIX_BITS : 0));
	memset(masked, 0, sizeof(masked));
	memcpy(masked, ret_cidr->ip.bytes, ret_cidr->bits / 8u);
	if (ret_cidr->bits % 8 != 0)
		masked[ret_cidr->bits / 8] = ret_cidr->ip.bytes[ret_cidr->bits / 8] &
					     (uint8_t)(0xff << (8 - ret_cidr->bits % 8));
	return memcmp(masked, ret_cidr->ip.bytes, sizeof(masked)) == 0 ? ISO_OK : ISO_EBAD;
}

struct iso_cidr_set *iso_cidr_set_new(const struct iso_cidr *cidrs, size_t n)
{
	struct iso_cidr_set *set = malloc(sizeof(*set) + n * sizeof(set->v[0]));

	if (set == NULL)
		return NULL;
	atomic_init(&set->refs, 1);
	set->n = n;
	memcpy(set->v, cidrs, n * sizeof(set->v[0]));
	return set;
}

struct iso_cidr_set *iso_cidr_set_ref(struct iso_cidr_set *set)
{
	if (set != NULL)
		atomic_fetch_add(&set->refs, 1);
	return set;
}

void iso_cidr_set_unref(struct iso_cidr_set *set)
{
	if (set != NULL && atomic_fetch_sub(&set->refs, 1) == 1)
		free(set);
}

bool iso_cidr_set_has(const struct iso_cidr_set *set, const struct sockaddr *addr)
{
	struct iso_ip ip;

	if (set == NULL || !iso_sockaddr_ip(addr, &ip))
		return false;
	for (size_t i = 0; i < set->n; i++)
		if (iso_cidr_has(&set->v[i], &ip))
			return true;
	return false;
}
