/*
 * The addresses of one region over successive DNS answers. Pure; owned by endpoints.c, control thread.
 * Invariant: an index keeps its address until the address has been gone for 3 TTLs and the index is needed
 * again.
 */
#include "endpoint_set_priv.h"

#include "iso/net/resolver.h"

enum {
	GRACE_US = 2 * 1000 * 1000,
	WARM_TTLS = 3,
};

static const uint64_t second_us = 1000 * 1000;

void iso_endpoint_set_init(struct iso_endpoint_set *set, uint32_t epoch)
{
	memset(set, 0, sizeof(*set));
	set->epoch = epoch;
}

uint64_t iso_endpoint_ttl_us(uint32_t ttl_s, uint64_t min_us, uint64_t max_us)
{
	uint64_t us = ttl_s * second_us;

	return us < min_us ? min_us : us > max_us ? max_us : us;
}

static int family_of(const struct iso_sockaddr *addr)
{
	return addr->u.sa.sa_family;
}

static uint64_t ttl_of(const struct iso_endpoint_set *set, int family)
{
	return set->ttl_us[family == AF_INET ? 0 : 1];
}

static bool is_gone(const struct iso_endpoint_set *set, const struct iso_endpoint_entry *e, uint64_t now_us)
{
	return e->missing && now_us >= e->seen_us + WARM_TTLS * ttl_of(set, family_of(&e->addr));
}

static struct iso_endpoint_entry *find(struct iso_endpoint_set *set, const struct iso_sockaddr *addr)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (iso_sockaddr_eq(&set->entries[i].addr, addr))
			return &set->entries[i];
	return NULL;
}

/* A place for a new address: one that is gone, a new one, or else that of the address which is missing
 * longest. */
static struct iso_endpoint_entry *place(struct iso_endpoint_set *set, uint64_t now_us)
{
	struct iso_endpoint_entry *oldest = NULL;

	for (uint32_t i = 0; i < set->count; i++) {
		struct iso_endpoint_entry *e = &set->entries[i];

		if (!e->missing)
			continue;
		if (is_gone(set, e, now_us)) {
			set->epoch++;
			return e;
		}
		if (oldest == NULL || e->seen_us < oldest->seen_us)
			oldest = e;
	}
	if (set->count < ISO_ENDPOINTS_MAX)
		return &set->entries[set->count++];
	if (oldest != NULL)
		set->epoch++;
	return oldest;
}

static void forget_family(struct iso_endpoint_set *set, int family)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (family_of(&set->entries[i].addr) == family)
			set->entries[i].missing = true;
}

uint32_t iso_endpoint_set_fresh(const struct iso_endpoint_set *set, int family)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < set->count; i++)
		n += !set->entries[i].missing && family_of(&set->entries[i].addr) == family;
	return n;
}

void iso_endpoint_set_none(struct iso_endpoint_set *set, int family, uint64_t now_us)
{
	for (uint32_t i = 0; i < set->count; i++) {
		const struct iso_endpoint_entry *e = &set->entries[i];

		if (family_of(&e->addr) != family && !e->missing &&
		    now_us < e->seen_us + ttl_of(set, family_of(&e->addr)) + GRACE_US) {
			forget_family(set, family);
			return;
		}
	}
}

void iso_endpoint_set_answer(struct iso_endpoint_set *set, const struct iso_sockaddr *addrs, size_t n,
			     uint64_t ttl_us, uint64_t now_us)
{
	if (n == 0)
		return;
	set->ttl_us[family_of(&addrs[0]) == AF_INET ? 0 : 1] = ttl_us;
	forget_family(set, family_of(&addrs[0]));
	/* Those that stay are marked first, so that a new one never takes their place. */
	for (size_t k = 0; k < n; k++) {
		struct iso_endpoint_entry *e = find(set, &addrs[k]);

		if (e != NULL) {
			e->missing = false;
			e->seen_us = now_us;
		}
	}
	for (size_t k = 0; k < n; k++) {
		struct iso_endpoint_entry *e;

		if (find(set, &addrs[k]) != NULL)
			continue;
		e = place(set, now_us);
		if (e == NULL)
			return; /* more addresses than places: the first ones are enough */
		*e = (struct iso_endpoint_entry){ .addr = addrs[k], .seen_us = now_us };
	}
}

void iso_endpoint_set_read(struct iso_endpoint_set *set, uint64_t now_us, struct iso_board_region *to)
{
	while (set->count > 0 && is_gone(set, &set->entries[set->count - 1], now_us)) {
		set->count--;
		set->epoch++; /* the index may come back with another address */
	}
	to->endpoint_count = set->count;
	to->endpoints_epoch = set->epoch;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct iso_endpoint_entry *e = &set->entries[i];

		to->endpoints[i].addr = e->addr;
		to->endpoints[i].estimate_us = 0;
		to->endpoints[i].fresh = !e->missing;
		to->endpoints[i].usable = !e->missing ||
					  now_us < e->seen_us + ttl_of(set, family_of(&e->addr)) + GRACE_US;
	}
}
