/*
 * The retry budget: a shell around stats/bucket. Pure.
 */
#include "iso/policy/budget.h"

void iso_budget_init(struct iso_budget *budget, uint32_t per_request_milli, uint32_t workers, uint64_t now_us)
{
	uint64_t base_milli = ISO_BUDGET_BASE_MILLI / (workers > 0 ? workers : 1);

	/* One token is the least that allows anything: many workers must not round each other's down to
	 * never. */
	if (base_milli < 1000)
		base_milli = 1000;
	iso_bucket_init(&budget->bucket, base_milli, per_request_milli, now_us);
	budget->spent = budget->refused = 0;
}

void iso_budget_request(struct iso_budget *budget, uint64_t now_us)
{
	iso_bucket_deposit(&budget->bucket, now_us);
}

bool iso_budget_spend(struct iso_budget *budget, bool sent, uint64_t now_us)
{
	if (!sent)
		return true;
	if (!iso_bucket_take(&budget->bucket, 1, now_us)) {
		budget->refused++;
		return false;
	}
	budget->spent++;
	return true;
}
