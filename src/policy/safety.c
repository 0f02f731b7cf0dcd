/*
 * The rules of retry safety, one after the other. Pure, any thread.
 * Invariant: a request that is neither idempotent nor keyed is tried again only when it has provably not run.
 */
#include "iso/policy/safety.h"

#include <assert.h>
#include <stddef.h>

enum {
	STATUS_MISDIRECTED = 421, /* RFC 9110 section 15.5.20 */
	STATUS_TOO_EARLY = 425,   /* RFC 8470 section 5.2 */
	STATUS_GATEWAY_TIMEOUT = 504,
	DEADLINE_HALF_MILLI = 500,
};

static const char *const reason_texts[ISO_RETRY_REASON_COUNT] = {
#define X(id, text) [ISO_RETRY_REASON_##id] = text,
	ISO_RETRY_REASON_TABLE(X)
#undef X
};

const char *iso_retry_reason_text(enum iso_retry_reason reason)
{
	return (unsigned int)reason < ISO_RETRY_REASON_COUNT ? reason_texts[reason] : "?";
}

static const char *const stay_texts[ISO_STAY_COUNT] = {
#define X(id, text, words) [ISO_STAY_##id] = text,
	ISO_STAY_TABLE(X)
#undef X
};

static const char *const stay_words[ISO_STAY_COUNT] = {
#define X(id, text, words) [ISO_STAY_##id] = words,
	ISO_STAY_TABLE(X)
#undef X
};

const char *iso_stay_text(enum iso_stay stay)
{
	return (unsigned int)stay < ISO_STAY_COUNT ? stay_texts[stay] : NULL;
}

const char *iso_stay_words(enum iso_stay stay)
{
	return (unsigned int)stay < ISO_STAY_COUNT ? stay_words[stay] : NULL;
}

static const char *const break_texts[ISO_BREAK_COUNT] = {
#define X(id, text) [ISO_BREAK_##id] = text,
	ISO_BREAK_TABLE(X)
#undef X
};

const char *iso_break_text(enum iso_break how)
{
	return (unsigned int)how < ISO_BREAK_COUNT ? break_texts[how] : "?";
}

const char *iso_written_text(enum iso_written written)
{
	return written == ISO_WRITTEN_NOTHING ? "nothing" : written == ISO_WRITTEN_PART ? "a part" : "all";
}

enum iso_executed iso_safety_executed(enum iso_break how, enum iso_written written, bool answered)
{
	if (answered)
		return ISO_EXECUTED_MAYBE;
	switch (how) {
	case ISO_BREAK_CONNECT:
	case ISO_BREAK_TLS:
	case ISO_BREAK_REFUSED:
	case ISO_BREAK_GOAWAY_ABOVE:
		return ISO_EXECUTED_NO;
	default:
		return written == ISO_WRITTEN_NOTHING ? ISO_EXECUTED_NO : ISO_EXECUTED_MAYBE;
	}
}

bool iso_safety_may_double(bool safe_method, bool route_idempotent)
{
	return safe_method || route_idempotent;
}

static enum iso_retry_reason reason_of(const struct iso_safety_facts *f)
{
	switch (f->ending) {
	case ISO_ENDING_RESPONSE:
		return f->fault == ISO_FAULT_THROTTLE ? ISO_RETRY_REASON_THROTTLE : ISO_RETRY_REASON_STATUS;
	case ISO_ENDING_CONNECT:
		return ISO_RETRY_REASON_CONNECT;
	case ISO_ENDING_TLS:
		return ISO_RETRY_REASON_TLS;
	case ISO_ENDING_REFUSED_STREAM:
		return ISO_RETRY_REASON_REFUSED_STREAM;
	case ISO_ENDING_GOAWAY:
		return ISO_RETRY_REASON_GOAWAY;
	case ISO_ENDING_TIMEOUT:
		return ISO_RETRY_REASON_TIMEOUT;
	case ISO_ENDING_OVERLOAD:
		return ISO_RETRY_REASON_OVERLOAD;
	default:
		return ISO_RETRY_REASON_RESET;
	}
}

