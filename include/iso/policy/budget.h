/*
 * The retry budget of a service on one worker: retries, rescues and hedges that sent a byte share it. Income is
 * `retry.budget` for each request and 3 a second, kept for one second at most, so that under a full outage the
 * regions see at most (1 + budget) times the offered load. Pure.
 */
#ifndef ISO_POLICY_BUDGET_H
#define ISO_POLICY_BUDGET_H

#include "iso/stats/bucket.h"

struct iso_budget {
	struct iso_bucket bucket;
};

/* per_request_milli: thousandths of a token for each request. */
void iso_budget_init(struct iso_budget *budget, uint32_t per_request_milli, uint64_t now_us);
/* A request has begun. */
void iso_budget_deposit(struct iso_budget *budget, uint64_t now_us);
/* One more try, if it can be afforded. */
bool iso_budget_take(struct iso_budget *budget, uint64_t now_us);

#endif
