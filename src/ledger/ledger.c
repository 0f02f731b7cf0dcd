/*
 * See ledger.h. Thread: the ledger's own, but for start, stop and the askers' functions.
 * Order of a round: take all letters, change the table, write the journal once, then answer.
 */
#include "iso/ledger/ledger.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "iso/base/clock.h"
#include "journal_priv.h"

enum { TICK_MS = 1000, JOURNAL_LOOK_MS = 10 };

enum how { HOW_BEGIN, HOW_DONE, HOW_SPENT, HOW_UNKNOWN, HOW_RELEASED };

struct iso_ledger {
	struct { /* shared */
		_Atomic bool stopping;
		struct iso_ledger_counters counters;
	} shared;
	struct iso_mailbox mailbox;
	struct iso_letter wake; /* the last one before the thread ends */
	pthread_t thread;
	enum iso_ledger_sync sync;
	uint64_t ttl_us;
	const char *path; /* of a journal that another process still uses; NULL: it is ours, or there is none
			   */
	struct {          /* the ledger's thread */
		struct iso_ledger_table table;
		struct iso_journal journal;
		struct iso_ledger_ask *round; /* begun in this round, newest first; linked by letter.next */
		uint64_t now_us;              /* wall clock of the round */
		uint64_t ticked_us;           /* loop clock of the last tick */
		bool dirty;                   /* written, but not known to be on disk */
	} own;
};

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void free_ask(struct iso_ledger_ask *ask)
{
	free(ask->answer);
	free(ask);
}

/* On the asking loop. */
static void deliver_answer(struct iso_letter *letter)
{
	struct iso_ledger_ask *ask = ISO_CONTAINER(letter, struct iso_ledger_ask, letter);

	if (ask->answered != NULL)
		ask->answered(ask);
	else
		iso_ledger_drop(ask, false); /* nobody has sent anything on its word */
}

static struct iso_ledger_entry *entry_of(struct iso_ledger *l, const struct iso_ledger_id *id)
{
	return iso_hmap_get(&l->own.table.map, iso_slice((const char *)id->bytes, sizeof(id->bytes)));
}

static void push(struct iso_ledger_ask **list, struct iso_ledger_ask *ask)
{
	ask->letter.next = *list != NULL ? &(*list)->letter : NULL;
	*list = ask;
}

static struct iso_ledger_ask *pop(struct iso_ledger_ask **list)
{
	struct iso_ledger_ask *ask = *list;

	if (ask != NULL)
		*list = ask->letter.next != NULL
				? ISO_CONTAINER(ask->letter.next, struct iso_ledger_ask, letter)
				: NULL;
	return ask;
}

static void begin(struct iso_ledger *l, struct iso_ledger_ask *ask)
{
	const struct iso_ledger_entry *entry = NULL;

	ask->verdict = iso_ledger_table_begin(&l->own.table, &ask->id, &ask->print, l->own.now_us,
					      l->own.now_us + ask->ttl_us, &entry);
	if (ask->verdict == ISO_LEDGER_BUSY && ask->wait && !atomic_load(&l->shared.stopping)) {
		push(&entry_of(l, &ask->id)->waiting, ask);
		return;
	}
	if (ask->verdict == ISO_LEDGER_NEW) {
		if (iso_journal_note(&l->own.journal, entry_of(l, &ask->id)) != ISO_OK)
			ask->verdict = ISO_LEDGER_BROKEN;
	} else if (ask->verdict == ISO_LEDGER_REPLAY) {
		ask->answer = malloc(entry->len > 0 ? entry->len : 1);
		ask->len = entry->len;
		if (ask->answer != NULL)
			memcpy(ask->answer, entry->answer, entry->len);
		else
			ask->verdict = ISO_LEDGER_GONE;
	}
	push(&l->own.round, ask);
}

/*
 * Those that have waited for an entry that is no longer running begin anew, in the order in which they came:
 * they get its answer, or the first of them runs and the others wait for that.
 */
static void wake(struct iso_ledger *l, struct iso_ledger_ask *waiting)
{
	struct iso_ledger_ask *in_order = NULL, *ask;

	while ((ask = pop(&waiting)) != NULL)
		push(&in_order, ask);
	while ((ask = pop(&in_order)) != NULL)
		begin(l, ask);
}

static struct iso_ledger_ask *take_waiting(struct iso_ledger_entry *entry)
{
	struct iso_ledger_ask *waiting = entry != NULL ? entry->waiting : NULL;

	if (entry != NULL)
		entry->waiting = NULL;
	return waiting;
}

