/*
 * Downstream connections: accept, choose the codec by ALPN or by the first bytes, idle and lingering times.
 * Thread: the server's loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "conn_priv.h"
#include "iso/net/resolver.h"
#include "iso/net/tls.h"

enum {
	SETTLED_US = 1000 * 1000, /* idle for so long, a connection gives back memory */
	LINGER_US = 1000 * 1000, /* how long a client may take to read our last bytes before the socket closes
				  */
	/*
	 * An idle HTTP/1.1 client cannot be told that its connection ends but with an answer, and loses what
	 * it sends just then: in a drain it has this long to ask once more.
	 */
	DRAIN_IDLE_US = 2000 * 1000,
	/*
	 * Who has sent in so many turns since its last request began waits behind those who ask for
	 * something: thousands of clients that send bodies or heads in small pieces, or shake hands, do not
	 * hold up the others.
	 */
	PROMPT_INPUTS = 8,
	POSTPONED_US = 100 * 1000, /* what waits to be read is given so long before a time is called out */
};

const char *iso_cut_text(enum iso_cut cut)
{
	static const char *const texts[ISO_CUT_COUNT] = {
#define X(id, text) text,
		ISO_CUT_TABLE(X)
#undef X
	};

	return cut >= 0 && cut < ISO_CUT_COUNT ? texts[cut] : "";
}

static const char preface[] = "PRI"; /* the beginning of RFC 9113 section 3.4's */

static void count_cut(struct iso_server *server, enum iso_cut cut)
{
	ISO_COUNT(server, cut[cut], 1);
}

static struct iso_sconn *conn_of(struct iso_transport *t)
{
	return ISO_CONTAINER(t, struct iso_sconn, t);
}

/* Whether the client may have one more connection; counts it then. */
static bool count_client(struct iso_sconn *c)
{
	struct iso_server *server = c->server;

	if (server->clients == NULL || server->limits.connections_per_client == 0)
		return true;
	if (iso_sketch_up(server->clients, iso_sockaddr_client(&c->peer)) >
	    server->limits.connections_per_client) {
		iso_sketch_down(server->clients, iso_sockaddr_client(&c->peer));
		return false;
	}
	c->counted = true;
	return true;
}

static void uncount_client(struct iso_sconn *c)
{
	if (c->counted)
		iso_sketch_down(c->server->clients, iso_sockaddr_client(&c->peer));
	c->counted = false;
}

/* How long nothing needs to happen until the connection ends. */
static uint64_t keepalive_us(const struct iso_sconn *c)
{
	uint64_t limit_us = c->server->limits.keepalive_timeout_us;

	return c->draining && limit_us > DRAIN_IDLE_US ? DRAIN_IDLE_US : limit_us;
}

static void set_timer(struct iso_sconn *c, uint64_t in_us)
{
	c->postponed = false;
	iso_timer_set(&c->server->loop->wheel, &c->timer, c->server->loop->now_us + in_us);
}

/* Is looked at when its head should have come, and often enough to measure what comes after it. */
static void watch_head(struct iso_sconn *c)
{
	const struct iso_cfg_limits *limits = &c->server->limits;
	uint64_t until_us = c->head_since_us + limits->header_timeout_us, now_us = c->server->loop->now_us;
	uint64_t left_us = until_us > now_us ? until_us - now_us : 0;

	set_timer(c, left_us < limits->rate_window_us ? left_us : limits->rate_window_us);
}

static void open_codec(struct iso_sconn *c, const struct iso_codec_ops *ops)
{
	c->phase = ISO_SCONN_OPEN;
	c->ops = ops;
	c->idle_since_us = c->server->loop->now_us;
	if (c->head_since_us == 0)
		c->head_since_us = c->idle_since_us; /* a new client has come to say something */
	watch_head(c);
	if (ops->init(c) != ISO_OK)
		iso_sconn_close(c);
	else if (c->draining)
		ops->drain(c);
}

static void on_ready(struct iso_transport *t)
{
	struct iso_sconn *c = conn_of(t);

	if (c->tls && t->alpn == ISO_ALPN_H2) {
		open_codec(c, &iso_h2_server_ops);
	} else if (c->tls || !c->h2) {
		open_codec(c, &iso_h1_server_ops);
	} else if (!c->http11) {
		open_codec(c, &iso_h2_server_ops);
	} else {
		c->head_since_us = c->server->loop->now_us;
		c->phase = ISO_SCONN_SNIFF;
		set_timer(c, c->server->limits.header_timeout_us);
	}
}

