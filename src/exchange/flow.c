/*
 * Request bytes on their way to the attempts: recorded for replay while that is possible, shared by those
 * that run. Credit goes back to the client as fast as the fastest attempt sends, so that a slow region stops
 * the client. Thread: the exchange's loop.
 */
#include "exchange_priv.h"

static bool feed(struct iso_try *t, struct iso_buf *data, bool end, bool last)
{
	struct iso_buf copy;
	int err;

	if (last)
		return iso_attempt_body(&t->a, data, end) == ISO_OK;
	iso_buf_init(&copy);
	err = iso_buf_share(&copy, data);
	if (err == ISO_OK)
		err = iso_attempt_body(&t->a, &copy, end);
	iso_buf_done(&copy);
	return err == ISO_OK;
}

static void give_credit(struct iso_exchange *x, size_t n)
{
	x->acknowledged += n;
	x->response->ops->writable(x->response, n);
}

/* It cannot be taken: an answer, if nothing has been answered, else the end. */
static void refuse_body(struct iso_exchange *x, struct iso_buf *data, uint16_t status, const char *why)
{
	iso_buf_done(data);
	iso_exchange_cancel_tries(x, NULL);
	if (x->committed)
		x->response->ops->reset(x->response, ISO_RESET_CANCEL);
	else if (x->phase != ISO_PHASE_FAIL)
		iso_local_reply(x, status, why);
}

/* It had to be kept, and is not: it is too large itself, or all that are kept fill their memory. */
static void refuse_lost(struct iso_exchange *x, struct iso_buf *data, const char *too_large)
{
	if (x->tape.full)
		refuse_body(x, data, 503, "the memory for requests' content is full: try again in a moment");
	else
		refuse_body(x, data, 413, too_large);
}

void iso_flow_request_data(struct iso_exchange *x, struct iso_buf *data, bool end)
{
	size_t n = data->bytes;
	struct iso_try *live[ISO_TRIES_MAX];
	uint32_t count = 0;

	x->received_body += n;
	if (iso_exchange_body_too_large(x, x->received_body) && !x->response_end) {
		refuse_body(x, data, 413, "the request's content is larger than is allowed here");
		return;
	}
	x->request_end = x->request_end || end;
	for (uint32_t i = 0; i < x->try_count; i++)
		if (x->tries[i]->live)
			live[count++] = x->tries[i];
	if (!x->committed && x->service != NULL)
		iso_tape_record(&x->tape, data, &x->host->loop->chunks);
	if (x->tape.lost && !x->committed && x->service != NULL && x->route->retry.refuse_large &&
	    x->plan.limit > 1 && x->head->protocol.len == 0) {
		refuse_lost(x, data, "the request's content is larger than what is kept for replay");
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!feed(live[i], data, end, i + 1 == count)) {
			x->response->ops->reset(x->response, ISO_RESET_INTERNAL);
			break;
		}
	}
	iso_buf_done(data);
	if (x->phase == ISO_PHASE_KEYS && x->tape.lost) {
		refuse_lost(x, data, "the request's content is larger than what is kept to compare it by");
		return;
	}
	/* Answered already, or no attempt runs: nobody will read them, the client need not wait. */
	if (count == 0)
		give_credit(x, n);
	if (x->phase == ISO_PHASE_KEYS && x->request_end)
		iso_exchange_run(x, ISO_PHASE_KEYS);
}

void iso_flow_request_trailers(struct iso_exchange *x, const struct iso_fields *trailers)
{
	x->request_end = true;
	x->trailers = iso_exchange_trailers(x, trailers);
	for (uint32_t i = 0; i < x->try_count; i++)
		if (x->tries[i]->live)
			iso_attempt_trailers(&x->tries[i]->a, x->trailers);
	if (x->phase == ISO_PHASE_KEYS)
		iso_exchange_run(x, ISO_PHASE_KEYS);
}

void iso_flow_sent(struct iso_try *t, size_t n)
{
	struct iso_exchange *x = t->x;

	t->sent += n;
	if (x->committed)
		iso_timer_set(&x->host->loop->wheel, &x->timer, x->host->loop->now_us + x->relay.idle_us);
	if (t->sent > x->acknowledged)
		give_credit(x, t->sent - x->acknowledged);
}