static void end(struct iso_ledger *l, struct iso_ledger_ask *ask)
{
	static const enum iso_ledger_state states[] = {
		[HOW_DONE] = ISO_LEDGER_DONE,
		[HOW_SPENT] = ISO_LEDGER_SPENT,
		[HOW_UNKNOWN] = ISO_LEDGER_UNKNOWN,
	};
	struct iso_ledger_ask *waiting = take_waiting(entry_of(l, &ask->id));
	const struct iso_ledger_entry *entry;
	int err;

	if (ask->how == HOW_RELEASED) {
		iso_ledger_table_release(&l->own.table, &ask->id);
		err = iso_journal_note_released(&l->own.journal, &ask->id);
	} else {
		iso_ledger_table_finish(&l->own.table, &ask->id, states[ask->how],
					l->own.now_us + ask->ttl_us, iso_slice(ask->answer, ask->len));
		entry = entry_of(l, &ask->id);
		err = entry != NULL ? iso_journal_note(&l->own.journal, entry) : ISO_OK;
	}
	/* The journal then says that it runs: after a restart it is unknown, which is safe. */
	if (err != ISO_OK)
		count(&l->shared.counters.journal_errors, 1);
	free_ask(ask);
	wake(l, waiting);
}

/* On the ledger's thread. */
static void deliver_ask(struct iso_letter *letter)
{
	struct iso_ledger_ask *ask = ISO_CONTAINER(letter, struct iso_ledger_ask, letter);

	if (ask->how == HOW_BEGIN)
		begin(ask->ledger, ask);
	else
		end(ask->ledger, ask);
}

static void tell(struct iso_ledger *l, const struct iso_ledger_ask *ask)
{
	struct iso_ledger_counters *c = &l->shared.counters;

	if (ask->verdict == ISO_LEDGER_REPLAY)
		count(&c->replayed, 1);
	else if (ask->verdict == ISO_LEDGER_MISMATCH)
		count(&c->mismatches, 1);
	else if (ask->verdict == ISO_LEDGER_BUSY || ask->verdict == ISO_LEDGER_GONE ||
		 ask->verdict == ISO_LEDGER_LOST)
		count(&c->conflicts, 1);
}

static void answer(struct iso_ledger *l, struct iso_ledger_ask *ask)
{
	tell(l, ask);
	ask->letter.deliver = deliver_answer;
	iso_mailbox_post(ask->home, &ask->letter);
}

static void answer_round(struct iso_ledger *l, int err)
{
	struct iso_ledger_ask *round = l->own.round, *ask;

	l->own.round = NULL;
	while ((ask = pop(&round)) != NULL) {
		struct iso_ledger_ask *waiting = NULL;

		if (ask->verdict == ISO_LEDGER_NEW && err != ISO_OK)
			ask->verdict = ISO_LEDGER_BROKEN;
		/* It begins nowhere: as if it had never come. Nor does what waits for it. */
		if (ask->verdict == ISO_LEDGER_BROKEN) {
			waiting = take_waiting(entry_of(l, &ask->id));
			iso_ledger_table_release(&l->own.table, &ask->id);
		}
		answer(l, ask);
		while ((ask = pop(&waiting)) != NULL) {
			ask->verdict = ISO_LEDGER_BROKEN;
			answer(l, ask);
		}
	}
}

/* The loops have ended, and what runs in this table will not be told any more. */
static void answer_all_waiting(struct iso_ledger *l)
{
	for (struct iso_list *at = l->own.table.used.next; at != &l->own.table.used; at = at->next) {
		struct iso_ledger_ask *waiting =
			take_waiting(ISO_CONTAINER(at, struct iso_ledger_entry, link));
		struct iso_ledger_ask *ask;

		while ((ask = pop(&waiting)) != NULL)
			answer(l, ask); /* BUSY, as it was when it began to wait */
	}
}

static void publish(struct iso_ledger *l)
{
	struct iso_ledger_counters *c = &l->shared.counters;

	atomic_store_explicit(&c->entries, l->own.table.map.count, memory_order_relaxed);
	atomic_store_explicit(&c->bytes, l->own.table.bytes, memory_order_relaxed);
	atomic_store_explicit(&c->evicted, l->own.table.evicted, memory_order_relaxed);
}

static void play_round(struct iso_ledger *l, bool tick)
{
	bool sync;
	int err;

	l->own.now_us = iso_clock_wall_us();
	iso_mailbox_drain(&l->mailbox);
	l->own.dirty = l->own.dirty || l->own.journal.len > 0;
	/* Only what begins waits for the disk; how something ended may be lost, and is then unknown. */
	sync = l->own.dirty && ((l->sync == ISO_LEDGER_ALWAYS && l->own.round != NULL) ||
				(l->sync != ISO_LEDGER_NEVER && tick));
	err = iso_journal_flush(&l->own.journal, sync);
	if (err != ISO_OK)
		count(&l->shared.counters.journal_errors, 1);
	if (sync)
		l->own.dirty = false;
	answer_round(l, err);
	if (tick)
		iso_journal_tidy(&l->own.journal, &l->own.table, l->own.now_us);
	publish(l);
}

