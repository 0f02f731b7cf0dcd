/*
 * A region's pool on one loop. Attempts wait here and never in a connection that is still shaking hands, so
 * that what was not sent has provably not been executed. Thread: its loop.
 */
#include "pool_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "iso/net/resolver.h"
#include "iso/policy/suspicion.h"
#include "uconn_priv.h"

enum {
	H1_CONNECTIONS_MAX = 1024, /* per worker and region */
	H2_QUEUE_PER_CONN = 100,  /* attempts that may wait for one handshake before another one is started */
	EYEBALLS_US = 250 * 1000, /* RFC 8305 section 8: Connection Attempt Delay */
	REWARM_US = 1000 * 1000,
	IDLE_LEAST_US = 1000 * 1000, /* what closes sooner does so for another reason, a deployment say */
};

static void on_patience(struct iso_timer *timer);
static void on_rewarm(struct iso_timer *timer);
static void on_eyeballs(struct iso_timer *timer);

int iso_pool_new(struct iso_upstream *upstream, uint32_t slot, struct iso_pool **ret_pool)
{
	struct iso_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return ISO_ENOMEM;
	pool->upstream = upstream;
	pool->slot = slot;
	pool->cell = &upstream->evidence->cells[slot];
	iso_list_init(&pool->conns);
	iso_list_init(&pool->queue);
	iso_list_init(&pool->waiting);
	iso_list_init(&pool->own);
	iso_timer_init(&pool->patience, on_patience);
	iso_timer_init(&pool->rewarm, on_rewarm);
	iso_timer_init(&pool->eyeballs, on_eyeballs);
	*ret_pool = pool;
	return ISO_OK;
}

void iso_pool_free(struct iso_pool *pool)
{
	if (pool == NULL)
		return;
	pool->retired = true;
	while (!iso_list_empty(&pool->queue)) {
		struct iso_attempt *a = ISO_CONTAINER(pool->queue.next, struct iso_attempt, link);

		iso_attempt_end(a, ISO_OUTCOME_CANCELLED, ISO_EXECUTED_NO);
	}
	while (!iso_list_empty(&pool->conns))
		iso_uconn_close(ISO_CONTAINER(pool->conns.next, struct iso_uconn, link),
				ISO_OUTCOME_CANCELLED);
	iso_timer_clear(&pool->upstream->loop->wheel, &pool->patience);
	iso_timer_clear(&pool->upstream->loop->wheel, &pool->rewarm);
	iso_timer_clear(&pool->upstream->loop->wheel, &pool->eyeballs);
	iso_pool_publish(pool);
	iso_snapshot_unref(pool->snapshot);
	free(pool);
}

void iso_pool_learn_idle(struct iso_pool *pool, uint64_t idle_us)
{
	uint64_t seen_us = pool->idle_seen_us;
	uint64_t apart_us = seen_us > idle_us ? seen_us - idle_us : idle_us - seen_us;

	if (idle_us < IDLE_LEAST_US)
		return;
	pool->idle_seen_us = idle_us;
	/* Once may be chance, twice the same is a timer. */
	if (apart_us <= idle_us / 8)
		pool->idle_learnt_us = (seen_us < idle_us ? seen_us : idle_us) / 10 * 9;
}

uint64_t iso_pool_idle_us(const struct iso_pool *pool)
{
	uint64_t limit_us = pool->service->connection_idle_us;

	return pool->idle_learnt_us != 0 && pool->idle_learnt_us < limit_us ? pool->idle_learnt_us : limit_us;
}

static bool is_tunnel(const struct iso_attempt *a)
{
	return a->spec.head->protocol.len > 0;
}

static enum iso_outcome connect_outcome(int err)
{
	return err == ISO_ENOTFOUND ? ISO_OUTCOME_GOAWAY /* of a region that is gone: no failure */
	       : err == ISO_ETLS || err == ISO_ECERT    ? ISO_OUTCOME_TLS
	       : err == ISO_ENOMEM || err == ISO_ELIMIT ? ISO_OUTCOME_OVERLOAD
							: ISO_OUTCOME_CONNECT;
}

static void fail_later(struct iso_attempt *a, int err)
{
	a->end_err = err;
	iso_attempt_end_later(a, connect_outcome(err), ISO_EXECUTED_NO);
}