/* A status whose meaning is that another try may be served. 425 to who was early is for that client. */
static bool asks_again(const struct iso_safety_facts *f)
{
	return f->ending == ISO_ENDING_RESPONSE &&
	       (f->status == STATUS_MISDIRECTED || (f->status == STATUS_TOO_EARLY && !f->early));
}

/* Whether the answer calls for another try at all, by whoever. NONE: it does; else why not. */
static enum iso_stay answer_stands(const struct iso_safety_facts *f)
{
	if (asks_again(f))
		return ISO_STAY_NONE;
	switch (f->fault) {
	case ISO_FAULT_NONE:
		return ISO_STAY_GOOD;
	case ISO_FAULT_CLIENT:
		/* A refusal of this client (credentials, quota) is the same everywhere and must not be
		 * shopped around. */
		if (!f->listed || f->status == 401 || f->status == 403 || f->status == 429)
			return ISO_STAY_CLIENT;
		return ISO_STAY_NONE;
	case ISO_FAULT_APPLICATION:
		return f->listed ? ISO_STAY_NONE : ISO_STAY_APPLICATION;
	case ISO_FAULT_REGION:
	case ISO_FAULT_THROTTLE:
		return ISO_STAY_NONE;
	}
	assert(false && "a fault that is none");
	return ISO_STAY_APPLICATION;
}

static void stay(struct iso_verdict *verdict, enum iso_stay why)
{
	verdict->retry = ISO_RETRY_NO;
	verdict->stay = why;
}

static void go(struct iso_verdict *verdict, enum iso_retry where)
{
	verdict->retry = where;
	verdict->stay = ISO_STAY_NONE;
}

/* It may have run, or has. */
static void judge_executed(const struct iso_safety_facts *f, struct iso_verdict *verdict)
{
	bool asked = f->listed || asks_again(f);

	if (f->executed == ISO_EXECUTED_YES && !asked) {
		stay(verdict, ISO_STAY_EXECUTED);
		return;
	}
	/* Nobody asked for other statuses to be tried again; a throttle is no answer to the request at all.
	 */
	if (f->ending == ISO_ENDING_RESPONSE && !asked && f->fault != ISO_FAULT_THROTTLE) {
		stay(verdict, ISO_STAY_STATUS);
		return;
	}
	/* A gateway that gave up late has told of a slow function: another try would only double its load. */
	if (f->ending == ISO_ENDING_RESPONSE && f->status == STATUS_GATEWAY_TIMEOUT &&
	    f->deadline_used_milli >= DEADLINE_HALF_MILLI) {
		stay(verdict, ISO_STAY_LATE);
		return;
	}
	if (f->idempotent) {
		go(verdict, ISO_RETRY_ANYWHERE);
		return;
	}
	if (f->executed == ISO_EXECUTED_MAYBE && f->key == ISO_KEY_GLOBAL)
		go(verdict, ISO_RETRY_ANYWHERE);
	else if (f->executed == ISO_EXECUTED_MAYBE && f->key == ISO_KEY_REGION)
		go(verdict, ISO_RETRY_SAME_REGION);
	else
		stay(verdict, ISO_STAY_UNSAFE);
}

void iso_safety_judge(const struct iso_safety_facts *f, struct iso_verdict *ret_verdict)
{
	bool response = f->ending == ISO_ENDING_RESPONSE;
	enum iso_stay stands;

	ret_verdict->reason = reason_of(f);
	if (f->committed) {
		stay(ret_verdict, ISO_STAY_COMMITTED);
		return;
	}
	if (f->ending == ISO_ENDING_CANCELLED) {
		stay(ret_verdict, ISO_STAY_CANCELLED);
		return;
	}
	if (!f->replayable) {
		stay(ret_verdict, ISO_STAY_BODY);
		return;
	}
	stands = response ? answer_stands(f) : ISO_STAY_NONE;
	if (stands != ISO_STAY_NONE) {
		stay(ret_verdict, stands);
		return;
	}
	if (f->executed == ISO_EXECUTED_NO)
		go(ret_verdict, ISO_RETRY_ANYWHERE);
	else
		judge_executed(f, ret_verdict);
}
