/*
 * The plan of attempts. Pure; one exchange owns one.
 * Invariant: used <= limit <= ISO_ATTEMPTS_MAX; `tried` is the set of regions[0 … used).
 */
#include "iso/policy/retry.h"

#include <assert.h>
#include <string.h>

enum {
	ENDPOINT_UNKNOWN = UINT8_MAX,
	BACKOFF_BASE_US = 50 * 1000,
	BACKOFF_CAP_US = 1000 * 1000,
};

void iso_retry_init(struct iso_retry_plan *plan, uint32_t limit)
{
	memset(plan, 0, sizeof(*plan));
	plan->limit = limit < 1 ? 1 : limit > ISO_ATTEMPTS_MAX ? ISO_ATTEMPTS_MAX : limit;
}

bool iso_retry_left(const struct iso_retry_plan *plan)
{
	return plan->used < plan->limit;
}

void iso_retry_begin(struct iso_retry_plan *plan, uint32_t region)
{
	assert(plan->used < plan->limit && region < ISO_VIEW_MAX);
	plan->regions[plan->used] = (uint8_t)region;
	plan->endpoints[plan->used] = ENDPOINT_UNKNOWN;
	plan->used++;
	plan->tried = (uint16_t)(plan->tried | 1u << region);
}

void iso_retry_endpoint(struct iso_retry_plan *plan, uint32_t index, uint8_t endpoint)
{
	assert(index < plan->used);
	plan->endpoints[index] = endpoint;
}

void iso_retry_next(struct iso_retry_plan *plan, const struct iso_verdict *verdict, uint32_t region,
		    uint16_t allowed, struct iso_retry_step *ret_step)
{
	assert(region < ISO_VIEW_MAX);
	ret_step->go = false;
	ret_step->allowed = allowed;
	ret_step->tried = plan->tried;
	ret_step->stay = verdict->stay;
	if (verdict->retry == ISO_RETRY_NO)
		return;
	if (verdict->retry == ISO_RETRY_SAME_REGION)
		plan->bound = (uint16_t)(1u << region);
	if (plan->bound != 0)
		ret_step->allowed = (uint16_t)(allowed & plan->bound);
	if (ret_step->allowed == 0) {
		ret_step->stay = ISO_STAY_NO_REGION;
	} else if (!iso_retry_left(plan)) {
		ret_step->stay = ISO_STAY_ATTEMPTS;
	} else {
		ret_step->go = true;
		ret_step->stay = ISO_STAY_NONE;
	}
}

uint16_t iso_retry_avoid(const struct iso_retry_plan *plan, uint32_t region)
{
	uint16_t avoid = 0;

	for (uint32_t i = 0; i < plan->used; i++)
		if (plan->regions[i] == region && plan->endpoints[i] < 16)
			avoid = (uint16_t)(avoid | 1u << plan->endpoints[i]);
	return avoid;
}

uint64_t iso_retry_backoff_us(const struct iso_retry_plan *plan, uint32_t region, uint64_t retry_after_us,
			      uint32_t draw)
{
	uint64_t ceiling_us = BACKOFF_BASE_US / 2;
	uint64_t wait_us;
	bool again = false;

	for (uint32_t i = 0; i < plan->used; i++) {
		if (plan->regions[i] != region)
			continue;
		again = true;
		ceiling_us *= 2;
	}
	if (!again)
		return 0;
	if (ceiling_us > BACKOFF_CAP_US)
		ceiling_us = BACKOFF_CAP_US;
	wait_us = (uint64_t)draw * ceiling_us >> 32;
	return wait_us > retry_after_us ? wait_us : retry_after_us;
}
