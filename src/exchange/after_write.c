/*
 * `balance.after_write`: a client that has just written reads where it wrote, while the regions' tables catch
 * up with each other. What is unsafe (RFC 9110 section 9.2.1) and may have run holds its client at the region
 * where it did, and each further one anew; what is safe does not. Thread: the exchange's loop; the table is
 * all workers'.
 */
#include "exchange_priv.h"

/*
 * A client that is known by its cookie and has none gets its number when it writes, not before: answers to
 * what is safe may lie in caches, which a cookie must not get into.
 */
static bool find_number(struct iso_exchange *x)
{
	struct iso_exchange_cookie *cookie = &x->from.cookie;

	if (cookie->key != 0 || iso_client_cookie(&x->head->fields, x->service->sticky.name, cookie))
		return true;
	if (x->safe)
		return false;
	cookie->key = iso_rng_next(&x->host->loop->rng);
	return true;
}

void iso_after_write_find(struct iso_exchange *x)
{
	const struct iso_cfg_service *service = x->service;
	struct iso_sockaddr addr;
	struct iso_slice bytes;

	if (service->after_write_by == ISO_STICKY_COOKIE) {
		if (!find_number(x))
			return;
		bytes = iso_slice((const char *)&x->from.cookie.key, sizeof(x->from.cookie.key));
	} else if (!iso_client_bytes(service->after_write_by, service->sticky.name, &x->head->fields,
				     iso_exchange_client(x, &addr) ? &addr : NULL, &bytes)) {
		return;
	}
	x->from.writer = iso_holds_client(x->host->holds, service, bytes);
}

uint16_t iso_after_write_held(const struct iso_exchange *x)
{
	return iso_holds_find(x->host->holds, x->from.writer, x->service, x->host->loop->now_us);
}

void iso_after_write_note(const struct iso_try *t)
{
	const struct iso_exchange *x = t->x;

	if (x->from.writer == 0 || x->safe || t->executed == ISO_EXECUTED_NO)
		return;
	if (iso_holds_set(x->host->holds, x->from.writer, t->a.slot, x->host->loop->now_us,
			  x->service->after_write_us))
		iso_metrics_count(x->host->metrics, ISO_METRIC_HOLDS_LOST);
}