/*
 * In clear, h2 begins with a preface that no HTTP/1.1 request can begin with: "PRI" is a method that nobody
 * may use otherwise (RFC 9113 section 11.5). Bytes are held until three of them tell.
 */
static size_t sniff(struct iso_sconn *c, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	size_t used = 0;
	bool like_h2;

	while (c->sniffed < sizeof(c->first) && used < n)
		c->first[c->sniffed++] = bytes[used++];
	like_h2 = memcmp(c->first, preface, c->sniffed) == 0;
	if (like_h2 && c->sniffed < sizeof(c->first))
		return n;
	open_codec(c, like_h2 ? &iso_h2_server_ops : &iso_h1_server_ops);
	if (used < c->sniffed && !c->closed) {
		/* Some came in an earlier read: the codec gets them first, from a chunk of their own. */
		struct iso_buf early;

		iso_buf_init(&early);
		if (iso_buf_append_copy(&early, &c->server->loop->chunks, c->first, c->sniffed - used) !=
		    ISO_OK) {
			iso_sconn_close(c);
			return n;
		}
		c->ops->input(c, iso_buf_front(&early)->chunk, iso_buf_front(&early)->ptr, c->sniffed - used);
		iso_buf_done(&early);
	}
	return c->closed ? n : c->ops->input(c, chunk, bytes, n);
}

static size_t on_input(struct iso_transport *t, struct iso_chunk *chunk, uint8_t *bytes, size_t n)
{
	struct iso_sconn *c = conn_of(t);

	if (c->input_us != t->loop->now_us && c->inputs < PROMPT_INPUTS)
		t->patient = ++c->inputs == PROMPT_INPUTS;
	c->input_us = t->loop->now_us;
	if (c->phase == ISO_SCONN_SNIFF)
		return sniff(c, chunk, bytes, n);
	if (c->phase != ISO_SCONN_OPEN)
		return n;
	return c->ops->input(c, chunk, bytes, n);
}

static void on_fill(struct iso_transport *t)
{
	struct iso_sconn *c = conn_of(t);

	if (c->ops != NULL && (c->phase == ISO_SCONN_OPEN || c->phase == ISO_SCONN_ENDING))
		c->ops->fill(c);
}

/*
 * A tunnel's client may go on reading after its end. One that has not said so properly has most likely gone
 * away: the codec is asked again.
 */
static void end_of_client(struct iso_sconn *c)
{
	if (c->t.truncated)
		set_timer(c, LINGER_US);
	c->ops->eof(c);
}

static void on_closed(struct iso_transport *t, int err)
{
	struct iso_sconn *c = conn_of(t);

	if (c->phase == ISO_SCONN_HANDSHAKE && err != ISO_EEOF)
		ISO_COUNT(c->server, handshakes_failed, 1);
	if (err == ISO_EEOF && c->phase == ISO_SCONN_OPEN)
		end_of_client(c);
	else
		iso_sconn_close(c);
}

static const struct iso_transport_ops transport_ops = {
	.ready = on_ready,
	.input = on_input,
	.fill = on_fill,
	.closed = on_closed,
};

/*
 * Whether one direction (ISO_WAITS_FOR_…) has been too slow over a whole window. A window starts again when
 * nothing waits for the client, and after each that was quick enough: single bytes do not. It is looked at
 * now and then, so a request must have been there all the time: short ones may each be waited for just then.
 */
static bool too_slow(struct iso_sconn *c, struct iso_rate *rate, unsigned int direction, uint64_t total,
		     uint64_t now_us)
{
	const struct iso_cfg_limits *limits = &c->server->limits;
	bool waits = (c->ops->waits_for_client(c, now_us) & direction) != 0;
	bool whole = rate->since_us != 0 && now_us >= rate->since_us + limits->rate_window_us;
	uint64_t least = limits->body_rate * (limits->rate_window_us / 1000) / 1000;
	bool slow = whole && (int64_t)(total - rate->bytes) < (int64_t)least &&
		    (c->ops->waits_for_client(c, rate->since_us) & direction) != 0;

	if (!waits)
		rate->since_us = 0;
	else if (rate->since_us == 0 || whole)
		*rate = (struct iso_rate){ now_us, total };
	return slow;
}