static int open_journal(struct iso_ledger *l, const char *path, const char **ret_why)
{
	uint64_t now_us = iso_clock_wall_us();

	return iso_journal_open(&l->own.journal, path, &l->own.table, now_us, now_us + l->ttl_us, ret_why);
}

/* The process before still has the journal: until then what is asked stays in the mailbox. */
static void await_journal(struct iso_ledger *l)
{
	const char *why;
	int err = ISO_EEXISTS;

	while (l->path != NULL && err == ISO_EEXISTS && !atomic_load(&l->shared.stopping)) {
		(void)poll(NULL, 0, JOURNAL_LOOK_MS);
		err = open_journal(l, l->path, &why);
	}
	if (err != ISO_OK && l->path != NULL) {
		count(&l->shared.counters.journal_errors, 1);
		iso_journal_break(&l->own.journal);
	}
	publish(l);
}

static void *run(void *arg)
{
	struct iso_ledger *l = arg;

	await_journal(l);
	while (!atomic_load(&l->shared.stopping)) {
		struct pollfd in = { .fd = l->mailbox.fd, .events = POLLIN };
		bool tick;

		(void)poll(&in, 1, TICK_MS);
		tick = iso_clock_mono_us() >= l->own.ticked_us + TICK_MS * 1000;
		if (tick)
			l->own.ticked_us = iso_clock_mono_us();
		play_round(l, tick);
	}
	play_round(l, true);
	answer_all_waiting(l);
	return NULL;
}

int iso_ledger_start(const struct iso_ledger_config *config, const char **ret_why,
		     struct iso_ledger **ret_ledger)
{
	struct iso_ledger *l = calloc(1, sizeof(*l));
	sigset_t all, old;
	int err;

	*ret_why = "out of memory";
	if (l == NULL)
		return ISO_ENOMEM;
	l->sync = config->sync;
	l->ttl_us = config->ttl_us;
	iso_ledger_table_init(&l->own.table, config->memory, config->seed);
	err = iso_mailbox_init(&l->mailbox);
	if (err == ISO_OK) {
		err = open_journal(l, config->journal, ret_why);
		if (err == ISO_EEXISTS && config->wait) {
			l->path = config->journal;
			err = ISO_OK;
		}
		if (err != ISO_OK)
			iso_mailbox_done(&l->mailbox);
	}
	if (err != ISO_OK) {
		iso_ledger_table_done(&l->own.table);
		free(l);
		return err;
	}
	publish(l);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0) {
		*ret_why = "its thread cannot be started";
		iso_journal_close(&l->own.journal);
		iso_mailbox_done(&l->mailbox);
		iso_ledger_table_done(&l->own.table);
		free(l);
		return iso_err_from_errno(err);
	}
	*ret_ledger = l;
	return ISO_OK;
}

static void deliver_nothing(struct iso_letter *letter)
{
	(void)letter;
}

void iso_ledger_stop(struct iso_ledger *ledger)
{
	if (ledger == NULL)
		return;
	atomic_store(&ledger->shared.stopping, true);
	ledger->wake.deliver = deliver_nothing;
	iso_mailbox_post(&ledger->mailbox, &ledger->wake);
	pthread_join(ledger->thread, NULL);
}

void iso_ledger_free(struct iso_ledger *ledger)
{
	if (ledger == NULL)
		return;
	/* Given back after the thread had ended: the last round, on this one. */
	play_round(ledger, true);
	iso_mailbox_done(&ledger->mailbox);
	iso_journal_close(&ledger->own.journal);
	iso_ledger_table_done(&ledger->own.table);
	free(ledger);
}

const struct iso_ledger_counters *iso_ledger_counters(const struct iso_ledger *ledger)
{
	return &ledger->shared.counters;
}

static void post(struct iso_ledger_ask *ask, enum how how)
{
	ask->how = (uint8_t)how;
	ask->letter.deliver = deliver_ask;
	iso_mailbox_post(&ask->ledger->mailbox, &ask->letter);
}

void iso_ledger_begin(struct iso_ledger *ledger, struct iso_ledger_ask *ask)
{
	ask->ledger = ledger;
	post(ask, HOW_BEGIN);
}

void iso_ledger_finish(struct iso_ledger_ask *ask, char *answer, size_t len)
{
	ask->answer = answer;
	ask->len = len;
	post(ask, answer != NULL ? HOW_DONE : HOW_SPENT);
}

void iso_ledger_drop(struct iso_ledger_ask *ask, bool ran)
{
	if (ask->verdict == ISO_LEDGER_NEW)
		post(ask, ran ? HOW_UNKNOWN : HOW_RELEASED);
	else
		free_ask(ask);
}
