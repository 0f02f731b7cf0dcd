/*
 * Requests with an Idempotency-Key, where the service keeps a store of them: the ledger is asked before the
 * first try, and told how it ended (draft-ietf-httpapi-idempotency-key-header). Thread: the exchange's loop.
 * A question outlives the exchange: who is gone clears its name from it.
 */
#include "exchange_priv.h"

#include <stdlib.h>

enum {
	KEY_MAX = 255,
	ANSWER_HEAD = 4, /* status and number of fields */
};

bool iso_keys_wanted(const struct iso_exchange *x)
{
	return x->service->keys.store && x->host->ledger != NULL && x->head->protocol.len == 0 &&
	       !iso_method_is_idempotent(x->head->method_id);
}

/* A structured-field String (RFC 8941 section 3.3.3), or the same bare. False: it is neither. */
static bool parse_key(struct iso_slice value, struct iso_slice *ret_key)
{
	bool quoted;

	value = iso_slice_trim(value);
	quoted = value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"';
	if (quoted)
		value = iso_slice(value.ptr + 1, value.len - 2);
	if (value.len == 0 || value.len > KEY_MAX)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (c < (quoted ? ' ' : '!') || c > '~' || (!quoted && (c == ',' || c == ';')))
			return false;
		if (c == '\\' && (++i == value.len || (value.ptr[i] != '"' && value.ptr[i] != '\\')))
			return false;
		else if (c == '"')
			return false;
	}
	*ret_key = value;
	return true;
}

static uint32_t count_keys(const struct iso_exchange *x)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->head->fields.n; i++)
		n += x->head->fields.v[i].id == ISO_FIELD_IDEMPOTENCY_KEY;
	return n;
}

bool iso_keys_has_one(const struct iso_exchange *x)
{
	return count_keys(x) == 1;
}

static uint16_t get16(const char **at)
{
	uint16_t value;

	memcpy(&value, *at, sizeof(value));
	*at += sizeof(value);
	return value;
}

/* What was kept, as it was, and that it was kept. The ledger gives back what remember() below made. */
static void replay(struct iso_exchange *x, const struct iso_ledger_ask *ask)
{
	const char *at = ask->answer, *end = ask->answer + ask->len;
	struct iso_head head = { .version = ISO_HTTP_11, .content_length = -1, .status = get16(&at) };
	uint16_t n = get16(&at);
	struct iso_buf body;
	int err = ISO_OK;

	for (uint16_t i = 0; i < n && err == ISO_OK; i++) {
		uint16_t name = get16(&at), value = get16(&at);

		err = iso_fields_add_copy(&head.fields, x->arena, iso_slice(at, name),
					  iso_slice(at + name, value));
		at += name + value;
	}
	if (err == ISO_OK)
		err = iso_fields_add(&head.fields, x->arena, ISO_SLICE("idempotent-replayed"),
				     ISO_SLICE("true"));
	iso_buf_init(&body);
	if (err == ISO_OK)
		err = iso_buf_append_copy(&body, &x->host->loop->chunks, at, (size_t)(end - at));
	if (err != ISO_OK) {
		iso_buf_done(&body);
		x->response->ops->reset(x->response, ISO_RESET_INTERNAL);
		return;
	}
	x->committed = x->response_end = true;
	x->phase = ISO_PHASE_RELAY;
	x->status = head.status;
	x->bytes += body.bytes;
	iso_timer_clear(&x->host->loop->wheel, &x->timer);
	if (body.bytes == 0) {
		x->response->ops->head(x->response, &head, true);
	} else {
		x->response->ops->head(x->response, &head, false);
		x->response->ops->data(x->response, &body, true);
	}
	iso_buf_done(&body);
}

static void refuse(struct iso_exchange *x, enum iso_ledger_verdict verdict)
{
	switch (verdict) {
	case ISO_LEDGER_BUSY:
		iso_local_reply(x, 409, "a request with this Idempotency-Key is still running");
		break;
	case ISO_LEDGER_MISMATCH:
		iso_local_reply(x, 422, "this Idempotency-Key was used for another request");
		break;
	case ISO_LEDGER_GONE:
		iso_local_reply(x, 409,
				"the request with this Idempotency-Key was answered; its answer is not kept");
		break;
	case ISO_LEDGER_LOST:
		iso_local_reply(x, 409,
				"the request with this Idempotency-Key may have run: its outcome is unknown");
		break;
	case ISO_LEDGER_FULL:
		iso_local_reply(x, 503, "the memory of Idempotency-Keys is full of requests that run");
		break;
	default:
		iso_local_reply(x, 503, "the journal of Idempotency-Keys cannot be written");
		break;
	}
}

