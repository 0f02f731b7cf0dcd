/*
 * A decision as it is written down, and computed again from what was written: everything that a pick looked
 * at, and what came out. Pure.
 */
#ifndef ISO_POLICY_DECISION_H
#define ISO_POLICY_DECISION_H

#include "iso/base/text.h"
#include "iso/policy/balance.h"

enum { ISO_DECISION_MAX = 4352 }; /* bytes of the longest, with names of 64 bytes */

struct iso_decision {
	enum iso_policy policy;
	struct iso_view view;
	struct iso_pick pick;
};

/* One JSON object, as the access log and GET /explain carry it; names[i]: of region i. */
void iso_decision_write(const struct iso_decision *decision, const struct iso_slice names[],
			struct iso_text *text);
/* Whether the same facts and the same draw give the same pick. */
bool iso_decision_holds(const struct iso_decision *decision);
/* "held", "trial", "explore", "good", "full", "suspect", "fail_open", "again", "none"; NULL for a number that
 * is none. */
const char *iso_pick_level_name(enum iso_pick_level level);

#endif