/*
 * Content that the client has taken. The kernel accepts in lumps of a large send buffer, and frames that
 * carry nothing are no reading: so what was handed over, less all that still waits here and there. What
 * frames and TLS add waits as well, so that it may be less than nothing: only differences mean anything.
 */
static uint64_t content_taken(const struct iso_sconn *c)
{
	return c->content_bytes - iso_transport_unacknowledged(&c->t);
}

/* A request runs: is it the client that holds it up? */
static void check_rates(struct iso_sconn *c, uint64_t now_us)
{
	const struct iso_cfg_limits *limits = &c->server->limits;

	if (limits->body_rate > 0 && too_slow(c, &c->in, ISO_WAITS_FOR_BODY, c->body_bytes, now_us))
		iso_sconn_cut(c, ISO_CUT_BODY_RATE);
	else if (limits->body_rate > 0 &&
		 too_slow(c, &c->out, ISO_WAITS_FOR_READER, content_taken(c), now_us))
		iso_sconn_cut(c, ISO_CUT_READ_RATE);
	else
		set_timer(c, limits->rate_window_us / 2);
}

static void on_timer(struct iso_timer *timer)
{
	struct iso_sconn *c = ISO_CONTAINER(timer, struct iso_sconn, timer);
	const struct iso_cfg_limits *limits = &c->server->limits;
	uint64_t now_us = c->server->loop->now_us, left_us;

	if (!c->postponed && iso_transport_is_queued(&c->t)) {
		set_timer(c, POSTPONED_US);
		c->postponed = true;
		return;
	}
	if (c->phase != ISO_SCONN_OPEN) {
		if (c->phase == ISO_SCONN_HANDSHAKE)
			count_cut(c->server, ISO_CUT_HANDSHAKE_TIMEOUT);
		else if (c->phase == ISO_SCONN_SNIFF)
			count_cut(c->server, ISO_CUT_HEADER_TIMEOUT);
		iso_sconn_close(c);
		return;
	}
	if (c->t.truncated) {
		end_of_client(c);
		return;
	}
	if (c->head_since_us != 0 && now_us >= c->head_since_us + limits->header_timeout_us) {
		iso_sconn_cut(c, ISO_CUT_HEADER_TIMEOUT);
		return;
	}
	if (c->idle_since_us == 0) {
		check_rates(c, now_us);
		return;
	}
	if (now_us >= c->idle_since_us + keepalive_us(c)) {
		iso_sconn_finish(c);
		return;
	}
	if (c->ops->idle != NULL && c->head_since_us == 0)
		c->ops->idle(c);
	/* Not later than this: a request that begins meanwhile does not set the timer. */
	left_us = c->idle_since_us + keepalive_us(c) - now_us;
	if (c->head_since_us != 0 && c->head_since_us + limits->header_timeout_us - now_us < left_us)
		left_us = c->head_since_us + limits->header_timeout_us - now_us;
	set_timer(c, left_us < limits->rate_window_us ? left_us : limits->rate_window_us);
}

void iso_sconn_head_began(struct iso_sconn *c)
{
	if (c->head_since_us != 0)
		return;
	c->head_since_us = c->server->loop->now_us;
	watch_head(c);
}

void iso_sconn_head_ended(struct iso_sconn *c)
{
	c->head_since_us = 0;
}

void iso_sconn_count_cut(struct iso_sconn *c, enum iso_cut cut)
{
	count_cut(c->server, cut);
}

void iso_sconn_end(struct iso_sconn *c)
{
	c->phase = ISO_SCONN_ENDING;
	set_timer(c, LINGER_US);
	iso_transport_dirty(&c->t);
}

void iso_sconn_cut(struct iso_sconn *c, enum iso_cut cut)
{
	if (c->closed || c->phase != ISO_SCONN_OPEN)
		return;
	count_cut(c->server, cut);
	c->ops->cut(c, cut);
}

static void run_free(struct iso_task *task)
{
	struct iso_sconn *c = ISO_CONTAINER(task, struct iso_sconn, free_task);

	iso_tls_server_unref(c->tls_server);
	iso_cidr_set_unref(c->trusted);
	free(c);
}

