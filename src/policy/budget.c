/*
 * See budget.h.
 */
#include "iso/policy/budget.h"

enum { FLOOR_MILLI_PER_SECOND = 3000 };

void iso_budget_init(struct iso_budget *budget, uint32_t per_request_milli, uint64_t now_us)
{
	iso_bucket_init(&budget->bucket, FLOOR_MILLI_PER_SECOND, per_request_milli, now_us);
}

void iso_budget_deposit(struct iso_budget *budget, uint64_t now_us)
{
	iso_bucket_deposit(&budget->bucket, now_us);
}

bool iso_budget_take(struct iso_budget *budget, uint64_t now_us)
{
	return iso_bucket_take(&budget->bucket, 1, now_us);
}
