/*
 * How many further tries the workers may make for a service: rescues, hedges and retries together. Income is
 * a part of the requests plus a few a second, so that an outage is not made worse by tries. One purse for
 * each worker and service; all purses of a service share one bucket.
 */
#ifndef ISO_POLICY_BUDGET_H
#define ISO_POLICY_BUDGET_H

#include "iso/stats/bucket.h"

enum {
	ISO_BUDGET_BASE_MILLI = 3000, /* tokens a second whatever the load, over all workers */
	ISO_BUDGET_BATCH = 16,        /* requests that a purse counts before the others see them */
};

struct iso_budget {
	struct iso_bucket *shared;
	uint32_t unreported;     /* requests that the bucket has not seen */
	uint64_t spent, refused; /* for metrics */
};

/* Borrows the bucket, whose income is the service's. */
void iso_budget_init(struct iso_budget *budget, struct iso_bucket *shared);
/* A request came (its first attempt). */
void iso_budget_request(struct iso_budget *budget, uint64_t now_us);
/*
 * May the exchange try again? A try costs a token when the attempt that failed had sent bytes; one that never
 * reached the region has cost it nothing and is bounded by `attempts` alone.
 */
bool iso_budget_spend(struct iso_budget *budget, bool sent, uint64_t now_us);
/* No try followed after all: the same `sent`. */
void iso_budget_return(struct iso_budget *budget, bool sent);

#endif
