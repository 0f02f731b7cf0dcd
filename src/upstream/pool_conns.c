/*
 * A pool's connections by address: which one an attempt gets, which address the next one goes to, and those
 * that are opened before anything waits for them. Thread: its loop.
 */
#include "iso/net/resolver.h"
#include "uconn_priv.h"

enum { IN_USE_US = 1000 * 1000 };

/* How well a connection's address suits an attempt. */
enum fit {
	FIT_UNUSABLE, /* it takes no new requests */
	FIT_AVOIDED,  /* this exchange was there */
	FIT_POOR,     /* slower than another one, or in doubt */
	FIT_BEST,
};

const struct iso_board_region *iso_pool_region(const struct iso_pool *pool)
{
	return &pool->upstream->board->regions[pool->slot];
}

int iso_pool_index_of(const struct iso_pool *pool, const struct iso_sockaddr *addr)
{
	const struct iso_board_region *region = iso_pool_region(pool);

	for (uint32_t i = 0; i < region->endpoint_count; i++)
		if (iso_sockaddr_eq(&region->endpoints[i].addr, addr))
			return (int)i;
	return -1;
}

uint16_t iso_pool_busy(const struct iso_pool *pool)
{
	uint16_t busy = 0;

	for (const struct iso_list *l = pool->conns.next; l != &pool->conns; l = l->next) {
		const struct iso_uconn *c = ISO_CONTAINER(l, struct iso_uconn, link);

		if (c->state == ISO_UCONN_CONNECTING && !c->astray)
			busy = (uint16_t)(busy | 1u << c->endpoint);
	}
	return busy;
}

uint32_t iso_pool_awaited(const struct iso_pool *pool)
{
	for (const struct iso_list *l = pool->conns.next; l != &pool->conns; l = l->next) {
		const struct iso_uconn *c = ISO_CONTAINER(l, struct iso_uconn, link);

		if (c->state == ISO_UCONN_CONNECTING)
			return c->serial;
	}
	return 0;
}

int iso_pool_endpoint(struct iso_pool *pool, uint16_t avoid)
{
	const struct iso_reach_wish wish = { avoid, iso_pool_busy(pool), pool->load };

	return iso_reach_choose(&pool->reach, iso_pool_region(pool), &wish, pool->upstream->loop->now_us);
}

bool iso_pool_may_serve(const struct iso_pool *pool, const struct iso_attempt *a)
{
	for (const struct iso_list *l = pool->conns.next; l != &pool->conns; l = l->next) {
		const struct iso_uconn *c = ISO_CONTAINER(l, struct iso_uconn, link);

		if (!c->astray && !c->shunned && iso_uconn_fits(c, a, pool->upstream->loop->now_us) &&
		    (a->spec.endpoint < 0 || c->endpoint == a->spec.endpoint))
			return true;
	}
	return false;
}

static enum fit fit_of(struct iso_pool *pool, const struct iso_uconn *c, uint16_t avoid)
{
	const struct iso_board_region *region = iso_pool_region(pool);

	if (!region->endpoints[c->endpoint].usable)
		return FIT_UNUSABLE;
	if ((avoid >> c->endpoint & 1) != 0)
		return FIT_AVOIDED;
	return region->endpoints[c->endpoint].slower || !iso_reach_rested(&pool->reach, region, c->endpoint,
									  pool->upstream->loop->now_us)
		       ? FIT_POOR
		       : FIT_BEST;
}

/* Whether to wait for a connection to another address, rather than to take this one. */
static bool better_waits(struct iso_pool *pool, enum fit fit, uint16_t avoid)
{
	const struct iso_board_region *region = iso_pool_region(pool);
	uint64_t now_us = pool->upstream->loop->now_us;
	uint16_t slow = 0;

	if (fit == FIT_UNUSABLE)
		return iso_reach_other(&pool->reach, region, 0, 0, now_us);
	/* Over HTTP/2 one is opened as soon as it is known to be better, and nobody need wait for it. */
	if (fit != FIT_POOR || pool->learned != ISO_PROTOCOL_HTTP11)
		return false;
	for (uint32_t i = 0; i < region->endpoint_count; i++)
		if (region->endpoints[i].slower)
			slow = (uint16_t)(slow | 1u << i);
	return iso_reach_other(&pool->reach, region, avoid | slow, 0, now_us);
}

/* Of two addresses that suit alike: the one with the least in flight, then the one that has waited for
 * longer. */
static bool is_freer(const struct iso_pool *pool, uint32_t a, uint32_t b)
{
	if (pool->load[a] != pool->load[b])
		return pool->load[a] < pool->load[b];
	return pool->turns[a] < pool->turns[b];
}

/* The best address, and of its connections the one that was used last. */
struct iso_uconn *iso_pool_conn(struct iso_pool *pool, const struct iso_attempt *a)
{
	uint64_t now_us = pool->upstream->loop->now_us;
	bool single = iso_pool_region(pool)->endpoint_count == 1;
	struct iso_uconn *best = NULL, *spare = NULL;
	enum fit best_fit = FIT_UNUSABLE;

