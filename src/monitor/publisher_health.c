/*
 * Deep health on its way from a probe to the board. Thread: control.
 */
#include <stdlib.h>

#include "publisher_priv.h"

struct meaning {
	uint64_t broken, uneasy;
	bool affected, warned;
};

static void drop_affected(struct iso_publisher_slot *slot)
{
	if (slot->affected != NULL && --slot->affected->refs == 0)
		free(slot->affected);
	slot->affected = NULL;
}

/* Without memory the paths are left out: requests go on as if nothing were affected. */
static void make_affected(struct iso_publisher_slot *slot)
{
	const struct iso_health_report *report = &slot->health;

	drop_affected(slot);
	if (report->affected_count == 0 || !slot->service->health.use_affected_endpoints)
		return;
	slot->affected = calloc(1, sizeof(*slot->affected));
	if (slot->affected == NULL)
		return;
	slot->affected->refs = 1;
	slot->affected->n = report->affected_count;
	for (uint32_t i = 0; i < report->affected_count; i++) {
		memcpy(slot->affected->v[i].path, report->affected[i].path, ISO_AFFECTED_PATH);
		slot->affected->v[i].state = report->affected[i].state;
	}
}

void iso_publisher_match_health(struct iso_publisher_slot *slot)
{
	const struct iso_cfg_service *service = slot->service;

	slot->broken = slot->uneasy = 0;
	for (uint32_t i = 0; i < service->dependency_count; i++) {
		enum iso_dependency_state state = iso_health_state_of(&slot->health,
								      service->dependencies[i]);

		if (state == ISO_DEPENDENCY_FAIL)
			slot->broken |= UINT64_C(1) << i;
		else if (state == ISO_DEPENDENCY_WARN)
			slot->uneasy |= UINT64_C(1) << i;
	}
	/* Where routes say what they require, a warning is theirs alone. */
	slot->warned = slot->health.state == ISO_DEPENDENCY_WARN && service->dependency_count == 0 &&
		       !service->health.use_affected_endpoints;
	make_affected(slot);
}

void iso_publisher_forget_health(struct iso_publisher_slot *slot)
{
	drop_affected(slot);
	memset(&slot->health, 0, sizeof(slot->health));
	slot->broken = slot->uneasy = 0;
	slot->warned = false;
}

void iso_publisher_health(struct iso_publisher *pub, uint32_t index, const struct iso_health_report *report)
{
	struct iso_publisher_slot *slot;
	struct meaning before;

	if (index >= ISO_REGION_SLOTS || pub->slots[index].service == NULL)
		return;
	slot = &pub->slots[index];
	before = (struct meaning){ slot->broken, slot->uneasy, slot->affected != NULL, slot->warned };
	slot->health = *report;
	iso_publisher_match_health(slot);
	/* The same as before is the rule, and can wait for the next round. */
	if (before.broken != slot->broken || before.uneasy != slot->uneasy || before.warned != slot->warned ||
	    before.affected || slot->affected != NULL)
		iso_publisher_run_now(pub);
}
