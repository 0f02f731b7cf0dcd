/*
 * When what waits for a region's answer has waited in silence for too long: its connection is suspect, then
 * the region as this loop sees it. Thread: its loop.
 * How long is too long is the region's to say, or the route's where it is measured by itself. What waits on
 * one connection may thus have different patience: one that is overdue speaks for all that are no more
 * patient than it, and a slow route has its own time, unless the region is out.
 */
#include "iso/policy/suspicion.h"
#include "uconn_priv.h"

/* What waits on a connection. */
struct waits {
	uint64_t patience_us; /* of the most patient one that is overdue; 0: none is */
	uint64_t least_us;    /* of the least patient one; UINT64_MAX: none waits */
	uint64_t due_us;      /* when the first one will be overdue, if none is */
	bool live;            /* one that is overdue is no probe */
};

uint64_t iso_attempt_patience_us(const struct iso_attempt *a)
{
	const struct iso_board_lane *own = a->spec.track != 0
						   ? iso_board_lane(a->upstream->board, a->spec.track,
								    a->spec.region, a->slot)
						   : NULL;

	return own != NULL ? iso_patience_us(own->usual_us) : iso_upstream_patience_us(a->upstream, a->slot);
}

void iso_silence_watch(struct iso_attempt *a)
{
	struct iso_timer *timer = &a->conn->silence;
	uint64_t due_us = a->sent_us + iso_attempt_patience_us(a) + 1;

	if (!iso_timer_is_set(timer) || due_us < timer->due_us)
		iso_timer_set(&a->upstream->loop->wheel, timer, due_us);
}

static uint64_t later_us(uint64_t a_us, uint64_t b_us)
{
	return a_us > b_us ? a_us : b_us;
}

static void look(const struct iso_uconn *c, uint64_t now_us, struct waits *ret_waits)
{
	*ret_waits = (struct waits){ .least_us = UINT64_MAX, .due_us = UINT64_MAX };
	for (const struct iso_list *l = c->attempts.next; l != &c->attempts; l = l->next) {
		const struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, link);
		uint64_t patience_us, due_us;

		if (!a->waiting)
			continue;
		patience_us = iso_attempt_patience_us(a);
		due_us = later_us(a->sent_us, c->progress_us) + patience_us + 1;
		if (patience_us < ret_waits->least_us)
			ret_waits->least_us = patience_us;
		if (due_us < ret_waits->due_us)
			ret_waits->due_us = due_us;
		if (due_us > now_us)
			continue;
		ret_waits->patience_us = later_us(ret_waits->patience_us, patience_us);
		ret_waits->live |= !a->spec.probe; /* a health check may be a slow one */
	}
}

/* Since when one that goes by its route's time has waited in vain; 0: none has. */
static uint64_t overdue_since_us(const struct iso_pool *pool, uint64_t now_us)
{
	for (const struct iso_list *l = pool->own.next; l != &pool->own; l = l->next) {
		const struct iso_attempt *a = ISO_CONTAINER(l, struct iso_attempt, wait_link);
		uint64_t since_us = later_us(a->sent_us, pool->progress_us);

		if (now_us <= since_us + iso_patience_us(1))
			return 0; /* nor has any that was sent later: nobody is that impatient */
		if (now_us > since_us + iso_attempt_patience_us(a))
			return since_us;
	}
	return 0;
}

/* Whether the region is silent as seen from here, now. */
static bool pool_silent(struct iso_pool *pool, uint64_t now_us)
{
	uint64_t since_us = overdue_since_us(pool, now_us);

	if (since_us != pool->overdue_us)
		iso_pool_overdue(pool, since_us);
	return since_us != 0 ||
	       iso_pool_silence_us(pool, now_us) > iso_upstream_patience_us(pool->upstream, pool->slot);
}

bool iso_pool_half_overdue(const struct iso_pool *pool, uint64_t now_us)
{
	const struct iso_attempt *a;

	if (iso_list_empty(&pool->own))
		return false;
	a = ISO_CONTAINER(pool->own.next, struct iso_attempt, wait_link);
	return now_us > later_us(a->sent_us, pool->progress_us) + iso_attempt_patience_us(a) / 2;
}

static bool concerns(const struct iso_uconn *c, const struct iso_attempt *a, uint64_t patience_us)
{
	return a->waiting && !a->suspected &&
	       (iso_attempt_patience_us(a) <= patience_us || !iso_pool_region(c->pool)->up);
}

/* Tells the attempts that wait here. The callbacks may cancel attempts, also other ones of this connection.
 */
static void tell_suspects(struct iso_uconn *c, uint64_t patience_us)
{
	for (;;) {
		struct iso_attempt *a = NULL;

		for (struct iso_list *l = c->attempts.next; l != &c->attempts && a == NULL; l = l->next) {
			a = ISO_CONTAINER(l, struct iso_attempt, link);
			if (!concerns(c, a, patience_us))
				a = NULL;
		}
		if (a == NULL || c->state == ISO_UCONN_CLOSED)
			return;
		a->suspected = true;
		if (a->spec.ops->suspect != NULL)
			a->spec.ops->suspect(a);
	}
}

void iso_silence_on_timer(struct iso_timer *timer)
{
	struct iso_uconn *c = ISO_CONTAINER(timer, struct iso_uconn, silence);
	struct iso_pool *pool = c->pool;
	struct iso_loop *loop = pool->upstream->loop;
	uint64_t now_us = loop->now_us;
	struct waits waits;

	look(c, now_us, &waits);
	if (waits.least_us == UINT64_MAX)
		return;
	if (waits.patience_us == 0) {
		iso_timer_set(&loop->wheel, timer, waits.due_us);
		return;
	}
	if (!c->shunned) {
		c->shunned = true;
		c->acked = false;
		iso_uconn_ping(c);
		if (waits.live)
			iso_pool_replace(pool, c);
	}
	if (pool_silent(pool, now_us) && pool->suspect_us == 0) {
		pool->suspect_us = now_us;
		if (pool->upstream->urgent != NULL)
			pool->upstream->urgent(pool->upstream);
	}
	iso_timer_set(&loop->wheel, timer, now_us + waits.least_us);
	tell_suspects(c, waits.patience_us);
}