static void fail(struct iso_pool *pool, struct iso_attempt *a, int err, int endpoint)
{
	iso_pool_dequeue(pool, a);
	if (endpoint >= 0) {
		a->endpoint = (uint8_t)endpoint;
		a->endpoints_epoch = iso_pool_region(pool)->endpoints_epoch;
	}
	fail_later(a, err);
}

/* One that still takes requests, or, if that is asked for, is on its way; NULL: none. */
static struct iso_uconn *first_alive(const struct iso_pool *pool, bool connecting)
{
	for (struct iso_list *l = pool->conns.next; l != &pool->conns; l = l->next) {
		struct iso_uconn *c = ISO_CONTAINER(l, struct iso_uconn, link);

		if ((c->state == ISO_UCONN_OPEN && !c->t.finishing) ||
		    (c->state == ISO_UCONN_CONNECTING && connecting))
			return c;
	}
	return NULL;
}

/*
 * No new requests: what is open closes once it is free, what is on its way at once, if it is to go. The end
 * of one may serve the queue, and end others: so each time from the beginning.
 */
static void end_conns(struct iso_pool *pool, bool connecting)
{
	struct iso_uconn *c;

	while ((c = first_alive(pool, connecting)) != NULL) {
		if (c->state == ISO_UCONN_CONNECTING)
			iso_uconn_close(c, ISO_OUTCOME_CANCELLED);
		else
			iso_uconn_drain(c);
	}
}

/*
 * Of a pool that is retired, and opens no connection any more: what waits and can be served by none that is
 * there or on its way ends at once, unsent, so that its exchange need not wait for its deadline. Deferred:
 * this may run inside an attempt's start. Connections that nothing waits for are not kept.
 */
static void settle(struct iso_pool *pool)
{
	uint32_t ahead = 0;
	struct iso_list *next;

	for (struct iso_list *l = pool->queue.next; l != &pool->queue; l = next) {
		struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, link);

		next = l->next;
		if (pool->learned == ISO_PROTOCOL_HTTP11
			    ? ahead < pool->connecting
			    : iso_pool_awaited(pool) != 0 || iso_pool_may_serve(pool, a))
			ahead++;
		else
			fail(pool, a, ISO_ENOTFOUND, -1);
	}
	if (pool->queued == 0)
		end_conns(pool, true);
}

/* The slot is another region's from now on: what waits was meant for the one before, and so was what is
 * known. */
static void start_anew(struct iso_pool *pool)
{
	while (!iso_list_empty(&pool->queue))
		fail(pool, ISO_CONTAINER(pool->queue.next, struct iso_attempt, link), ISO_ENOTFOUND, -1);
	end_conns(pool, true);
	for (struct iso_list *l = pool->conns.next; l != &pool->conns; l = l->next)
		iso_pool_unload(pool, ISO_CONTAINER(l, struct iso_uconn, link));
	pool->learned = ISO_PROTOCOL_AUTO;
	pool->idle_seen_us = pool->idle_learnt_us = pool->suspect_us = 0;
	pool->warm = pool->unpinged = false;
}

static bool is_same(const struct iso_cfg_region *a, const struct iso_cfg_region *b)
{
	return a == b || iso_slice_eq(a->identity, b->identity);
}

void iso_pool_bind(struct iso_pool *pool, struct iso_snapshot *snapshot,
		   const struct iso_cfg_service *service, const struct iso_cfg_region *region)
{
	struct iso_snapshot *old = pool->snapshot;

	if (pool->region != NULL && !is_same(pool->region, region))
		start_anew(pool);
	pool->snapshot = iso_snapshot_ref(snapshot);
	pool->service = service;
	pool->region = region;
	pool->retired = false;
	iso_snapshot_unref(old);
	if (region->protocol != ISO_PROTOCOL_AUTO)
		pool->learned = region->protocol;
	else if (!region->tls)
		pool->learned = ISO_PROTOCOL_HTTP11;
}

void iso_pool_retire(struct iso_pool *pool)
{
	pool->retired = true;
	end_conns(pool, false);
	settle(pool);
}

bool iso_pool_is_over(const struct iso_pool *pool)
{
	return pool->retired && pool->conn_count == 0 && pool->queued == 0 && pool->in_flight == 0;
}

