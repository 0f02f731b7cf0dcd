/*
 * The addresses of one region: what DNS says now and what it said a while ago. Pure; time is an argument.
 */
#ifndef ISO_MONITOR_ENDPOINT_SET_PRIV_H
#define ISO_MONITOR_ENDPOINT_SET_PRIV_H

#include "iso/upstream/board.h"

struct iso_endpoint_entry {
	struct iso_sockaddr addr;
	uint64_t seen_us; /* when an answer last had it */
	bool missing;     /* the last good answer does not have it */
};

struct iso_endpoint_set {
	struct iso_endpoint_entry entries[ISO_ENDPOINTS_MAX];
	uint32_t count;
	uint32_t epoch;     /* changes when an index gets another address */
	uint64_t ttl_us[2]; /* of the last good answers for IPv4 and IPv6, clamped */
};

/* epoch: anything that the slot has not had before. */
void iso_endpoint_set_init(struct iso_endpoint_set *set, uint32_t epoch);
/* Clamped. */
uint64_t iso_endpoint_ttl_us(uint32_t ttl_s, uint64_t min_us, uint64_t max_us);
/*
 * A good answer for the family of its addresses, which it speaks of alone. An empty one changes nothing.
 */
void iso_endpoint_set_answer(struct iso_endpoint_set *set, const struct iso_sockaddr *addrs, size_t n,
			     uint64_t ttl_us, uint64_t now_us);
/*
 * The server is sure that there is no address of the family (AF_INET, AF_INET6): then none is used any more,
 * as long as the other family's addresses are known from a late answer. Else the last good set stays.
 */
void iso_endpoint_set_none(struct iso_endpoint_set *set, int family, uint64_t now_us);
/* How many addresses of the family the last good answer has. */
uint32_t iso_endpoint_set_fresh(const struct iso_endpoint_set *set, int family);
/*
 * Fills the endpoints of a board's region. An address that is missing takes no new requests from TTL + 2 s
 * after it was last seen, and loses its place after 3 TTLs.
 */
void iso_endpoint_set_read(struct iso_endpoint_set *set, uint64_t now_us, struct iso_board_region *to);

#endif
