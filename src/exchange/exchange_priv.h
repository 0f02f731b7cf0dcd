/*
 * The exchange's object, for the files of this room. Thread: its loop.
 * It lives in the stream's arena; the stream's reset is its last call, and only then is it recorded and gone.
 */
#ifndef ISO_EXCHANGE_EXCHANGE_PRIV_H
#define ISO_EXCHANGE_EXCHANGE_PRIV_H

#include "iso/exchange/client.h"
#include "iso/exchange/exchange.h"
#include "iso/http/body_tape.h"
#include "iso/ledger/ledger.h"
#include "iso/policy/balance.h"
#include "iso/policy/retry.h"
#include "iso/upstream/attempt.h"

enum { ISO_TRIES_MAX = ISO_ATTEMPTS_MAX, ISO_KEPT_MAX = 16 * 1024 };

enum iso_phase {
	ISO_PHASE_ADMIT,
	ISO_PHASE_MATCH,
	ISO_PHASE_PREPARE,
	ISO_PHASE_KEYS,   /* the body of a request with an Idempotency-Key is awaited */
	ISO_PHASE_LEDGER, /* the ledger was asked about its key */
	ISO_PHASE_PICK,
	ISO_PHASE_PAUSE, /* before a region is used again */
	ISO_PHASE_WAIT,  /* attempts are running */
	ISO_PHASE_FAIL,  /* no attempt is left: the last upstream answer, or one of our own */
	ISO_PHASE_RELAY, /* a response is on its way down */
	ISO_PHASE_COUNT,
};

enum iso_step { ISO_STEP_MORE, ISO_STEP_PARK };

/* One attempt as the exchange sees it. */
struct iso_try {
	struct iso_attempt a;
	struct iso_exchange *x;
	struct iso_head head;         /* the request as this region gets it */
	struct iso_timer patience;    /* per_try_timeout */
	struct iso_head answer;       /* a final head that was kept in case nothing better comes */
	struct iso_buf kept;          /* its content so far */
	size_t sent;                  /* request body bytes its transport has taken */
	struct iso_slice upstream_id; /* x-amzn-RequestId */
	const char *words;            /* what the answer means, for people */
	struct iso_slice endpoint;    /* text of the address; for the access log only */
	uint64_t retry_after_us;      /* what the region asked for; 0: nothing */
	uint8_t region, fault, executed, outcome, reason;
	bool live, kept_head, kept_end, sampled;
	bool suspect;   /* silent for longer than it ever is */
	bool own_quota; /* its answer is a 429 that says nothing of the region */
	bool overdue;   /* for longer than per_try_timeout, and nothing may follow it yet */
};

/* Where the request came from. */
struct iso_exchange_from {
	struct iso_view_client *known;     /* to the policies `geo` and `sticky`; NULL: nothing */
	struct iso_exchange_cookie cookie; /* with `sticky` or `after_write` by cookie */
	uint64_t writer;                   /* who it is to `after_write`; 0: nobody */
	struct iso_sketch_verdict quota;   /* what is left of its own, where the route has a rate limit */
	struct iso_slice client;           /* behind trusted proxies what they say, else who has connected */
	struct iso_slice path;             /* as it was matched: in its normal form, with its query */
	const struct iso_cidr_set *trusted_proxies; /* who has connected is one of them; NULL: is not */
	const struct iso_transport *transport;      /* the client's connection */
	bool tls;
	bool misdirected; /* its connection is under another TLS policy than its authority */
};

/* An answer on its way, or awaited. */
struct iso_exchange_relay {
	struct iso_list link; /* the host's: of those that wait for an answer, or that have one */
	uint64_t idle_us;     /* no byte either way for so long ends it */
	bool tunnel;          /* over when both directions are, not with the answer */
};

/* Where the next try goes, and where the last one went. */
struct iso_exchange_choice {
	uint16_t allowed, tried; /* for the next pick */
	int reason;              /* enum iso_retry_reason of the next try; -1: it is the first */
	struct iso_pick pick;    /* the last one */
	/* By try: the record of its pick, of an exchange that was sampled for the access log; else empty. */
	struct iso_slice decisions[ISO_TRIES_MAX];
	bool recorded;          /* it was sampled, by its first pick */
	struct iso_timer timer; /* PAUSE: the end of it; WAIT: time for a hedge */
	bool paid;              /* the next try has cost the budget a token, and has not begun */
	enum iso_stay final;    /* why no other try followed the last one that failed; NONE: none failed */
};

/* A request whose Idempotency-Key the ledger has been asked about. */
struct iso_exchange_keys {
	struct iso_ledger_ask *ask; /* NULL: it was not, or all is said */
	char *answer;               /* what is kept of the answer so far; malloc'ed */
	size_t len, cap;
	bool running;  /* the ledger has let it run, and waits to hear how it ended */
	bool answered; /* by a region that may have run it */
	bool keeping;  /* the answer, which is not too large yet */
	bool owned; /* something in the request says whose it is: its client may be given its cookies again */
};

