/*
 * The retry budget: a purse in front of a shared bucket. Thread: the worker's.
 * Requests reach the bucket in batches, so that workers do not fight over its cache line for each of them.
 */
#include "iso/policy/budget.h"

void iso_budget_init(struct iso_budget *budget, struct iso_bucket *shared)
{
	*budget = (struct iso_budget){ .shared = shared };
}

static void report(struct iso_budget *budget, uint64_t now_us)
{
	if (budget->unreported == 0)
		return;
	iso_bucket_deposit(budget->shared, budget->unreported, now_us);
	budget->unreported = 0;
}

void iso_budget_request(struct iso_budget *budget, uint64_t now_us)
{
	if (++budget->unreported >= ISO_BUDGET_BATCH)
		report(budget, now_us);
}

bool iso_budget_spend(struct iso_budget *budget, bool sent, uint64_t now_us)
{
	if (!sent)
		return true;
	report(budget, now_us);
	if (!iso_bucket_take(budget->shared, 1, now_us)) {
		budget->refused++;
		return false;
	}
	budget->spent++;
	return true;
}

void iso_budget_return(struct iso_budget *budget, bool sent)
{
	if (!sent)
		return;
	iso_bucket_give(budget->shared, 1);
	budget->spent--;
}