static void on_answered(struct iso_ledger_ask *ask)
{
	struct iso_exchange *x = ask->arg;

	/* The deadline was first. */
	if (x->phase != ISO_PHASE_LEDGER) {
		x->keys.ask = NULL;
		iso_ledger_drop(ask, false);
		return;
	}
	if (ask->verdict == ISO_LEDGER_NEW) {
		x->keys.running = true;
		iso_exchange_run(x, ISO_PHASE_PICK);
		return;
	}
	x->keys.ask = NULL; /* answering may end the exchange */
	if (ask->verdict == ISO_LEDGER_REPLAY)
		replay(x, ask);
	else
		refuse(x, ask->verdict);
	iso_ledger_drop(ask, false);
}

static enum iso_step say(struct iso_exchange *x, uint16_t status, const char *words)
{
	iso_local_reply(x, status, words);
	return ISO_STEP_PARK;
}

/* The key counts in one region: which one has to be known before it is asked for, and no try goes elsewhere.
 */
static bool choose_region(struct iso_exchange *x)
{
	if (!iso_exchange_choose(x))
		return false;
	x->plan.bound = (uint16_t)(1u << x->choice.pick.index);
	x->choice.allowed = x->plan.bound;
	return true;
}

static bool awaits_100(const struct iso_exchange *x)
{
	const struct iso_field *f = iso_fields_get(&x->head->fields, ISO_FIELD_EXPECT);

	return f != NULL && iso_slice_eq_nocase(f->value, ISO_SLICE("100-continue"));
}

/*
 * No region is asked before the body is here: the 100 that a client may wait for before it sends any of it
 * (RFC 9110 section 10.1.1) is ours to say.
 */
static void invite_body(struct iso_exchange *x)
{
	static const struct iso_head go_on = { .version = ISO_HTTP_11, .status = 100, .content_length = -1 };

	if (x->head->version == ISO_HTTP_10 || x->received_body > 0 || x->continued || !awaits_100(x))
		return;
	if (x->in_request) { /* what has come with the head comes first */
		iso_loop_post(x->host->loop, &x->advance);
		return;
	}
	x->continued = true;
	x->response->ops->head(x->response, &go_on, false);
}

enum iso_step iso_phase_keys(struct iso_exchange *x)
{
	const struct iso_field *f = iso_fields_get(&x->head->fields, ISO_FIELD_IDEMPOTENCY_KEY);
	struct iso_ledger_ask *ask;
	struct iso_slice key;

	if (f == NULL) {
		if (x->route->key_required)
			return say(x, 400, "an Idempotency-Key is required here");
		x->phase = ISO_PHASE_PICK;
		return ISO_STEP_MORE;
	}
	if (count_keys(x) > 1)
		return say(x, 400, "there is more than one Idempotency-Key");
	if (!parse_key(f->value, &key))
		return say(x, 400, "the Idempotency-Key is no string of 1 to 255 visible characters");
	if (!x->request_end) { /* it is a part of the fingerprint: its end comes here again */
		invite_body(x);
		return ISO_STEP_PARK;
	}
	if (awaits_100(x)) /* its content has come */
		(void)iso_fields_remove(&x->head->fields, ISO_FIELD_EXPECT);
	if (x->service->keys.regional && !choose_region(x))
		return say(x, 503, "every region that this route allows is drained");
	ask = calloc(1, sizeof(*ask));
	if (ask == NULL || !iso_fingerprint(x, key, ask)) {
		free(ask);
		return say(x, 503, "out of memory for this request");
	}
	ask->home = &x->host->loop->mailbox;
	ask->answered = on_answered;
	ask->arg = x;
	ask->ttl_us = x->service->keys.ttl_us;
	ask->wait = x->service->keys.wait;
	x->keys.ask = ask;
	x->phase = ISO_PHASE_LEDGER;
	iso_ledger_begin(x->host->ledger, ask);
	return ISO_STEP_PARK;
}

