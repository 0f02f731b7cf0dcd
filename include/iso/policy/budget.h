/*
 * How many further tries a worker may make for a service: rescues, hedges and retries together. Income is a
 * part of the requests plus a few a second, so that an outage is not made worse by tries. Pure; one per
 * worker and service.
 */
#ifndef ISO_POLICY_BUDGET_H
#define ISO_POLICY_BUDGET_H

#include "iso/stats/bucket.h"

enum { ISO_BUDGET_BASE_MILLI = 3000 }; /* tokens a second whatever the load, over all workers */

struct iso_budget {
	struct iso_bucket bucket;
	uint64_t spent, refused; /* for metrics */
};

/* per_request_milli: retry.budget in thousandths. The fixed income is divided among the workers (at least 1).
 */
void iso_budget_init(struct iso_budget *budget, uint32_t per_request_milli, uint32_t workers,
		     uint64_t now_us);
/* A request came (its first attempt). */
void iso_budget_request(struct iso_budget *budget, uint64_t now_us);
/*
 * May the exchange try again? A try costs a token when the attempt that failed had sent bytes; one that never
 * reached the region has cost it nothing and is bounded by `attempts` alone.
 */
bool iso_budget_spend(struct iso_budget *budget, bool sent, uint64_t now_us);

#endif
