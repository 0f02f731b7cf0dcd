/*
 * An exchange's plan of attempts: where it has been, and where the next try may go. Pure; embedded in the
 * exchange.
 */
#ifndef ISO_POLICY_RETRY_H
#define ISO_POLICY_RETRY_H

#include "iso/policy/safety.h"
#include "iso/policy/view.h"

enum { ISO_ATTEMPTS_MAX = 3 };

struct iso_retry_plan {
	uint32_t limit; /* retry.attempts: 1 to ISO_ATTEMPTS_MAX, the first included */
	uint32_t used;  /* attempts begun */
	uint16_t tried; /* regions, for the pick's mask */
	uint16_t bound; /* the only region that may see it again: it may have run there. 0: any */
	uint8_t regions[ISO_ATTEMPTS_MAX];
	uint8_t endpoints[ISO_ATTEMPTS_MAX];
};

struct iso_retry_step {
	bool go;
	uint16_t allowed;   /* for the pick: the route's regions, or only the one that must be used again */
	uint16_t tried;     /* for the pick: another region first, these only when nothing else is left */
	enum iso_stay stay; /* why not; NONE when go */
};

/* limit is clamped to 1 … ISO_ATTEMPTS_MAX. */
void iso_retry_init(struct iso_retry_plan *plan, uint32_t limit);
/* An attempt begins in a region (index in the service). */
void iso_retry_begin(struct iso_retry_plan *plan, uint32_t region);
/* Which endpoint attempt number `index` (0 first) went to, once known. */
void iso_retry_endpoint(struct iso_retry_plan *plan, uint32_t index, uint8_t endpoint);
/*
 * What may follow an attempt that ended in `region` with this verdict. allowed: the route's mask. The budget
 * is the caller's to ask. A verdict for the same region binds all later attempts to it, whatever their own
 * verdicts say: that the second did not run does not undo that the first may have.
 */
void iso_retry_next(struct iso_retry_plan *plan, const struct iso_verdict *verdict, uint32_t region,
		    uint16_t allowed, struct iso_retry_step *ret_step);
/* Another attempt may still follow: so per_try_timeout may end this one. */
bool iso_retry_left(const struct iso_retry_plan *plan);
/* Endpoints of this region that were tried: another one comes first. */
uint16_t iso_retry_avoid(const struct iso_retry_plan *plan, uint32_t region);
/*
 * How long to wait before a region is used again: 0 for a fresh one; else full jitter, uniform below 50 ms x
 * 2^n for its n-th reuse, capped at 1 s. draw: a uniform 32-bit number. retry_after_us: what the region asked
 * for, a lower bound.
 */
uint64_t iso_retry_backoff_us(const struct iso_retry_plan *plan, uint32_t region, uint64_t retry_after_us,
			      uint32_t draw);

#endif