/* How many more connections the queue calls for. Over HTTP/2, tunnels have connections of their own. */
static bool wants_conn(const struct iso_pool *pool)
{
	uint32_t queued = pool->learned == ISO_PROTOCOL_HTTP11 ? pool->queued
							       : pool->queued - pool->tunnels_queued;

	if (queued == 0 || pool->retired)
		return false;
	if (pool->learned == ISO_PROTOCOL_HTTP11)
		return pool->connecting < queued && pool->conn_count < H1_CONNECTIONS_MAX;
	return queued > pool->connecting * H2_QUEUE_PER_CONN &&
	       pool->conn_count - pool->dedicated < ISO_POOL_H2_MAX;
}

/*
 * Ends what waits in vain: over HTTP/1.1 one attempt for the lost connection, else all of them that no
 * connection is left for. Deferred: this may run inside an attempt's start.
 */
static void fail_queue(struct iso_pool *pool, int err, int endpoint)
{
	bool one = pool->learned == ISO_PROTOCOL_HTTP11;
	struct iso_list *next;

	if (!one && pool->connecting > 0)
		return;
	for (struct iso_list *l = pool->queue.next; l != &pool->queue; l = next) {
		struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, link);

		next = l->next;
		if (!one && iso_pool_may_serve(pool, a))
			continue;
		fail(pool, a, err, endpoint);
		if (one)
			return;
	}
}

/* Those that want this very address, and need not wait for the others. */
static void fail_aimed(struct iso_pool *pool, int err, int endpoint)
{
	struct iso_list *next;

	for (struct iso_list *l = pool->queue.next; l != &pool->queue; l = next) {
		struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, link);

		next = l->next;
		if (endpoint >= 0 && a->spec.endpoint == endpoint)
			fail(pool, a, err, endpoint);
	}
}

int iso_pool_open(struct iso_pool *pool, uint16_t avoid, int wanted)
{
	int endpoint = wanted >= 0 ? wanted : iso_pool_endpoint(pool, avoid);
	int err;

	if (endpoint < 0)
		return ISO_EDNS;
	err = iso_uconn_new(pool, (uint8_t)endpoint, false);
	if (err != ISO_OK)
		iso_reach_failed(&pool->reach, iso_pool_region(pool),
				 &iso_pool_region(pool)->endpoints[endpoint].addr,
				 pool->upstream->loop->now_us);
	else if (!iso_timer_is_set(&pool->eyeballs))
		iso_timer_set(&pool->upstream->loop->wheel, &pool->eyeballs,
			      pool->upstream->loop->now_us + EYEBALLS_US);
	return err;
}

/* What waits first may go to any address, and there is another one that may work. */
static bool other_address(struct iso_pool *pool)
{
	const struct iso_attempt *first;

	if (iso_list_empty(&pool->queue) || pool->retired)
		return false;
	first = ISO_CONTAINER(pool->queue.next, struct iso_attempt, link);
	return first->spec.endpoint < 0 &&
	       iso_reach_other(&pool->reach, iso_pool_region(pool), first->spec.avoid_endpoints,
			       iso_pool_busy(pool), pool->upstream->loop->now_us);
}

/*
 * A connection is slow to come and requests wait: the next address is tried beside it (RFC 8305 section 5).
 * The one that is ready first serves them; the other stays in the pool, or fails and rests.
 */
static void on_eyeballs(struct iso_timer *timer)
{
	struct iso_pool *pool = ISO_CONTAINER(timer, struct iso_pool, eyeballs);

	if (pool->connecting > 0 && other_address(pool))
		(void)!iso_pool_open(pool, iso_pool_busy(pool), -1);
}

static void open_missing(struct iso_pool *pool)
{
	if (pool->retired)
		settle(pool);
	while (wants_conn(pool)) {
		struct iso_attempt *first = ISO_CONTAINER(pool->queue.next, struct iso_attempt, link);
		int err = iso_pool_open(pool, first->spec.avoid_endpoints, first->spec.endpoint);

		if (err != ISO_OK) {
			fail_queue(pool, err, -1);
			return;
		}
	}
}

/* When the attempt, which waits for a connection, has waited for too long. */
static uint64_t patient_until_us(const struct iso_attempt *a)
{
	return a->started_us + iso_attempt_patience_us(a);
}

static void arm_patience(struct iso_pool *pool)
{
	uint64_t first_us = UINT64_MAX;

	for (struct iso_list *l = pool->queue.next; l != &pool->queue; l = l->next) {
		const struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, link);

		if (!a->suspected && patient_until_us(a) < first_us)
			first_us = patient_until_us(a);
	}
	if (first_us != UINT64_MAX)
		iso_timer_set(&pool->upstream->loop->wheel, &pool->patience, first_us);
}