void iso_sconn_close(struct iso_sconn *c)
{
	struct iso_server *server = c->server;

	if (c->closed)
		return;
	c->closed = true;
	iso_timer_clear(&server->loop->wheel, &c->timer);
	iso_transport_done(&c->t);
	if (c->ops != NULL)
		c->ops->done(c);
	iso_list_remove(&c->link);
	uncount_client(c);
	ISO_COUNT(server, connections, (uint32_t)-1);
	iso_loop_post(server->loop, &c->free_task);
	iso_server_check_drained(server);
}

void iso_sconn_finish(struct iso_sconn *c)
{
	if (c->closed || c->phase == ISO_SCONN_LINGER)
		return;
	c->phase = ISO_SCONN_LINGER;
	set_timer(c, LINGER_US);
	iso_transport_finish(&c->t);
}

/* It asks, or is about to. */
static void make_prompt(struct iso_sconn *c)
{
	c->inputs = 0;
	c->t.patient = false;
}

void iso_sconn_stream_began(struct iso_sconn *c)
{
	c->streams++;
	c->idle_since_us = 0;
	make_prompt(c);
	ISO_COUNT(c->server, requests, 1);
	ISO_COUNT(c->server, streams, 1);
}

void iso_sconn_stream_ended(struct iso_sconn *c)
{
	c->streams--;
	ISO_COUNT(c->server, streams, (uint32_t)-1);
	if (c->streams == 0 && !c->closed) {
		make_prompt(c);
		c->idle_since_us = c->server->loop->now_us;
		set_timer(c, keepalive_us(c) < SETTLED_US ? keepalive_us(c) : SETTLED_US);
	}
}

void iso_sconn_idle_out(struct iso_sconn *c)
{
	c->idle_since_us = c->server->loop->now_us;
	set_timer(c, keepalive_us(c));
}

void iso_sconn_describe(const struct iso_sconn *c, struct iso_head *head, struct iso_request *ret_request)
{
	*ret_request = (struct iso_request){
		.loop = c->server->loop,
		.head = head,
		.client = iso_slice_str(c->peer_text),
		.received_us = c->server->loop->now_us,
		.tls = c->tls,
		.misdirected = c->tls && !iso_tls_server_fits(c->tls_server, c->t.ssl, head->authority),
		.trusted_proxies = c->trusted,
		.transport = &c->t,
	};
}

void iso_sconn_open(struct iso_server *server, const struct iso_server_listener *listener, int fd,
		    const struct iso_sockaddr *peer)
{
	struct iso_sconn *c = NULL;

	if (atomic_load_explicit(&server->counters.connections, memory_order_relaxed) <
	    server->limits.connections)
		c = calloc(1, sizeof(*c));
	if (c == NULL) {
		ISO_COUNT(server, refused, 1);
		close(fd);
		return;
	}
	c->server = server;
	c->peer = *peer;
	iso_sockaddr_format(&peer->u.sa, c->peer_text, sizeof(c->peer_text));
	c->tls = listener->tls != NULL;
	c->h2 = listener->h2;
	c->http11 = listener->http11;
	c->draining = server->draining;
	iso_timer_init(&c->timer, on_timer);
	iso_task_init(&c->free_task, run_free);
	iso_list_init(&c->link);
	if (!count_client(c)) {
		ISO_COUNT(server, refused, 1);
		close(fd);
		free(c);
		return;
	}
	if (iso_transport_accept(&c->t, server->loop, &transport_ops, fd, listener->tls) != ISO_OK) {
		ISO_COUNT(server, refused, 1);
		uncount_client(c);
		free(c);
		return;
	}
	c->tls_server = listener->tls != NULL ? iso_tls_server_ref(listener->tls) : NULL;
	c->trusted = iso_cidr_set_has(listener->trusted_proxies, &peer->u.sa)
			     ? iso_cidr_set_ref(listener->trusted_proxies)
			     : NULL;
	iso_list_push_back(&server->conns, &c->link);
	ISO_COUNT(server, accepted, 1);
	ISO_COUNT(server, connections, 1);
	set_timer(c, server->limits.handshake_timeout_us);
}
