/*
 * The attempt: what is common to both codecs. Thread: its loop.
 * Invariant: an attempt is in exactly one of: its pool's queue, a connection's list, nowhere (ended).
 */
#include "iso/upstream/attempt.h"

#include <assert.h>

#include "uconn_priv.h"

enum phase { PHASE_NONE = 0, PHASE_QUEUED, PHASE_ENDING, PHASE_ENDED };

static struct iso_pool *pool_of(const struct iso_attempt *a)
{
	return a->upstream->pools[a->slot];
}

static void run_ending(struct iso_task *task)
{
	struct iso_attempt *a = ISO_CONTAINER(task, struct iso_attempt, ending);

	iso_attempt_end(a, a->end_outcome, a->end_executed);
}

void iso_attempt_start(struct iso_attempt *a, struct iso_upstream *upstream,
		       const struct iso_attempt_spec *spec)
{
	struct iso_pool *pool;

	memset(a, 0, sizeof(*a));
	a->ops = spec->ops;
	a->spec = *spec;
	a->upstream = upstream;
	a->slot = (uint16_t)spec->service->regions[spec->region].slot;
	a->started_us = upstream->loop->now_us;
	a->mark = UINT64_MAX;
	a->endpoint = ISO_ENDPOINT_NONE;
	a->body_end = spec->end;
	a->phase = PHASE_QUEUED;
	iso_list_init(&a->link);
	iso_list_init(&a->wait_link);
	iso_task_init(&a->ending, run_ending);
	pool = pool_of(a);
	if (pool == NULL) { /* the region has gone in a reload while this exchange held the old snapshot */
		a->end_err = ISO_ENOTFOUND;
		iso_attempt_end_later(a, ISO_OUTCOME_GOAWAY, ISO_EXECUTED_NO);
		return;
	}
	a->loads = !spec->probe && spec->service->regions[spec->region].max_in_flight > 0;
	if (a->loads)
		iso_board_load_add(upstream->stand, a->slot);
	iso_pool_enqueue(pool, a);
}

int iso_attempt_body(struct iso_attempt *a, struct iso_buf *data, bool end)
{
	int err = iso_buf_move(&a->body, data);

	if (err != ISO_OK)
		return err;
	a->body_end = a->body_end || end;
	if (a->conn != NULL)
		a->conn->ops->body(a->conn, a);
	return ISO_OK;
}

void iso_attempt_trailers(struct iso_attempt *a, const struct iso_fields *trailers)
{
	a->trailers = trailers;
	a->body_end = true;
	if (a->conn != NULL)
		a->conn->ops->body(a->conn, a);
}

void iso_attempt_consumed(struct iso_attempt *a, size_t n)
{
	if (a->conn == NULL || n == 0)
		return;
	assert(n <= a->unconsumed);
	a->unconsumed -= n;
	a->conn->ops->consumed(a->conn, a, n);
}

enum iso_written iso_attempt_written(const struct iso_attempt *a)
{
	const struct iso_transport *t;
	bool goes_out;

	if (a->conn == NULL || a->mark == UINT64_MAX)
		return ISO_WRITTEN_NOTHING;
	t = &a->conn->t;
	/* Of a connection that many share the kernel gets in the end whatever was made, unless it is closed:
	 * a stream that is reset takes nothing back. */
	goes_out = a->over_h2 && a->conn->state != ISO_UCONN_CLOSED;
	if (!goes_out && t->accepted <= a->mark)
		return ISO_WRITTEN_NOTHING;
	return a->body_end && a->body.bytes == 0 && (goes_out || t->accepted == t->queued) ? ISO_WRITTEN_WHOLE
											   : ISO_WRITTEN_PART;
}

enum iso_executed iso_attempt_executed(const struct iso_attempt *a, enum iso_break how)
{
	if (a->got_final)
		return ISO_EXECUTED_YES;
	return iso_safety_executed(how, iso_attempt_written(a), a->answered);
}

static void stop_waiting(struct iso_attempt *a)
{
	struct iso_pool *pool = pool_of(a);

	if (!a->waiting)
		return;
	a->waiting = false;
	iso_list_remove(&a->wait_link);
	pool->waiting_count--;
	if (pool->overdue_us != 0 && iso_list_empty(&pool->own))
		iso_pool_overdue(pool, 0);
}