/* One of the queue that has waited for too long and was not told so; NULL: none. */
static struct iso_attempt *impatient(const struct iso_pool *pool)
{
	for (struct iso_list *l = pool->queue.next; l != &pool->queue; l = l->next) {
		struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, link);

		if (!a->suspected && patient_until_us(a) <= pool->upstream->loop->now_us)
			return a;
	}
	return NULL;
}

/* Who waits for a connection for too long may be rescued too; that says nothing about the region yet. */
static void on_patience(struct iso_timer *timer)
{
	struct iso_pool *pool = ISO_CONTAINER(timer, struct iso_pool, patience);
	struct iso_attempt *a;

	while ((a = impatient(pool)) != NULL) {
		/* Turns to the back of the queue: the callback may take any attempt out of it. */
		iso_list_remove(&a->link);
		iso_list_push_back(&pool->queue, &a->link);
		a->suspected = true;
		if (a->spec.ops->suspect != NULL)
			a->spec.ops->suspect(a);
	}
	arm_patience(pool);
}

/* A tunnel in a pool that speaks HTTP/2 without RFC 8441: an HTTP/1.1 connection for it alone. */
static int open_dedicated(struct iso_pool *pool, const struct iso_attempt *a)
{
	int endpoint = a->spec.endpoint >= 0 ? a->spec.endpoint
					     : iso_pool_endpoint(pool, a->spec.avoid_endpoints);

	if (endpoint < 0)
		return ISO_EDNS;
	if (pool->region->protocol == ISO_PROTOCOL_H2) /* it is to be HTTP/2, if that can be a tunnel here */
		return pool->conn_count > pool->connecting ? ISO_EBAD : ISO_OK;
	if (pool->dedicated >= H1_CONNECTIONS_MAX)
		return ISO_ELIMIT;
	return iso_uconn_new(pool, (uint8_t)endpoint, true);
}

void iso_pool_enqueue(struct iso_pool *pool, struct iso_attempt *a)
{
	struct iso_uconn *c;

	pool->in_flight++;
	/* An exchange that holds an older snapshot: the slot may be another region's by now, which must not
	 * get what was meant for this one. */
	if (!is_same(&a->spec.service->regions[a->spec.region], pool->region)) {
		fail_later(a, ISO_ENOTFOUND);
		return;
	}
	c = iso_list_empty(&pool->queue) || is_tunnel(a) ? iso_pool_conn(pool, a) : NULL;
	if (c != NULL) {
		iso_uconn_assign(c, a);
		return;
	}
	if (is_tunnel(a) && pool->learned != ISO_PROTOCOL_HTTP11 && !pool->retired) {
		int err = open_dedicated(pool, a);

		if (err != ISO_OK) {
			fail_later(a, err);
			return;
		}
	}
	iso_list_push_back(&pool->queue, &a->link);
	pool->queued++;
	pool->tunnels_queued += is_tunnel(a);
	iso_pool_publish(pool);
	open_missing(pool);
	if (!iso_timer_is_set(&pool->patience) || patient_until_us(a) < pool->patience.due_us)
		arm_patience(pool);
}

void iso_pool_dequeue(struct iso_pool *pool, struct iso_attempt *a)
{
	assert(pool->queued > 0);
	iso_list_remove(&a->link);
	pool->queued--;
	pool->tunnels_queued -= is_tunnel(a);
}

void iso_pool_dispatch(struct iso_pool *pool)
{
	struct iso_list *next;

	/* A connection that cannot take what it is given is free again at once: the one that runs looks. */
	if (pool->dispatching)
		return;
	pool->dispatching = true;
	for (struct iso_list *l = pool->queue.next; l != &pool->queue; l = next) {
		struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, link);
		struct iso_uconn *c = iso_pool_conn(pool, a);

		next = l->next;
		if (c != NULL) {
			iso_pool_dequeue(pool, a);
			iso_uconn_assign(c, a); /* an end comes later */
			next = pool->queue.next;
		} else if (pool->tunnels_queued == 0) {
			break; /* what one lacks, all behind it lack */
		}
	}
	pool->dispatching = false;
	open_missing(pool);
}

