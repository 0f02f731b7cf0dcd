/*
 * How many requests a second a region takes, learnt from its 429s: additive increase, multiplicative decrease
 * (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance", 1989), where
 * what was answered well says where the limit is. Pure; one per region, owned by the publisher. And the gate
 * that workers pass, shared by all.
 */
#ifndef ISO_POLICY_THROTTLE_H
#define ISO_POLICY_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { ISO_THROTTLE_SLOTS = 10, ISO_THROTTLE_SLOT_US = 100 * 1000 };

struct iso_throttle {
	uint32_t passed[ISO_THROTTLE_SLOTS]; /* answers that were no throttle's, by slot of time */
	uint64_t slot, first;                /* number of the newest, and of the first since it was idle */
	uint64_t limit_milli;                /* requests a second, thousandths; 0: none is known */
	uint64_t refused_us;                 /* the last 429 that counts; 0: there was none */
	uint64_t asked_us;    /* up to when it asked to be left alone with more; 0: it did not */
	uint64_t cut_us;      /* when the limit was last lowered */
	uint64_t grown_us;    /* up to when it has grown */
	uint64_t suspect_us;  /* the last 429, be it one client's own quota; 0: none */
	uint32_t suspect_key; /* the API key that it came with, hashed; 0: none */
	uint32_t refused;     /* 429s that count since the last step */
};

void iso_throttle_init(struct iso_throttle *t);
/* An answer that was no throttle's. */
void iso_throttle_passed(struct iso_throttle *t, uint64_t now_us);
/*
 * A 429. key: hash of the API key that the request came with; 0: none. Whether it counts against the region:
 * without a key, or when another key, or a request without any, was refused within a second. Else it is that
 * client's own quota, also when a limit is known: one client's 429s, which go on whatever is sent there,
 * would lower it without end.
 */
bool iso_throttle_refused(struct iso_throttle *t, uint32_t key, uint64_t now_us);
/*
 * A 429 that counts came with Retry-After (RFC 9110 section 10.2.3). What was refused is what exceeds the
 * limit, and the rest is answered: nothing more is tried before, that is, the limit does not grow. Up to a
 * minute counts; a limit that is older is forgotten anyway.
 */
void iso_throttle_asked(struct iso_throttle *t, uint64_t retry_after_us, uint64_t now_us);
/* Time passes: lowers or raises the limit. Every 100 ms or so. */
void iso_throttle_step(struct iso_throttle *t, uint64_t now_us);

/* The gate (generic cell rate algorithm): the theoretical arrival time of the next request, in ns. */
struct iso_throttle_gate {
	_Atomic uint64_t arrival_ns;
	_Atomic uint64_t refused; /* the last 429: key in the upper half, ms in the lower; 0: there was none
				   */
};

/* Whether a request would exceed the limit now. */
bool iso_throttle_gate_closed(const struct iso_throttle_gate *gate, uint64_t limit_milli, uint64_t now_us);
/* A request goes there, be it that it exceeds the limit. */
void iso_throttle_gate_pass(struct iso_throttle_gate *gate, uint64_t limit_milli, uint64_t now_us);

/*
 * A 429, which the other workers hear of at once. Whether it is the region's throttle, by the learner's rule:
 * then the request may be answered elsewhere.
 */
bool iso_throttle_gate_refused(struct iso_throttle_gate *gate, uint32_t key, uint64_t now_us);

#endif
