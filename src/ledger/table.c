/*
 * See table_priv.h.
 */
#include "table_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_COST = 128 /* its slot in the map, and malloc's own */, ENTRIES_MAX = 1 << 24 };

static struct iso_slice key_of(const struct iso_ledger_id *id)
{
	return iso_slice((const char *)id->bytes, sizeof(id->bytes));
}

static uint64_t cost_of(uint32_t len)
{
	return sizeof(struct iso_ledger_entry) + ENTRY_COST + len;
}

void iso_ledger_table_init(struct iso_ledger_table *t, uint64_t bytes_max, const uint64_t seed[2])
{
	memset(t, 0, sizeof(*t));
	iso_hmap_init(&t->map, ENTRIES_MAX, seed);
	iso_list_init(&t->used);
	t->bytes_max = bytes_max;
}

static void drop(struct iso_ledger_table *t, struct iso_ledger_entry *e)
{
	(void)iso_hmap_remove(&t->map, key_of(&e->id));
	iso_list_remove(&e->link);
	t->bytes -= cost_of(e->len);
	free(e);
}

void iso_ledger_table_done(struct iso_ledger_table *t)
{
	while (!iso_list_empty(&t->used))
		drop(t, ISO_CONTAINER(t->used.next, struct iso_ledger_entry, link));
	iso_hmap_done(&t->map);
}

/* Makes room; false: all that is there runs, or it would never fit. */
static bool make_room(struct iso_ledger_table *t, uint64_t bytes)
{
	struct iso_list *next;

	for (struct iso_list *l = t->used.next; l != &t->used && t->bytes + bytes > t->bytes_max; l = next) {
		struct iso_ledger_entry *e = ISO_CONTAINER(l, struct iso_ledger_entry, link);

		next = l->next;
		if (e->state == ISO_LEDGER_RUNNING)
			continue;
		drop(t, e);
		t->evicted++;
	}
	return t->bytes + bytes <= t->bytes_max;
}

static struct iso_ledger_entry *add(struct iso_ledger_table *t, const struct iso_ledger_id *id, uint32_t len)
{
	struct iso_ledger_entry *e;

	if (!make_room(t, cost_of(len)))
		return NULL;
	e = calloc(1, sizeof(*e) + len);
	if (e == NULL)
		return NULL;
	e->id = *id;
	e->len = len;
	iso_list_init(&e->link);
	if (iso_hmap_add(&t->map, key_of(&e->id), e) != ISO_OK) {
		free(e);
		return NULL;
	}
	t->bytes += cost_of(len);
	iso_list_push_back(&t->used, &e->link);
	return e;
}

enum iso_ledger_verdict iso_ledger_table_begin(struct iso_ledger_table *t, const struct iso_ledger_id *id,
					       const struct iso_ledger_id *print, uint64_t now_us,
					       uint64_t expires_us, const struct iso_ledger_entry **ret_entry)
{
	static const enum iso_ledger_verdict verdicts[] = {
		[ISO_LEDGER_RUNNING] = ISO_LEDGER_BUSY,
		[ISO_LEDGER_DONE] = ISO_LEDGER_REPLAY,
		[ISO_LEDGER_SPENT] = ISO_LEDGER_GONE,
		[ISO_LEDGER_UNKNOWN] = ISO_LEDGER_LOST,
	};
	struct iso_ledger_entry *e = iso_hmap_get(&t->map, key_of(id));

	/* What runs does not expire under it. */
	if (e != NULL && e->state != ISO_LEDGER_RUNNING && now_us >= e->expires_us) {
		drop(t, e);
		e = NULL;
	}
	if (e == NULL) {
		e = add(t, id, 0);
		if (e == NULL)
			return ISO_LEDGER_FULL;
		e->print = *print;
		e->expires_us = expires_us;
		e->state = ISO_LEDGER_RUNNING;
		return ISO_LEDGER_NEW;
	}
	if (memcmp(&e->print, print, sizeof(*print)) != 0)
		return ISO_LEDGER_MISMATCH;
	iso_list_remove(&e->link);
	iso_list_push_back(&t->used, &e->link);
	*ret_entry = e;
	return verdicts[e->state];
}

static bool is_too_large(const struct iso_ledger_table *t, uint32_t len)
{
	return cost_of(len) > t->bytes_max / 2;
}

int iso_ledger_table_put(struct iso_ledger_table *t, const struct iso_ledger_id *id,
			 const struct iso_ledger_id *print, enum iso_ledger_state state, uint64_t expires_us,
			 struct iso_slice answer)
{
	struct iso_ledger_entry *e = iso_hmap_get(&t->map, key_of(id));

	if (answer.len > 0 && is_too_large(t, (uint32_t)answer.len))
		return ISO_ENOMEM;
	if (e != NULL)
		drop(t, e);
	e = add(t, id, (uint32_t)answer.len);
	if (e == NULL)
		return ISO_ENOMEM;
	e->print = *print;
	e->expires_us = expires_us;
	e->state = state;
	if (answer.len > 0)
		memcpy(e->answer, answer.ptr, answer.len);
	return ISO_OK;
}

/* The answer beside what is known of the entry. Without memory nothing changes: its key must not be
 * forgotten. */
static bool keep_answer(struct iso_ledger_table *t, struct iso_ledger_entry *e, struct iso_slice answer)
{
	uint32_t len = (uint32_t)answer.len;
	struct iso_ledger_entry *whole;

	/* It still runs, so that it does not go itself. */
	if (is_too_large(t, len) || !make_room(t, cost_of(len) - cost_of(0)))
		return false;
	whole = calloc(1, sizeof(*whole) + len);
	if (whole == NULL)
		return false;
	whole->id = e->id;
	whole->print = e->print;
	whole->expires_us = e->expires_us;
	whole->state = ISO_LEDGER_DONE;
	whole->len = len;
	if (len > 0)
		memcpy(whole->answer, answer.ptr, len);
	drop(t, e);
	iso_list_init(&whole->link);
	if (iso_hmap_add(&t->map, key_of(&whole->id), whole) != ISO_OK)
		abort(); /* a place has just become free */
	t->bytes += cost_of(len);
	iso_list_push_back(&t->used, &whole->link);
	return true;
}

void iso_ledger_table_finish(struct iso_ledger_table *t, const struct iso_ledger_id *id,
			     enum iso_ledger_state state, uint64_t expires_us, struct iso_slice answer)
{
	struct iso_ledger_entry *e = iso_hmap_get(&t->map, key_of(id));

	assert(e != NULL && e->state == ISO_LEDGER_RUNNING && state != ISO_LEDGER_RUNNING);
	e->expires_us = expires_us;
	if (state == ISO_LEDGER_DONE && keep_answer(t, e, answer))
		return;
	e->state = state == ISO_LEDGER_DONE ? ISO_LEDGER_SPENT : state;
	iso_list_remove(&e->link);
	iso_list_push_back(&t->used, &e->link);
}

void iso_ledger_table_release(struct iso_ledger_table *t, const struct iso_ledger_id *id)
{
	struct iso_ledger_entry *e = iso_hmap_get(&t->map, key_of(id));

	if (e != NULL)
		drop(t, e);
}