static bool grow(struct iso_exchange_keys *keys, size_t more)
{
	size_t cap = (keys->len + more) * 2;
	char *answer;

	if (keys->cap - keys->len >= more)
		return true;
	answer = realloc(keys->answer, cap);
	if (answer == NULL)
		return false;
	keys->answer = answer;
	keys->cap = cap;
	return true;
}

static void put(struct iso_exchange_keys *keys, const void *bytes, size_t len)
{
	memcpy(keys->answer + keys->len, bytes, len);
	keys->len += len;
}

/* It is not kept after all; that it was answered is. */
static void forget_answer(struct iso_exchange_keys *keys)
{
	free(keys->answer);
	keys->answer = NULL;
	keys->len = keys->cap = 0;
	keys->keeping = false;
}

static void finish(struct iso_exchange *x)
{
	struct iso_exchange_keys *keys = &x->keys;

	keys->running = false;
	iso_ledger_finish(keys->ask, keys->keeping ? keys->answer : NULL, keys->len);
	keys->ask = NULL;
	keys->answer = NULL;
}

/* Cookies are kept for those alone whose key it is for sure. */
static bool is_kept(const struct iso_exchange *x, const struct iso_field *f)
{
	return f->id != ISO_FIELD_SET_COOKIE || x->keys.owned;
}

/* Its size; 0: it cannot be kept. */
static size_t measure(const struct iso_exchange *x, const struct iso_fields *fields, uint16_t *ret_n)
{
	size_t len = ANSWER_HEAD;

	*ret_n = 0;
	if (fields->n > UINT16_MAX)
		return 0;
	for (uint32_t i = 0; i < fields->n; i++) {
		const struct iso_field *f = &fields->v[i];

		if (!is_kept(x, f))
			continue;
		if (f->value.len > UINT16_MAX || f->name.len > UINT16_MAX)
			return 0;
		len += ANSWER_HEAD + f->name.len + f->value.len;
		(*ret_n)++;
	}
	return len;
}

void iso_keys_head(struct iso_exchange *x, const struct iso_try *t, const struct iso_head *head, bool end)
{
	struct iso_exchange_keys *keys = &x->keys;
	uint16_t n, word = head->status;
	size_t len;

	/* What certainly did not run may be asked for again. */
	if (!keys->running || t->executed == ISO_EXECUTED_NO)
		return;
	len = measure(x, &head->fields, &n);
	keys->keeping = len > 0 && x->service->keys.max_answer > 0 && grow(keys, len);
	if (keys->keeping) {
		put(keys, &word, sizeof(word));
		put(keys, &n, sizeof(n));
	}
	for (uint32_t i = 0; i < head->fields.n && keys->keeping; i++) {
		const struct iso_field *f = &head->fields.v[i];

		if (!is_kept(x, f))
			continue;
		word = (uint16_t)f->name.len;
		put(keys, &word, sizeof(word));
		word = (uint16_t)f->value.len;
		put(keys, &word, sizeof(word));
		put(keys, f->name.ptr, f->name.len);
		put(keys, f->value.ptr, f->value.len);
	}
	keys->answered = true;
	if (end)
		finish(x);
}

void iso_keys_data(struct iso_exchange *x, const struct iso_buf *data, bool end)
{
	struct iso_exchange_keys *keys = &x->keys;
	struct iso_buf *b = (struct iso_buf *)(uintptr_t)data; /* only read */

	if (!keys->running || !keys->answered)
		return;
	if (keys->keeping &&
	    (keys->len + data->bytes > x->service->keys.max_answer || !grow(keys, data->bytes)))
		forget_answer(keys);
	for (uint32_t i = 0; i < b->count && keys->keeping; i++)
		put(keys, iso_buf_at(b, i)->ptr, iso_buf_at(b, i)->len);
	if (end)
		finish(x);
}

void iso_keys_trailers(struct iso_exchange *x)
{
	if (!x->keys.running || !x->keys.answered)
		return;
	forget_answer(&x->keys); /* a replay without them would be another answer */
	finish(x);
}

void iso_keys_done(struct iso_exchange *x)
{
	struct iso_exchange_keys *keys = &x->keys;
	bool ran = false;

	if (keys->ask == NULL)
		return;
	free(keys->answer);
	if (!keys->running) {
		keys->ask->answered = NULL; /* its answer is still on the way */
		return;
	}
	for (uint32_t i = 0; i < x->try_count; i++)
		ran = ran || x->tries[i]->executed != ISO_EXECUTED_NO;
	iso_ledger_drop(keys->ask, ran);
}
