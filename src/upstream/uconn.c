/*
 * One connection's life: connecting, open, draining, closed. Thread: its loop.
 */
#include "uconn_priv.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <stdlib.h>

enum {
	PING_EVERY_US = 10 * 1000 * 1000,
	PING_PATIENCE_US = 10 * 1000 * 1000,
	LIVE_US = 5 * 1000 * 1000, /* a non-idempotent request wants a sign of life this fresh */
	TICK_US = 1000 * 1000,
	LINGER_US = 1000 * 1000, /* how long a region may take to read our last bytes */
};

static struct iso_uconn *conn_of(struct iso_transport *t)
{
	return ISO_CONTAINER(t, struct iso_uconn, t);
}

static struct iso_loop *loop_of(const struct iso_uconn *c)
{
	return c->t.loop;
}

/* It never opened: closed, and the attempts that waited for it are told. */
static void connect_failed(struct iso_uconn *c, int err)
{
	struct iso_pool *pool = c->pool;

	iso_uconn_close(c, ISO_OUTCOME_CONNECT);
	iso_pool_connect_failed(pool, c, err); /* it is freed later */
}

static void on_ready(struct iso_transport *t)
{
	struct iso_uconn *c = conn_of(t);
	struct iso_pool *pool = c->pool;
	enum iso_protocol protocol = pool->region->protocol;

	if (t->alpn == ISO_ALPN_H2 || (protocol == ISO_PROTOCOL_H2 && pool->region->tls == false))
		c->ops = &iso_h2_client_ops;
	else
		c->ops = &iso_h1_client_ops;
	if (protocol == ISO_PROTOCOL_H2 && c->ops == &iso_h1_client_ops) {
		connect_failed(c, ISO_ETLS); /* it was told to be h2 and the region does not speak it */
		return;
	}
	c->connect_us = (uint32_t)(t->connected_us - t->started_us);
	c->tls_us = (uint32_t)(t->ready_us - t->connected_us);
	if (c->ops->init(c) != ISO_OK)
		connect_failed(c, ISO_ENOMEM);
}

/* Tells control something of this connection's address. */
static void report(const struct iso_uconn *c, struct iso_sample sample)
{
	struct iso_pool *pool = c->pool;

	sample.slot = (uint16_t)pool->slot;
	sample.end_us = loop_of(c)->now_us;
	sample.endpoint = c->astray ? ISO_ENDPOINT_NONE : c->endpoint;
	sample.endpoints_epoch = iso_pool_region(pool)->endpoints_epoch;
	iso_evidence_push(pool->upstream->evidence, &sample);
}

static void report_rtt(const struct iso_uconn *c, uint64_t us)
{
	report(c, (struct iso_sample){ .kind = ISO_SAMPLE_RTT,
				       .us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX });
}

void iso_uconn_opened(struct iso_uconn *c, uint32_t streams_max)
{
	struct iso_pool *pool = c->pool;

	c->streams_max = streams_max;
	if (c->state == ISO_UCONN_CONNECTING) {
		pool->connecting -= !c->dedicated;
		c->state = ISO_UCONN_OPEN;
		c->idle_since_us = loop_of(c)->now_us;
		if (pool->region->protocol == ISO_PROTOCOL_AUTO && pool->region->tls && !c->dedicated)
			pool->learned = c->ops == &iso_h2_client_ops ? ISO_PROTOCOL_H2 : ISO_PROTOCOL_HTTP11;
		iso_reach_worked(&pool->reach, iso_pool_region(pool), &c->addr);
		iso_timer_set(&loop_of(c)->wheel, &c->timer, loop_of(c)->now_us + TICK_US);
		c->measured_us = loop_of(c)->now_us; /* connecting was a round trip */
		report(c, (struct iso_sample){ .kind = ISO_SAMPLE_LINK_UP,
					       .connect_us = c->connect_us,
					       .tls_us = c->tls_us });
		iso_pool_publish(pool);
	}
	if (c->state == ISO_UCONN_OPEN)
		iso_pool_dispatch(pool);
}

