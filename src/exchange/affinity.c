/*
 * What the policies `geo` and `sticky` know of the client: found once for each exchange, before the first
 * pick, and told the client by a cookie where it is to remember it. Thread: the exchange's loop.
 */
#include "exchange_priv.h"

#include "iso/base/text.h"
#include "iso/net/resolver.h"
#include "iso/policy/sticky.h"

enum { COOKIE_MAX = 256 };

/* Without a place nothing is known, and latency decides. */
static void find_place(struct iso_exchange *x)
{
	const struct iso_geo_db *db = x->generation->snapshot->geo_db;
	struct iso_view_client *known = x->from.known;
	struct iso_geo_point point;
	struct iso_sockaddr addr;

	if (db == NULL || !iso_exchange_client(x, &addr) || !iso_geo_db_find(db, &addr, &point))
		return;
	known->placed = true;
	for (uint32_t i = 0; i < x->service->region_count; i++)
		known->km[i] = (uint16_t)iso_geo_km(point, x->service->regions[i].place);
}

/* A client without one gets its number now, so that this request goes where the next ones will. */
static void find_cookie(struct iso_exchange *x)
{
	struct iso_exchange_cookie *cookie = &x->from.cookie;

	if (!iso_client_cookie(&x->head->fields, x->service->sticky.name, cookie))
		cookie->key = iso_rng_next(&x->host->loop->rng);
	if (x->service->sticky.comes_back)
		cookie->home = 0; /* of a time when clients stayed: its number still counts */
	for (uint32_t i = 0; i < x->service->region_count; i++)
		if (cookie->home != 0 && cookie->home == x->service->regions[i].name_hash)
			x->from.known->home = (uint16_t)(1u << i);
}

/* False: the client has no key. */
static bool find_key(struct iso_exchange *x, uint64_t *ret_key)
{
	const struct iso_cfg_sticky *sticky = &x->service->sticky;
	struct iso_sockaddr addr;
	struct iso_slice bytes;

	if (sticky->by == ISO_STICKY_COOKIE) {
		find_cookie(x);
		*ret_key = x->from.cookie.key;
		return true;
	}
	if (!iso_client_bytes(sticky->by, sticky->name, &x->head->fields,
			      iso_exchange_client(x, &addr) ? &addr : NULL, &bytes))
		return false;
	*ret_key = iso_sticky_hash(bytes);
	return true;
}

static void find_costs(struct iso_exchange *x)
{
	const struct iso_cfg_service *service = x->service;
	uint64_t key;

	if (!find_key(x, &key))
		return;
	x->from.known->keyed = true;
	for (uint32_t i = 0; i < service->region_count; i++)
		iso_sticky_fill(x->from.known, i, key, service->regions[i].name_hash,
				service->regions[i].weight);
}

void iso_affinity_find(struct iso_exchange *x)
{
	if (x->route->policy == ISO_POLICY_GEO || x->route->policy == ISO_POLICY_STICKY)
		/* Without memory by latency, as without a place or a key. */
		x->from.known = iso_arena_zalloc(x->arena, sizeof(*x->from.known));
	if (x->from.known != NULL && x->route->policy == ISO_POLICY_GEO)
		find_place(x);
	else if (x->from.known != NULL)
		find_costs(x);
	if (x->service->after_write_us > 0)
		iso_after_write_find(x);
}

/*
 * The region that the cookie is to name. A region's own error is nothing to stay with, and nothing to leave
 * for either. A route that may not use the client's region sends it elsewhere for this one request: by the
 * next route it goes home, or two routes would pull it to and fro.
 */
static uint64_t next_home(const struct iso_exchange *x, const struct iso_try *t)
{
	if (t == NULL || x->from.known == NULL || !x->from.known->keyed)
		return x->from.cookie.home; /* not this answer's, or not this route's affair */
	if (x->service->sticky.comes_back)
		return 0;
	if (t->fault == ISO_FAULT_REGION || t->fault == ISO_FAULT_THROTTLE ||
	    (x->from.known->home & ~(uint32_t)x->route->region_mask) != 0)
		return x->from.cookie.home;
	return x->service->regions[t->region].name_hash;
}

/* Whether the client is known by its cookie to what this exchange went by. */
static bool is_by_cookie(const struct iso_exchange *x)
{
	if (x->from.known != NULL && x->from.known->keyed && x->service->sticky.by == ISO_STICKY_COOKIE)
		return true;
	return x->from.writer != 0 && x->service->after_write_by == ISO_STICKY_COOKIE;
}

int iso_affinity_tell(struct iso_exchange *x, const struct iso_try *t, struct iso_fields *fields)
{
	const struct iso_cfg_sticky *sticky = &x->service->sticky;
	const struct iso_exchange_cookie *cookie = &x->from.cookie;
	struct iso_text text;
	uint64_t home;
	char *bytes;
	int err;

	if (!is_by_cookie(x))
		return ISO_OK;
	home = next_home(x, t);
	if (cookie->had && home == cookie->home)
		return ISO_OK;
	bytes = iso_arena_alloc(x->arena, COOKIE_MAX);
	if (bytes == NULL)
		return ISO_ENOMEM;
	iso_text_init_fixed(&text, bytes, COOKIE_MAX);
	iso_text_add(&text, sticky->name);
	iso_text_fmt(&text, "=%016llx", (unsigned long long)cookie->key);
	if (home != 0)
		iso_text_fmt(&text, "-%016llx", (unsigned long long)home);
	iso_text_str(&text, "; Path=/");
	if (sticky->ttl_us > 0) {
		iso_text_str(&text, "; Max-Age=");
		iso_text_u64(&text, (sticky->ttl_us + 999999) / 1000000);
	}
	iso_text_str(&text, "; HttpOnly; SameSite=Lax");
	if (x->from.tls)
		iso_text_str(&text, "; Secure");
	if (iso_text_ok(&text) != ISO_OK)
		return ISO_ENOMEM;
	err = iso_fields_add(fields, x->arena, iso_field_name(ISO_FIELD_SET_COOKIE), iso_text_slice(&text));
	if (err == ISO_OK)
		fields->v[fields->n - 1].flags |= ISO_FIELD_F_NO_INDEX; /* no two are the same */
	return err;
}