struct iso_exchange {
	struct iso_sink request; /* the server calls this */
	struct iso_sink *response;
	struct iso_exchange_host *host;
	struct iso_generation *generation;
	const struct iso_cfg_route *route;
	const struct iso_cfg_service *service;
	struct iso_arena *arena;
	struct iso_head *head;
	struct iso_try *tries[ISO_TRIES_MAX];
	struct iso_try *winner;
	struct iso_tape tape;
	const struct iso_fields *trailers;
	struct iso_timer timer;  /* the deadline; idleness once committed */
	struct iso_task advance; /* goes on from the run queue */
	struct iso_slice id, original_path, error;
	struct iso_exchange_from from;
	struct iso_exchange_relay relay;
	struct iso_retry_plan plan;
	struct iso_exchange_choice choice;
	struct iso_exchange_keys keys;
	uint64_t received_us, deadline_us, bytes;

	size_t acknowledged; /* request body bytes given back to the client's window */
	size_t received_body;
	uint16_t status;
	uint16_t fail_status; /* what to answer when nothing else can be */
	uint8_t try_count, phase;
	bool request_end, committed, response_end, in_request, idempotent, safe, over;
	bool continued; /* the client was told 100 */
};

struct iso_phase_row {
	const char *name;
	enum iso_step (*run)(struct iso_exchange *x);
};

/* exchange.c: runs phases until one parks. */
void iso_exchange_run(struct iso_exchange *x, enum iso_phase phase);

/* phases_request.c */
enum iso_step iso_phase_admit(struct iso_exchange *x);
/* limits.body_bytes */
bool iso_exchange_body_too_large(const struct iso_exchange *x, uint64_t bytes);
/* The client's address, port 0; false when it has none that can be read. */
bool iso_exchange_client(const struct iso_exchange *x, struct iso_sockaddr *ret_addr);
/* The same as text, without brackets. */
struct iso_slice iso_exchange_client_ip(const struct iso_exchange *x);
enum iso_step iso_phase_match(struct iso_exchange *x);
enum iso_step iso_phase_prepare(struct iso_exchange *x);

/*
 * choice.c: picks a region by what the board says now; the pick is in x->choice, and recorded when it is
 * sampled. Whether there is a region at all.
 */
bool iso_exchange_choose(struct iso_exchange *x);
/* The same among those that are out or silent and were not tried: where nothing else is left, one may be
 * well. False, and nothing has changed, when there are none. */
bool iso_exchange_choose_out(struct iso_exchange *x);
/*
 * When the pick would go back to where this request has failed, for its third try: to one that is out
 * instead, if there is any; a region that cannot be reached stays in when it is the last one, and what went
 * out before it may be well by now. Never for the second try: most of what ails a region that is up is over
 * by then, and one that is out may be a hole.
 */
void iso_exchange_choose_last(struct iso_exchange *x);
/* For how long the region asked to be left alone (Retry-After) when this exchange tried it last, from now. */
uint64_t iso_exchange_asked_us(const struct iso_exchange *x, uint32_t region);
/* No try could begin there: what the pick had taken is given back. */
void iso_exchange_unchoose(const struct iso_exchange *x);

/* try.c: begins a try in the region; false: x->error says why not. */
bool iso_try_start(struct iso_exchange *x, uint32_t region);

/* doubling.c: a second try while the first one runs. */
void iso_try_on_suspect(struct iso_attempt *a);
/* The first try has begun: sets the timer, if the service hedges such requests. */
void iso_hedge_arm(struct iso_exchange *x);
void iso_hedge_run(struct iso_exchange *x);
/* One of two has failed: another one, if all that are left are silent for too long. */
void iso_doubling_again(struct iso_exchange *x);
/* The loser of two is given up, and may have run for nothing. */
void iso_doubling_lost(struct iso_exchange *x, const struct iso_try *t);

/* attempts.c: judging and ending attempts. */
extern const struct iso_attempt_ops iso_try_ops;
void iso_try_on_patience(struct iso_timer *timer);
void iso_exchange_on_choice_timer(struct iso_timer *timer);
enum iso_step iso_phase_pick(struct iso_exchange *x);
/* Hash of the x-api-key that the request came with; 0: none. */
uint32_t iso_exchange_api_key(const struct iso_exchange *x);
struct iso_budget *iso_exchange_budget(struct iso_exchange *x);
/* No other try begins, whatever ended the wait for it: the budget gets back what it has cost. */
void iso_exchange_refund(struct iso_exchange *x);
void iso_exchange_cancel_tries(struct iso_exchange *x, const struct iso_try *but);
bool iso_exchange_live(const struct iso_exchange *x);