/* Out of every list and counter; the codec has let go already. */
static void detach(struct iso_attempt *a)
{
	struct iso_pool *pool = pool_of(a);
	bool counted = a->phase == PHASE_QUEUED;

	if (counted && a->conn == NULL && iso_list_linked(&a->link))
		iso_pool_dequeue(pool, a);
	stop_waiting(a);
	iso_list_remove(&a->link);
	iso_task_cancel(&a->ending);
	iso_buf_done(&a->body);
	iso_buf_init(&a->body);
	a->conn = NULL;
	a->phase = PHASE_ENDED;
	a->ended_us = a->upstream->loop->now_us;
	if (a->loads)
		iso_board_load_remove(a->upstream->stand, a->slot);
	a->loads = false;
	if (pool != NULL) {
		if (pool->in_flight > 0)
			pool->in_flight--;
		iso_pool_publish(pool);
	}
}

void iso_attempt_end(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed)
{
	assert(a->phase != PHASE_ENDED);
	detach(a);
	a->end_outcome = (uint8_t)outcome;
	a->end_executed = (uint8_t)executed;
	a->spec.ops->end(a, outcome, executed);
}

void iso_attempt_end_later(struct iso_attempt *a, enum iso_outcome outcome, enum iso_executed executed)
{
	a->end_outcome = (uint8_t)outcome;
	a->end_executed = (uint8_t)executed;
	iso_loop_post(a->upstream->loop, &a->ending);
}

/* What waited in silence, waited for one connection, be it open or on the way. */
static uint32_t silent_one(const struct iso_attempt *a)
{
	const struct iso_pool *pool = pool_of(a);

	if (!a->suspected || pool == NULL)
		return 0;
	return a->conn != NULL ? a->conn->serial : iso_pool_awaited(pool);
}

void iso_attempt_cancel(struct iso_attempt *a)
{
	struct iso_uconn *c = a->conn;

	if (a->phase == PHASE_NONE || a->phase == PHASE_ENDED)
		return;
	a->blamed = silent_one(a);
	if (c != NULL) {
		a->end_executed = (uint8_t)iso_attempt_executed(a, ISO_BREAK_GIVEN_UP);
		c->ops->cancel(c, a);
	}
	detach(a);
	a->end_outcome = ISO_OUTCOME_CANCELLED;
}

/* Whether its route's own times say how long it may take. */
static bool own_time(const struct iso_attempt *a)
{
	return a->spec.track != 0 &&
	       iso_board_lane(a->upstream->board, a->spec.track, a->spec.region, a->slot) != NULL;
}

void iso_attempt_on_sent(struct iso_attempt *a)
{
	struct iso_pool *pool = pool_of(a);
	struct iso_uconn *c = a->conn;

	a->mark = c->t.queued;
	a->sent_us = a->upstream->loop->now_us;
	a->waiting = true;
	iso_list_push_back(own_time(a) ? &pool->own : &pool->waiting, &a->wait_link);
	pool->waiting_count++;
	pool->unheard++;
	iso_pool_publish(pool);
	iso_silence_watch(a);
}

void iso_attempt_on_head(struct iso_attempt *a, bool end)
{
	struct iso_pool *pool = pool_of(a);

	a->answered = true;
	if (a->response.status >= 200 || a->response.status == 101) {
		a->got_final = true;
		a->head_us = a->upstream->loop->now_us;
		a->status = a->response.status;
		stop_waiting(a);
		/* RFC 9110 section 15.5.20: this connection will not do for this host. */
		if (a->status == 421)
			iso_uconn_drain(a->conn);
		/* The first normal answer lifts the suspicion. */
		if (pool->suspect_us != 0 && a->sent_us != 0 &&
		    a->head_us <= a->sent_us + iso_attempt_patience_us(a))
			pool->suspect_us = 0;
		iso_pool_publish(pool);
	}
	a->spec.ops->head(a, &a->response, end);
}

void iso_attempt_on_data(struct iso_attempt *a, struct iso_buf *data, bool end)
{
	a->unconsumed += data->bytes;
	a->received_bytes += data->bytes;
	a->spec.ops->data(a, data, end);
}