	for (struct iso_list *l = pool->conns.next; l != &pool->conns; l = l->next) {
		struct iso_uconn *c = ISO_CONTAINER(l, struct iso_uconn, link);
		enum fit fit;

		/* One that was on its way when its address lost its place ends at the next board. */
		if (c->astray || !iso_uconn_usable(c, a, now_us))
			continue;
		if (a->spec.endpoint >= 0 && c->endpoint != a->spec.endpoint)
			continue;
		if (c->shunned) {
			spare = c->acked ? c : spare;
			continue;
		}
		fit = fit_of(pool, c, a->spec.avoid_endpoints);
		if (best == NULL || fit > best_fit ||
		    (fit == best_fit && is_freer(pool, c->endpoint, best->endpoint))) {
			best = c;
			best_fit = fit;
		}
		if (single || a->spec.endpoint >= 0)
			break;
	}
	if (best != NULL && a->spec.endpoint >= 0)
		return best;
	if (best != NULL)
		return better_waits(pool, best_fit, a->spec.avoid_endpoints) ? NULL : best;
	/* Many slow requests may have made all silent that there may be: better there than not at all. */
	return pool->conn_count - pool->dedicated >= ISO_POOL_H2_MAX && pool->connecting == 0 ? spare : NULL;
}

void iso_pool_replace(struct iso_pool *pool, const struct iso_uconn *silent)
{
	bool same = false, any = false;

	if (pool->learned == ISO_PROTOCOL_HTTP11 || pool->retired)
		return;
	for (const struct iso_list *l = pool->conns.next; l != &pool->conns; l = l->next) {
		const struct iso_uconn *c = ISO_CONTAINER(l, struct iso_uconn, link);

		if (c->dedicated || c->shunned || c->state > ISO_UCONN_OPEN)
			continue;
		any = true;
		same |= c->endpoint == silent->endpoint;
	}
	if (!same)
		iso_reach_failed(&pool->reach, iso_pool_region(pool), &silent->addr,
				 pool->upstream->loop->now_us);
	if (!any && pool->conn_count - pool->dedicated < ISO_POOL_H2_MAX)
		(void)!iso_pool_open(pool, 0, -1);
}

/* The endpoint's address is in the current answer, and connections to it are not known to fail. */
static bool is_fresh(struct iso_pool *pool, uint32_t endpoint)
{
	const struct iso_board_region *region = iso_pool_region(pool);

	return region->endpoints[endpoint].fresh && !region->endpoints[endpoint].ejected &&
	       iso_reach_rested(&pool->reach, region, endpoint, pool->upstream->loop->now_us);
}

void iso_pool_unload(struct iso_pool *pool, struct iso_uconn *c)
{
	if (!c->astray)
		pool->load[c->endpoint] -= c->streams;
	c->astray = true;
}

void iso_pool_refresh(struct iso_pool *pool)
{
	const struct iso_board_region *region = iso_pool_region(pool);
	uint16_t served = 0, fresh = 0, quick = 0;
	struct iso_list *next;

	/* The region is gone, for the board a turn sooner than for us: what is on its way may be waited for.
	 */
	if (pool->retired || region->endpoint_count == 0)
		return;
	for (struct iso_list *l = pool->conns.next; l != &pool->conns; l = next) {
		struct iso_uconn *c = ISO_CONTAINER(l, struct iso_uconn, link);

		next = l->next;
		if (c->endpoint >= region->endpoint_count ||
		    !iso_sockaddr_eq(&c->addr, &region->endpoints[c->endpoint].addr)) {
			iso_pool_unload(pool, c);
			iso_uconn_drain(c); /* its address is gone for good: what runs ends in peace */
		} else if (!c->shunned) {
			served = (uint16_t)(served | 1u << c->endpoint);
		}
	}
	if (!pool->warm)
		return;
	for (uint32_t i = 0; i < region->endpoint_count; i++) {
		if (!is_fresh(pool, i))
			continue;
		fresh = (uint16_t)(fresh | 1u << i);
		if (region->endpoints[i].usable && !region->endpoints[i].slower)
			quick = (uint16_t)(quick | 1u << i);
	}
	/* While it is in use all good addresses share the load; else one connection is enough. */
	if (pool->learned != ISO_PROTOCOL_HTTP11 && (quick & ~served) != 0 && pool->connecting == 0 &&
	    pool->used_us + IN_USE_US > pool->upstream->loop->now_us)
		(void)!iso_pool_open(pool, 0, __builtin_ctz((unsigned int)(quick & ~served)));
	else if ((served & fresh) == 0 && fresh != 0)
		(void)!iso_pool_open(pool, 0, __builtin_ctz(quick != 0 ? quick : fresh));
}