void iso_uconn_progress(struct iso_uconn *c)
{
	c->progress_us = loop_of(c)->now_us;
	c->shunned = false;
	iso_pool_progress(c->pool);
}

void iso_uconn_ping_acked(struct iso_uconn *c)
{
	if (c->ping_sent_us == 0)
		return;
	report_rtt(c, loop_of(c)->now_us - c->ping_sent_us);
	c->ping_sent_us = 0;
	c->acked = true;
}

/* Fronts count PINGs, and end connections that send many. */
void iso_uconn_ping(struct iso_uconn *c)
{
	uint64_t now_us = loop_of(c)->now_us;

	if ((c->pinged_us != 0 && now_us < c->pinged_us + PING_EVERY_US) || !c->ops->ping(c))
		return;
	c->pinged_us = c->ping_sent_us = c->measured_us = now_us;
}

/* The network's round trip, and a sign of life: by a PING; over HTTP/1.1 the kernel knows. */
static void measure(struct iso_uconn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (c->ops != &iso_h1_client_ops) {
		iso_uconn_ping(c);
		return;
	}
	c->measured_us = loop_of(c)->now_us;
	if (getsockopt(c->t.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_rtt > 0)
		report_rtt(c, info.tcpi_rtt);
}

static size_t on_input(struct iso_transport *t, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	struct iso_uconn *c = conn_of(t);

	return c->ops->input(c, chunk, bytes, n);
}

static void on_fill(struct iso_transport *t)
{
	struct iso_uconn *c = conn_of(t);

	if (c->ops != NULL)
		c->ops->fill(c);
}

static void on_closed(struct iso_transport *t, int err)
{
	struct iso_uconn *c = conn_of(t);

	if (c->state == ISO_UCONN_CONNECTING) {
		connect_failed(c, err);
		return;
	}
	if (err == ISO_EEOF && c->streams == 0 && c->state == ISO_UCONN_OPEN)
		iso_pool_learn_idle(c->pool, loop_of(c)->now_us - c->idle_since_us);
	if (err == ISO_EEOF && !c->t.finishing && c->ops->eof(c))
		return;
	if (c->state != ISO_UCONN_CLOSED)
		iso_uconn_close(c, ISO_OUTCOME_RESET);
}

static const struct iso_transport_ops transport_ops = {
	.ready = on_ready,
	.input = on_input,
	.fill = on_fill,
	.closed = on_closed,
};

static bool last_of_pool(const struct iso_uconn *c)
{
	return c->pool->conn_count == 1 && !c->pool->retired;
}

static uint64_t tick_us(const struct iso_pool *pool)
{
	uint64_t idle_us = iso_pool_idle_us(pool) / 20; /* so much later than it should it closes at most */

	return idle_us < TICK_US ? idle_us : TICK_US;
}

static void on_timer(struct iso_timer *timer)
{
	struct iso_uconn *c = ISO_CONTAINER(timer, struct iso_uconn, timer);
	struct iso_pool *pool = c->pool;
	uint64_t now_us = loop_of(c)->now_us;

	if (c->state == ISO_UCONN_CONNECTING) {
		connect_failed(c, ISO_ETIMEOUT);
		return;
	}
	if (c->t.finishing) {
		iso_uconn_close(c, ISO_OUTCOME_CANCELLED);
		return;
	}
	if (c->ping_sent_us != 0 && now_us > c->ping_sent_us + PING_PATIENCE_US) {
		if (c->t.last_rx_us <= c->ping_sent_us) {
			iso_uconn_close(c, ISO_OUTCOME_RESET);
			return;
		}
		c->ping_sent_us = 0; /* it does not answer PINGs, but it lives */
	}
	/* The last one of a pool is kept warm by pings, unless it is known that they do not help; an HTTP/1.1
	 * one is replaced before the peer ends it. */
	if (c->streams == 0 && now_us > c->idle_since_us + iso_pool_idle_us(pool) &&
	    (!last_of_pool(c) || c->ops == &iso_h1_client_ops || pool->idle_learnt_us != 0)) {
		iso_uconn_close(c, ISO_OUTCOME_CANCELLED);
		iso_pool_warm(pool);
		return;
	}
	if (now_us > c->measured_us + PING_EVERY_US && c->ping_sent_us == 0)
		measure(c);
	iso_timer_set(&loop_of(c)->wheel, &c->timer, now_us + tick_us(pool));
}

static void run_free(struct iso_task *task)
{
	struct iso_uconn *c = ISO_CONTAINER(task, struct iso_uconn, free_task);

	if (c->ops != NULL)
		c->ops->done(c);
	iso_tls_client_unref(c->tls_client);
	free(c);
}

/* A loop has a 64th of the numbers: one comes again after 67 million connections. */
static uint32_t next_serial(struct iso_upstream *upstream)
{
	upstream->last_serial = upstream->last_serial % ((1u << 26) - 1) + 1;
	return upstream->reader << 26 | upstream->last_serial;
}

int iso_uconn_new(struct iso_pool *pool, uint8_t endpoint, bool dedicated)
{
	struct iso_loop *loop = pool->upstream->loop;
	const struct iso_board_endpoint *to = &pool->upstream->board->regions[pool->slot].endpoints[endpoint];
	struct iso_uconn *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return ISO_ENOMEM;
	c->pool = pool;
	c->serial = next_serial(pool->upstream);
	c->endpoint = endpoint;
	c->addr = to->addr;
	c->dedicated = dedicated;
	c->state = ISO_UCONN_CONNECTING;
	iso_list_init(&c->attempts);
	iso_timer_init(&c->timer, on_timer);
	iso_timer_init(&c->silence, iso_silence_on_timer);
	iso_task_init(&c->free_task, run_free);
	err = iso_transport_connect(&c->t, loop, &transport_ops, &to->addr, pool->region->tls_client,
				    pool->region->sni.ptr);
	if (err != ISO_OK) {
		free(c);
		return err;
	}
	c->tls_client = pool->region->tls_client != NULL ? iso_tls_client_ref(pool->region->tls_client)
							 : NULL;
	if (dedicated)
		iso_tls_client_http11(&c->t);
	iso_list_push_back(&pool->conns, &c->link);
	pool->conn_count++;
	pool->connecting += !dedicated;
	pool->dedicated += dedicated;
	iso_timer_set(&loop->wheel, &c->timer, loop->now_us + pool->service->connect_timeout_us);
	return ISO_OK;
}

static void end_attempts(struct iso_uconn *c, enum iso_outcome outcome)
{
	iso_timer_clear(&loop_of(c)->wheel, &c->silence);
	while (!iso_list_empty(&c->attempts)) {
		struct iso_attempt *a = ISO_CONTAINER(c->attempts.next, struct iso_attempt, link);
		enum iso_executed executed = iso_attempt_executed(a, ISO_BREAK_CLOSE);

		a->blamed = c->serial;
		c->ops->cancel(c, a);
		iso_attempt_end(a, outcome, executed);
	}
}

void iso_uconn_finish(struct iso_uconn *c, enum iso_outcome outcome)
{
	if (c->state == ISO_UCONN_CLOSED || c->t.finishing)
		return;
	if (c->state == ISO_UCONN_CONNECTING) {
		iso_uconn_close(c, ISO_OUTCOME_RESET);
		return;
	}
	c->state = ISO_UCONN_DRAINING;
	iso_transport_finish(&c->t);
	iso_timer_set(&loop_of(c)->wheel, &c->timer, loop_of(c)->now_us + LINGER_US);
	end_attempts(c, outcome);
}

void iso_uconn_close(struct iso_uconn *c, enum iso_outcome outcome)
{
	struct iso_pool *pool = c->pool;

	if (c->state == ISO_UCONN_CLOSED)
		return;
	if (c->state == ISO_UCONN_CONNECTING && outcome == ISO_OUTCOME_RESET) {
		connect_failed(c, ISO_ERESET); /* it broke the rules before its SETTINGS came */
		return;
	}
	if (c->state == ISO_UCONN_CONNECTING)
		pool->connecting -= !c->dedicated;
	c->state = ISO_UCONN_CLOSED;
	iso_pool_unload(pool, c);
	iso_list_remove(&c->link);
	pool->conn_count--;
	pool->dedicated -= c->dedicated;
	iso_timer_clear(&loop_of(c)->wheel, &c->timer);
	end_attempts(c, outcome);
	iso_transport_done(&c->t);
	iso_loop_post(loop_of(c), &c->free_task);
	iso_pool_publish(pool);
	if (pool->conn_count == 0 && !pool->retired && !iso_timer_is_set(&pool->rewarm))
		iso_timer_set(&loop_of(c)->wheel, &pool->rewarm, loop_of(c)->now_us + TICK_US);
	if (pool->queued > 0 && outcome != ISO_OUTCOME_CONNECT)
		iso_pool_dispatch(pool);
}

void iso_uconn_drain(struct iso_uconn *c)
{
	if (c->state != ISO_UCONN_OPEN || c->t.finishing)
		return;
	c->state = ISO_UCONN_DRAINING;
	if (c->streams == 0)
		iso_uconn_close(c, ISO_OUTCOME_CANCELLED);
}

bool iso_uconn_fits(const struct iso_uconn *c, const struct iso_attempt *a, uint64_t now_us)
{
	bool fit = a->spec.head->protocol.len > 0 ? c->ops == &iso_h1_client_ops || c->extended_connect
						  : !c->dedicated;

	return c->state == ISO_UCONN_OPEN && fit && !c->t.eof &&
	       (a->spec.idempotent || now_us <= c->t.last_rx_us + LIVE_US);
}

bool iso_uconn_usable(const struct iso_uconn *c, const struct iso_attempt *a, uint64_t now_us)
{
	return c->streams < c->streams_max && iso_uconn_fits(c, a, now_us);
}

void iso_uconn_assign(struct iso_uconn *c, struct iso_attempt *a)
{
	a->conn = c;
	a->endpoint = c->endpoint;
	a->endpoints_epoch = iso_pool_region(c->pool)->endpoints_epoch;
	c->pool->load[c->endpoint]++;
	c->pool->turns[c->endpoint] = ++c->pool->turn;
	if (!a->spec.probe)
		c->pool->used_us = loop_of(c)->now_us;
	a->over_h2 = c->ops == &iso_h2_client_ops;
	c->unpinged |= iso_head_is_grpc(a->spec.head);
	if (!c->reported) {
		c->reported = true;
		a->connect_us = c->connect_us;
		a->tls_us = c->tls_us;
	}
	c->streams++;
	c->used++;
	iso_list_push_back(&c->attempts, &a->link);
	/* Newest use first: what is surplus grows cold at the end and is culled. */
	if (c->pool->conns.next != &c->link) {
		iso_list_remove(&c->link);
		iso_list_push_front(&c->pool->conns, &c->link);
	}
	c->ops->start(c, a);
}

void iso_uconn_stream_ended(struct iso_uconn *c)
{
	assert(c->streams > 0);
	c->streams--;
	if (!c->astray)
		c->pool->load[c->endpoint]--;
	if (c->state == ISO_UCONN_CLOSED)
		return;
	if (c->streams == 0) {
		c->idle_since_us = loop_of(c)->now_us;
		/* Shunned to the end: its place is taken by another one. */
		if ((c->state == ISO_UCONN_DRAINING || c->shunned) && !c->t.finishing) {
			iso_uconn_close(c, ISO_OUTCOME_CANCELLED);
			return;
		}
	}
	if (c->pool->queued > 0)
		iso_pool_dispatch(c->pool);
}