/* exchange.c: the answer is on its way for good, and of a tunnel the other direction too. */
bool iso_exchange_relayed(const struct iso_exchange *x);

/* phases_response.c */
enum iso_step iso_phase_fail(struct iso_exchange *x);
/* The try's answer (a live head, or a kept one) becomes the client's. */
void iso_exchange_commit(struct iso_exchange *x, struct iso_try *t, const struct iso_head *head, bool end);
/* A try's 1xx, if the client is to have it: it commits to nothing, and is left out where memory is short. */
void iso_exchange_interim(struct iso_try *t, const struct iso_head *answer);
void iso_exchange_relay_data(struct iso_exchange *x, struct iso_buf *data, bool end);

/* A trailer section as it goes on (RFC 9110 section 6.5.1), in the exchange's arena. */
const struct iso_fields *iso_exchange_trailers(struct iso_exchange *x, const struct iso_fields *trailers);

/*
 * shed.c: memory runs short, and clients that do not take what they have asked for hold it: their answers go,
 * oldest first, until it suffices. Whether it does now.
 */
bool iso_exchange_shed(struct iso_exchange_host *host);

/* affinity.c: what the route's policy wants to know of the client; asked once, before the first pick. */
void iso_affinity_find(struct iso_exchange *x);
/*
 * The cookie, where the client has none or its region has changed. t: whose answer it is; NULL: one of our
 * own. ISO_OK or ISO_ENOMEM.
 */
ISO_MUST_USE int iso_affinity_tell(struct iso_exchange *x, const struct iso_try *t,
				   struct iso_fields *fields);

/* after_write.c, of a service that has it: who the client is; the region where it is held, as a bit, 0:
 * nowhere. */
void iso_after_write_find(struct iso_exchange *x);
uint16_t iso_after_write_held(const struct iso_exchange *x);
/* A try is over, or its answer is the client's: whether that holds it. In any service. */
void iso_after_write_note(const struct iso_try *t);

/* idempotency.c: whether it has an Idempotency-Key. With two nobody knows which one the API goes by. */
bool iso_keys_has_one(const struct iso_exchange *x);
/* fingerprint.c: whose key it is and what for, into ask->id and ask->print. False: no memory. */
bool iso_fingerprint(struct iso_exchange *x, struct iso_slice key, struct iso_ledger_ask *ask);
/* Whether the request's key, if it has one, is the proxy's own care. */
bool iso_keys_wanted(const struct iso_exchange *x);
enum iso_step iso_phase_keys(struct iso_exchange *x);
/* What the client is told, as it goes; and the end of all, however it came. */
void iso_keys_head(struct iso_exchange *x, const struct iso_try *t, const struct iso_head *head, bool end);
void iso_keys_data(struct iso_exchange *x, const struct iso_buf *data, bool end);
void iso_keys_trailers(struct iso_exchange *x);
void iso_keys_done(struct iso_exchange *x);

/*
 * proxy_status.c: own_status: of an answer of our own; 0: a region's, which says it only where that is asked
 * for. ISO_OK or ISO_ENOMEM.
 */
ISO_MUST_USE int iso_proxy_status_tell(struct iso_exchange *x, uint16_t own_status,
				       struct iso_fields *fields);

/* rate_limit.c: takes the request from its client's quota; false: there is nothing left (429). */
bool iso_rate_limit_take(struct iso_exchange *x);
/* What an answer says of it. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_rate_limit_tell(struct iso_exchange *x, struct iso_fields *fields);

/* flow.c: request bytes to the attempts, credit back to the client. */
void iso_flow_request_data(struct iso_exchange *x, struct iso_buf *data, bool end);
void iso_flow_request_trailers(struct iso_exchange *x, const struct iso_fields *trailers);
void iso_flow_sent(struct iso_try *t, size_t n);

/* local_reply.c: an answer of our own, application/problem+json (RFC 9457). detail is static or in the arena.
 */
void iso_local_reply(struct iso_exchange *x, uint16_t status, const char *detail);

/* The answer of a route that has its own. */
void iso_local_answer(struct iso_exchange *x);

/* edit.c: the path that the route gives the request; false: no memory. */
bool iso_rewrite_path(struct iso_exchange *x);
/* Fields as the route wants them; region: where they go or come from, NULL: nowhere. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_edit_fields(struct iso_exchange *x, const struct iso_cfg_edits *edits,
				 const struct iso_cfg_region *region, struct iso_fields *fields);
/* A text with the exchange's variables filled in; ptr NULL: no memory. */
struct iso_slice iso_edit_text(struct iso_exchange *x, const struct iso_template *template);

/* record.c */
void iso_record_try_head(struct iso_try *t);
void iso_record_try_end(struct iso_try *t, enum iso_outcome outcome, enum iso_executed executed);
void iso_record_exchange(struct iso_exchange *x, enum iso_reset why);

#endif
