/*
 * Rate limits of routes: who is counted together, and what answers say of it (the IETF's draft of RateLimit
 * header fields). Thread: the exchange's loop; the counts are shared by all workers.
 */
#include <stdio.h>

#include "exchange_priv.h"
#include "iso/net/resolver.h"

enum { KEY_MAX = 256, TEXT_MAX = 64 };

static const struct iso_cfg_rate_limit *limit_of(const struct iso_exchange *x)
{
	return x->route != NULL && x->route->rate_limit.requests > 0 && x->host->rates != NULL
		       ? &x->route->rate_limit
		       : NULL;
}

/* The route's name and what tells the client apart; a long key is cut, no more. */
static struct iso_slice key_of(const struct iso_exchange *x, char text[KEY_MAX])
{
	const struct iso_slice name = x->route->rate_limit.key;
	const struct iso_field *f = name.len > 0 ? iso_fields_find(&x->head->fields, name) : NULL;
	struct iso_slice who = f != NULL ? f->value : x->from.client;
	struct iso_sockaddr addr;
	int n;

	if (f == NULL && iso_exchange_client(x, &addr))
		who = iso_sockaddr_client(&addr);
	n = snprintf(text, KEY_MAX, "%.*s%c", ISO_SLICE_FMT(x->route->name), f != NULL ? '=' : '@');
	if (n < 0 || n >= KEY_MAX)
		return iso_slice(text, KEY_MAX - 1);
	if (who.len > KEY_MAX - (size_t)n)
		who.len = KEY_MAX - (size_t)n;
	memcpy(text + n, who.ptr, who.len);
	return iso_slice(text, (size_t)n + who.len);
}

bool iso_rate_limit_take(struct iso_exchange *x)
{
	const struct iso_cfg_rate_limit *limit = limit_of(x);
	struct iso_sketch_rate rate;
	char text[KEY_MAX];

	if (limit == NULL)
		return true;
	rate = (struct iso_sketch_rate){ limit->per_us / limit->requests, limit->requests };
	if (rate.interval_us == 0)
		rate.interval_us = 1;
	return iso_sketch_take(x->host->rates, key_of(x, text), x->host->loop->now_us, &rate, &x->from.quota);
}

static int add(struct iso_exchange *x, struct iso_fields *fields, struct iso_slice name, const char *text,
	       int n)
{
	return iso_fields_add(fields, x->arena, name, iso_arena_dup(x->arena, iso_slice(text, (size_t)n)));
}

int iso_rate_limit_tell(struct iso_exchange *x, struct iso_fields *fields)
{
	const struct iso_cfg_rate_limit *limit = limit_of(x);
	unsigned long long window_s, reset_s;
	char text[TEXT_MAX];
	int err, n;

	if (limit == NULL)
		return ISO_OK;
	window_s = (limit->per_us + 999999) / 1000000;
	/* Until all of the quota is there again. */
	reset_s = ((limit->requests - x->from.quota.left) * (limit->per_us / limit->requests) + 999999) /
		  1000000;
	n = snprintf(text, sizeof(text), "\"route\";q=%u;w=%llu", limit->requests, window_s);
	err = add(x, fields, ISO_SLICE("ratelimit-policy"), text, n);
	n = snprintf(text, sizeof(text), "\"route\";r=%u;t=%llu", x->from.quota.left, reset_s);
	if (err == ISO_OK)
		err = add(x, fields, ISO_SLICE("ratelimit"), text, n);
	if (err == ISO_OK && x->from.quota.wait_us > 0) {
		n = snprintf(text, sizeof(text), "%llu",
			     (unsigned long long)(x->from.quota.wait_us + 999999) / 1000000);
		err = add(x, fields, ISO_SLICE("retry-after"), text, n);
	}
	return err;
}