/* One tunnel less can be had. */
static void fail_tunnel(struct iso_pool *pool, int err, int endpoint)
{
	for (struct iso_list *l = pool->queue.next; l != &pool->queue; l = l->next) {
		struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, link);

		if (!is_tunnel(a))
			continue;
		fail(pool, a, err, endpoint);
		return;
	}
}

/* To control: an address that is dead need not cost a single request. */
static void report_down(struct iso_pool *pool, const struct iso_uconn *c, int err, int endpoint)
{
	struct iso_sample sample = {
		.start_us = c->t.started_us,
		.end_us = pool->upstream->loop->now_us,
		.conn = c->serial,
		.slot = (uint16_t)pool->slot,
		.endpoints_epoch = iso_pool_region(pool)->endpoints_epoch,
		.kind = ISO_SAMPLE_LINK_DOWN,
		.endpoint = (uint8_t)endpoint,
		.outcome = (uint8_t)connect_outcome(err),
	};

	if (endpoint >= 0 && sample.outcome != ISO_OUTCOME_OVERLOAD)
		iso_evidence_push(pool->upstream->evidence, &sample);
}

void iso_pool_connect_failed(struct iso_pool *pool, const struct iso_uconn *c, int err)
{
	int endpoint = iso_pool_index_of(pool, &c->addr);

	iso_reach_failed(&pool->reach, iso_pool_region(pool), &c->addr, pool->upstream->loop->now_us);
	report_down(pool, c, err, endpoint);
	if (c->dedicated) {
		fail_tunnel(pool, err, endpoint);
		return;
	}
	fail_aimed(pool, err, endpoint);
	if (!pool->retired)
		iso_timer_set(&pool->upstream->loop->wheel, &pool->rewarm,
			      pool->upstream->loop->now_us + REWARM_US);
	/* One address of several says nothing about the region: what waits goes on to the next. */
	if (other_address(pool)) {
		open_missing(pool);
		return;
	}
	fail_queue(pool, err, endpoint);
	/* Over HTTP/2 what is left waits for a connection that is there, or on the way. */
	if (pool->learned == ISO_PROTOCOL_HTTP11)
		open_missing(pool);
}

/* Those to addresses that are no endpoints any more, or another region's, do not count. */
static bool has_conn(const struct iso_pool *pool)
{
	for (struct iso_list *l = pool->conns.next; l != &pool->conns; l = l->next)
		if (!ISO_CONTAINER(l, struct iso_uconn, link)->astray)
			return true;
	return false;
}

void iso_pool_warm(struct iso_pool *pool)
{
	if (pool->retired || iso_pool_region(pool)->endpoint_count == 0 || has_conn(pool))
		return;
	pool->warm = true;
	if (iso_pool_open(pool, 0, -1) != ISO_OK)
		iso_timer_set(&pool->upstream->loop->wheel, &pool->rewarm,
			      pool->upstream->loop->now_us + REWARM_US);
}

static void on_rewarm(struct iso_timer *timer)
{
	iso_pool_warm(ISO_CONTAINER(timer, struct iso_pool, rewarm));
}

/* When the attempt of `waiting` that waits longest was sent; 0: none waits. */
static uint64_t oldest_us(const struct iso_pool *pool)
{
	if (iso_list_empty(&pool->waiting))
		return 0;
	return ISO_CONTAINER(pool->waiting.next, struct iso_attempt, wait_link)->sent_us;
}

void iso_pool_publish(struct iso_pool *pool)
{
	ISO_CELL_SET(pool->cell, oldest_us, oldest_us(pool));
	ISO_CELL_SET(pool->cell, waiting, pool->waiting_count);
	ISO_CELL_SET(pool->cell, in_flight, pool->in_flight);
	ISO_CELL_SET(pool->cell, connections, pool->conn_count);
}

void iso_pool_progress(struct iso_pool *pool)
{
	pool->progress_us = pool->upstream->loop->now_us;
	pool->unheard = 0;
	ISO_CELL_SET(pool->cell, progress_us, pool->progress_us);
	if (pool->overdue_us != 0)
		iso_pool_overdue(pool, 0);
}

uint64_t iso_pool_silence_us(const struct iso_pool *pool, uint64_t now_us)
{
	return iso_silence_us(now_us, oldest_us(pool), pool->progress_us, !iso_list_empty(&pool->waiting));
}

void iso_pool_overdue(struct iso_pool *pool, uint64_t since_us)
{
	pool->overdue_us = since_us;
	ISO_CELL_SET(pool->cell, overdue_us, since_us);
}
