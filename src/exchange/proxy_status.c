/*
 * Proxy-Status (RFC 9209): on an answer of our own why there is no better one, and where it is asked for on
 * every answer where the request has been, and how that ended. Thread: the exchange's loop.
 */
#include "exchange_priv.h"
#include "iso/base/text.h"

enum { STATUS_MAX = 1024 };

/* What a client says that wants it, where the route lets it ask: a structured Boolean (RFC 8941). */
static bool wanted(const struct iso_exchange *x)
{
	const struct iso_field *f;

	if (x->route == NULL || x->route->proxy_status == ISO_PROXY_STATUS_ERRORS)
		return false;
	if (x->route->proxy_status == ISO_PROXY_STATUS_ALWAYS)
		return true;
	f = iso_fields_find(&x->head->fields, ISO_SLICE("want-proxy-status"));
	return f != NULL && iso_slice_eq(f->value, ISO_SLICE("?1"));
}

static const char *connect_error(int err)
{
	switch (err) {
	case ISO_EREFUSED:
		return "connection_refused";
	case ISO_ETIMEOUT:
		return "connection_timeout";
	case ISO_EDNS:
		return "dns_error";
	case ISO_EUNREACHABLE:
		return "destination_ip_unroutable";
	case ISO_ERESET:
	case ISO_EEOF:
		return "connection_terminated";
	default:
		return "destination_unavailable";
	}
}

/* The error type (RFC 9209 section 2.3) of a try that brought no answer. */
static const char *try_error(const struct iso_try *t)
{
	switch ((enum iso_outcome)t->outcome) {
	case ISO_OUTCOME_CONNECT:
		return connect_error(t->a.end_err);
	case ISO_OUTCOME_TLS:
		return t->a.end_err == ISO_ECERT ? "tls_certificate_error" : "tls_protocol_error";
	case ISO_OUTCOME_PROTOCOL:
		return "http_protocol_error";
	case ISO_OUTCOME_OVERLOAD:
		return "connection_limit_reached";
	case ISO_OUTCOME_TIMEOUT:
	case ISO_OUTCOME_CANCELLED: /* by the deadline, or the end of a drain */
		return t->a.sent_us != 0 ? "http_response_timeout" : "connection_timeout";
	default:
		return t->a.status != 0 ? "http_response_incomplete" : "connection_terminated";
	}
}

/* No region was asked. */
static const char *own_error(const struct iso_exchange *x, uint16_t status)
{
	switch (status) {
	case 404:
		return "destination_not_found";
	case 503:
		return x->choice.pick.level == ISO_PICK_NONE ? "destination_unavailable"
							     : "proxy_internal_error";
	case 504:
		return "http_response_timeout";
	case 508:
		return "proxy_loop_detected";
	default:
		return status >= 500 ? "proxy_internal_error" : "http_request_error";
	}
}

/* The try that the client is told of: the winner, else the last one that ended by itself, else the last. */
static const struct iso_try *told(const struct iso_exchange *x)
{
	if (x->winner != NULL)
		return x->winner;
	for (uint32_t i = x->try_count; i > 0; i--)
		if (x->tries[i - 1]->outcome != ISO_OUTCOME_CANCELLED)
			return x->tries[i - 1];
	return x->try_count > 0 ? x->tries[x->try_count - 1] : NULL;
}

/* As it stands in a structured String: visible ASCII, quotes and backslashes escaped. */
static void add_escaped(struct iso_text *text, struct iso_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '"' || c == '\\')
			iso_text_add(text, ISO_SLICE("\\"));
		if (c < ' ' || c > '~')
			c = '?';
		iso_text_add(text, iso_slice(&c, 1));
	}
}

static void add_try(struct iso_text *text, const struct iso_exchange *x, const struct iso_try *t)
{
	add_escaped(text, x->service->regions[t->region].name);
	if (t->a.status != 0)
		iso_text_fmt(text, ": status %u", t->a.status);
	else
		iso_text_fmt(text, ": %s",
			     t->live ? "running" : iso_outcome_text((enum iso_outcome)t->outcome));
	iso_text_fmt(text, ", ran %s", iso_executed_text((enum iso_executed)t->executed));
	if (t != x->tries[0])
		iso_text_fmt(text, ", for %s", iso_retry_reason_text((enum iso_retry_reason)t->reason));
}

static void add_details(struct iso_text *text, const struct iso_exchange *x, bool all)
{
	iso_text_str(text, "; details=\"");
	if (x->error.ptr != NULL)
		add_escaped(text, x->error);
	for (uint32_t i = 0; i < x->try_count && all; i++) {
		iso_text_str(text, i > 0 || x->error.ptr != NULL ? "; " : "");
		add_try(text, x, x->tries[i]);
	}
	if (all && x->choice.final != ISO_STAY_NONE &&
	    (x->winner == NULL || x->winner->fault != ISO_FAULT_NONE)) {
		iso_text_str(text, "; not tried again: ");
		add_escaped(text, iso_slice_str(iso_stay_words(x->choice.final)));
	}
	iso_text_str(text, "\"");
}

static void write_member(struct iso_text *text, const struct iso_exchange *x, uint16_t own_status, bool all)
{
	const struct iso_try *t = told(x);

	iso_text_str(text, "isochrone");
	if (own_status != 0)
		iso_text_fmt(text, "; error=%s", t != NULL ? try_error(t) : own_error(x, own_status));
	if (t != NULL) {
		iso_text_str(text, "; next-hop=\"");
		add_escaped(text, x->service->regions[t->region].name);
		iso_text_str(text, "\"");
		if (t->a.status != 0)
			iso_text_fmt(text, "; received-status=%u", t->a.status);
	}
	if (all)
		iso_text_fmt(text, "; attempts=%u", x->try_count);
	if (own_status != 0 || all)
		add_details(text, x, all);
}

int iso_proxy_status_tell(struct iso_exchange *x, uint16_t own_status, struct iso_fields *fields)
{
	bool all = wanted(x);
	struct iso_text text;
	char *memory;

	if (own_status == 0 && !all)
		return ISO_OK;
	memory = iso_arena_alloc(x->arena, STATUS_MAX);
	if (memory == NULL)
		return ISO_ENOMEM;
	iso_text_init_fixed(&text, memory, STATUS_MAX);
	write_member(&text, x, own_status, all);
	if (iso_text_ok(&text) != ISO_OK) { /* long names, many tries: what matters fits */
		iso_text_init_fixed(&text, memory, STATUS_MAX);
		iso_text_str(&text, "isochrone");
		if (own_status != 0)
			iso_text_fmt(&text, "; error=%s",
				     told(x) != NULL ? try_error(told(x)) : own_error(x, own_status));
	}
	return iso_fields_add(fields, x->arena, ISO_SLICE("proxy-status"), iso_text_slice(&text));
}
