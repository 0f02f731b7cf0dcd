/*
 * The connections of one loop to one region, and the attempts that wait for one. Thread: its loop.
 */
#ifndef ISO_UPSTREAM_POOL_PRIV_H
#define ISO_UPSTREAM_POOL_PRIV_H

#include "iso/upstream/upstream.h"
#include "reach_priv.h"

enum { ISO_POOL_H2_MAX = 16 }; /* HTTP/2 connections of one loop to one region */

struct iso_attempt;
struct iso_uconn;

struct iso_pool {
	struct iso_upstream *upstream;
	struct iso_snapshot *snapshot;         /* held: what runs may outlive everybody else who knows it */
	const struct iso_cfg_service *service; /* of that snapshot */
	const struct iso_cfg_region *region;
	struct iso_cell *cell;     /* our evidence */
	struct iso_list conns;     /* newest use first */
	struct iso_list queue;     /* attempts that wait for a connection, oldest first */
	struct iso_list waiting;   /* attempts sent that wait for their head, oldest first */
	struct iso_list own;       /* the same of routes whose own times are known */
	struct iso_timer patience; /* for the head of the queue */
	struct iso_timer rewarm;   /* when to open a connection in reserve again */
	struct iso_timer eyeballs; /* when another address is tried beside a slow one */
	struct iso_reach reach;
	/* How long the region let a connection be idle before it closed it; and when that was seen again, how
	 * long we do. 0: not known. */
	uint64_t idle_seen_us, idle_learnt_us;
	uint64_t suspect_us;                     /* since when the region is suspect here; 0: it is not */
	uint64_t progress_us;                    /* when a byte last came */
	uint64_t overdue_us;                     /* as the cell says */
	uint64_t used_us;                        /* when it last got an attempt */
	uint32_t load[ISO_ENDPOINTS_MAX];        /* streams by endpoint */
	uint64_t turns[ISO_ENDPOINTS_MAX], turn; /* which attempt of the pool an endpoint got last */
	uint32_t queued, conn_count, connecting, in_flight, waiting_count;
	uint32_t unheard;        /* attempts sent since something came last */
	uint32_t tunnels_queued; /* of those queued */
	uint32_t dedicated;      /* of the connections, for tunnels alone */
	uint32_t slot;
	enum iso_protocol learned; /* what ALPN said last; AUTO: not known */
	bool warm, retired, dispatching;
	bool unpinged; /* the region has called our pings too many */
};

/* Single writer: plain stores, no lock prefix. */
#define ISO_CELL_SET(cell, member, value) atomic_store_explicit(&(cell)->member, value, memory_order_relaxed)

ISO_MUST_USE int iso_pool_new(struct iso_upstream *upstream, uint32_t slot, struct iso_pool **ret_pool);
/* Cancels what waits; closes every connection. NULL is fine. */
void iso_pool_free(struct iso_pool *pool);
/* Takes a reference to the snapshot, which has the service and the region. */
void iso_pool_bind(struct iso_pool *pool, struct iso_snapshot *snapshot,
		   const struct iso_cfg_service *service, const struct iso_cfg_region *region);
/*
 * The region is gone from the configuration: no new connections; what runs ends in peace, and what waits gets
 * a connection that is on its way, or ends.
 */
void iso_pool_retire(struct iso_pool *pool);
/* It is retired, and nothing is left in it. */
bool iso_pool_is_over(const struct iso_pool *pool);
/* The region has closed a connection that had been idle for so long. */
void iso_pool_learn_idle(struct iso_pool *pool, uint64_t idle_us);
/* How long a connection may be idle. */
uint64_t iso_pool_idle_us(const struct iso_pool *pool);
/* Gives the attempt a connection now or queues it; or ends it later, if its region has gone from here. */
void iso_pool_enqueue(struct iso_pool *pool, struct iso_attempt *a);
void iso_pool_dequeue(struct iso_pool *pool, struct iso_attempt *a);
/* A connection has room, or was lost: serves the queue and opens what is missing. */
void iso_pool_dispatch(struct iso_pool *pool);
/* Connecting failed with an iso_err; c is closed already. */
void iso_pool_connect_failed(struct iso_pool *pool, const struct iso_uconn *c, int err);
/* Opens a connection to `wanted`, or (-1) to the best endpoint but for those in `avoid`. ISO_OK, or why not.
 */
ISO_MUST_USE int iso_pool_open(struct iso_pool *pool, uint16_t avoid, int wanted);

/* The rest is pool_conns.c's. */
/* What the board of this turn says of the region. */
const struct iso_board_region *iso_pool_region(const struct iso_pool *pool);
/* The index that the address has on it; -1: none. */
int iso_pool_index_of(const struct iso_pool *pool, const struct iso_sockaddr *addr);
/* The endpoints that connections are on the way to. */
uint16_t iso_pool_busy(const struct iso_pool *pool);
/* Where the next connection is to go; -1: nowhere. */
int iso_pool_endpoint(struct iso_pool *pool, uint16_t avoid);
/* The connection that the attempt is to go on; NULL: it has to wait for one. */
struct iso_uconn *iso_pool_conn(struct iso_pool *pool, const struct iso_attempt *a);
/* Its streams do not count any more: it is closed, or its address has lost its place. */
void iso_pool_unload(struct iso_pool *pool, struct iso_uconn *c);
/* Whether there is one that could take it once it has room. */
bool iso_pool_may_serve(const struct iso_pool *pool, const struct iso_attempt *a);
/*
 * A connection is silent and takes nothing for now: so does its address, if nothing else is known of it, and
 * another one is opened unless there is one.
 */
void iso_pool_replace(struct iso_pool *pool, const struct iso_uconn *silent);
/* The serial of a connection that is on the way; 0: none is. */
uint32_t iso_pool_awaited(const struct iso_pool *pool);
/* Opens the connection in reserve if there is none. */
void iso_pool_warm(struct iso_pool *pool);
/*
 * There is a new board: connections to addresses that are gone end in peace, and one to a current address is
 * opened before the last one of the others may not be used any more.
 */
void iso_pool_refresh(struct iso_pool *pool);
/* Writes the counters and the oldest wait to the evidence cell. */
void iso_pool_publish(struct iso_pool *pool);
void iso_pool_progress(struct iso_pool *pool);
/* How long the region has been silent as seen from here, by those of `waiting`; 0: there is none. */
uint64_t iso_pool_silence_us(const struct iso_pool *pool, uint64_t now_us);
/* Whether the one of `own` that waits longest has waited for half of its patience in silence. */
bool iso_pool_half_overdue(const struct iso_pool *pool, uint64_t now_us);
/* Since when what goes by its route's own time waits in vain; 0: it does not. */
void iso_pool_overdue(struct iso_pool *pool, uint64_t since_us);

#endif
