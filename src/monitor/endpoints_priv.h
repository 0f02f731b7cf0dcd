/*
 * Keeps the addresses of every region slot resolved. Thread: control.
 */
#ifndef ISO_MONITOR_ENDPOINTS_PRIV_H
#define ISO_MONITOR_ENDPOINTS_PRIV_H

#include "iso/upstream/board.h"

struct iso_endpoints;

/* Called when a slot's addresses have changed, from the loop. */
struct iso_endpoints_hook {
	void (*changed)(void *arg);
	void *arg;
};

/* dns_servers: as iso_resolver_new; NULL: the system's. */
ISO_MUST_USE int iso_endpoints_new(struct iso_loop *loop, const char *dns_servers,
				   const struct iso_endpoints_hook *hook,
				   struct iso_endpoints **ret_endpoints);
void iso_endpoints_free(struct iso_endpoints *endpoints);
/* Starts resolving what the snapshot names newly, at once; stops what it names no more. */
void iso_endpoints_bind(struct iso_endpoints *endpoints, const struct iso_snapshot *snapshot);
/* Fills in the endpoints of a slot. */
void iso_endpoints_read(struct iso_endpoints *endpoints, uint32_t slot, struct iso_board_region *to);
/* How long the last good answer took; 0: there was none, or it needed no question. */
uint32_t iso_endpoints_took_us(const struct iso_endpoints *endpoints, uint32_t slot);
/* Why the last query of the slot failed, static words; NULL: it did not, or there was none yet. */
const char *iso_endpoints_why(const struct iso_endpoints *endpoints, uint32_t slot);

#endif
