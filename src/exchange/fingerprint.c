/*
 * Whose Idempotency-Key it is, and what it was used for: two SHA-256 digests, so that nothing that a client
 * sent is kept. Thread: the exchange's loop. Another client's key, with other credentials, is another key, so
 * that nobody is told what somebody else did. What tells clients apart is the service's word; without one it
 * is what most APIs go by, and a key that comes with other cookies is refused as another request's: it may be
 * somebody else's, and it may be the same client's whose cookies have changed, so it may neither be answered
 * nor run.
 */
#include "exchange_priv.h"

#include <openssl/evp.h>

#include "iso/http/cookie.h"
#include "iso/net/tls.h"

/* Each part with its length, so that no two lists of parts read the same. */
static bool add(EVP_MD_CTX *sha, struct iso_slice part)
{
	uint64_t len = part.len;

	return EVP_DigestUpdate(sha, &len, sizeof(len)) == 1 &&
	       EVP_DigestUpdate(sha, part.ptr, part.len) == 1;
}

static bool add_count(EVP_MD_CTX *sha, uint32_t n)
{
	return EVP_DigestUpdate(sha, &n, sizeof(n)) == 1;
}

/* All values that it has, and how many. */
static bool add_header(EVP_MD_CTX *sha, const struct iso_fields *fields, struct iso_slice name,
		       uint32_t *ret_n)
{
	bool ok = true;
	uint32_t n = 0;

	for (uint32_t i = 0; i < fields->n && ok; i++) {
		if (!iso_slice_eq(fields->v[i].name, name))
			continue;
		ok = add(sha, fields->v[i].value);
		n++;
	}
	*ret_n = n;
	return ok && add_count(sha, n);
}

static bool add_cookie(EVP_MD_CTX *sha, const struct iso_fields *fields, struct iso_slice name,
		       uint32_t *ret_n)
{
	struct iso_cookie_walk walk = { 0 };
	struct iso_slice value;
	bool ok = true;
	uint32_t n = 0;

	while (ok && iso_cookie_next(&walk, fields, name, &value)) {
		ok = add(sha, value);
		n++;
	}
	*ret_n = n;
	return ok && add_count(sha, n);
}

/* All but the one by which the proxy itself knows the client, which comes with the first answer. */
static bool add_all_cookies(EVP_MD_CTX *sha, const struct iso_exchange *x, uint32_t *ret_n)
{
	const struct iso_cfg_sticky *sticky = &x->service->sticky;
	bool ours = x->route->policy == ISO_POLICY_STICKY && sticky->by == ISO_STICKY_COOKIE;
	bool ok = true;

	*ret_n = 0;
	for (uint32_t i = 0; i < x->head->fields.n; i++) {
		struct iso_slice rest = x->head->fields.v[i].value, pair;

		if (x->head->fields.v[i].id != ISO_FIELD_COOKIE)
			continue;
		while (ok && iso_slice_next(&rest, ';', &pair)) {
			if (pair.len == 0 ||
			    (ours && pair.len > sticky->name.len && pair.ptr[sticky->name.len] == '=' &&
			     iso_slice_starts(pair, sticky->name)))
				continue;
			ok = add(sha, pair);
			(*ret_n)++;
		}
	}
	return ok && add_count(sha, *ret_n);
}

static bool add_client(EVP_MD_CTX *sha, struct iso_exchange *x)
{
	const struct iso_cfg_keys *keys = &x->service->keys;
	uint8_t peer[32];
	bool ok = true;

	if (x->from.transport != NULL && iso_tls_peer_name(x->from.transport, peer)) {
		x->keys.owned = true;
		ok = add(sha, iso_slice((const char *)peer, sizeof(peer)));
	}
	for (uint32_t i = 0; i < keys->client_count && ok; i++) {
		const struct iso_cfg_key_client *by = &keys->clients[i];
		uint32_t n;

		ok = (by->cookie ? add_cookie : add_header)(sha, &x->head->fields, by->name, &n);
		x->keys.owned = x->keys.owned || n > 0;
	}
	return ok;
}

static bool add_body(EVP_MD_CTX *sha, const struct iso_exchange *x)
{
	struct iso_buf *body = (struct iso_buf *)(uintptr_t)&x->tape.buf; /* only read */

	for (uint32_t i = 0; i < body->count; i++)
		if (EVP_DigestUpdate(sha, iso_buf_at(body, i)->ptr, iso_buf_at(body, i)->len) != 1)
			return false;
	return true;
}

bool iso_fingerprint(struct iso_exchange *x, struct iso_slice key, struct iso_ledger_ask *ask)
{
	const struct iso_cfg_keys *keys = &x->service->keys;
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	struct iso_slice region = keys->regional ? x->service->regions[x->choice.pick.index].name
						 : iso_slice("", 0);
	uint32_t cookies = 0;
	bool ok = sha != NULL && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1 &&
		  add(sha, x->service->name) && add(sha, region) && add_client(sha, x) && add(sha, key) &&
		  EVP_DigestFinal_ex(sha, ask->id.bytes, NULL) == 1;

	ok = ok && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1 && add(sha, x->head->method) &&
	     add(sha, x->head->authority) && add(sha, x->head->path) &&
	     (keys->client_told || add_all_cookies(sha, x, &cookies)) && add_body(sha, x) &&
	     EVP_DigestFinal_ex(sha, ask->print.bytes, NULL) == 1;
	x->keys.owned = x->keys.owned || cookies > 0;
	EVP_MD_CTX_free(sha);
	return ok;
}
