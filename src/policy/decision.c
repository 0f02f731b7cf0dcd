/*
 * See decision.h.
 */
#include "iso/policy/decision.h"

static const char *const level_names[] = {
	[ISO_PICK_HELD] = "held",           [ISO_PICK_TRIAL] = "trial", [ISO_PICK_EXPLORE] = "explore",
	[ISO_PICK_GOOD] = "good",           [ISO_PICK_FULL] = "full",   [ISO_PICK_SUSPECT] = "suspect",
	[ISO_PICK_FAIL_OPEN] = "fail_open", [ISO_PICK_AGAIN] = "again", [ISO_PICK_NONE] = "none",
};

const char *iso_pick_level_name(enum iso_pick_level level)
{
	return (unsigned int)level < sizeof(level_names) / sizeof(level_names[0]) ? level_names[level] : NULL;
}

void iso_decision_write(const struct iso_decision *d, const struct iso_slice names[], struct iso_text *text)
{
	const struct iso_view *v = &d->view;

	iso_text_fmt(text, "{\"policy\":\"%s\",\"candidates\":[", iso_policy_name(d->policy));
	for (uint32_t i = 0; i < v->n; i++) {
		const struct iso_candidate *c = &v->c[i];

		iso_text_str(text, i > 0 ? ",{\"region\":" : "{\"region\":");
		iso_text_json(text, names[i]);
		iso_text_fmt(text, ",\"weight\":%u,\"cfg_weight\":%u,\"ramp\":%u,\"priority\":%u", c->weight,
			     c->cfg_weight, c->ramp, c->priority);
		iso_text_fmt(text, ",\"estimate_us\":%u", v->estimate_us[i]);
		if (v->client.keyed) /* 64 bits are more than a JSON number is sure to hold */
			iso_text_fmt(text, ",\"cost\":\"%016llx\",\"turn\":%u",
				     (unsigned long long)v->client.cost[i], v->client.turn[i]);
		if (v->client.placed)
			iso_text_fmt(text, ",\"km\":%u", v->client.km[i]);
		iso_text_str(text, "}");
	}
	iso_text_fmt(text,
		     "],\"allowed\":%u,\"up\":%u,\"suspect\":%u,\"tried\":%u,\"full\":%u,\"trial\":%u,"
		     "\"explore\":%u,\"lacking\":%u,\"wary\":%u,\"warned\":%u,\"held\":%u,"
		     "\"level\":\"%s\",\"draw\":%u,",
		     v->allowed, v->up, v->suspect, v->tried, v->full, v->trial, v->explore, v->lacking,
		     v->wary, v->warned, v->held, iso_pick_level_name(d->pick.level), d->pick.draw);
	if (v->client.keyed)
		iso_text_fmt(text, "\"home\":%u,", v->client.home);
	if (v->client.placed)
		iso_text_str(text, "\"placed\":true,");
	iso_text_str(text, "\"pick\":");
	if (d->pick.level == ISO_PICK_NONE)
		iso_text_str(text, "null}");
	else
		iso_text_fmt(text, "%u}", d->pick.index);
}

bool iso_decision_holds(const struct iso_decision *d)
{
	struct iso_pick pick;

	iso_balance_pick(d->policy, &d->view, d->pick.draw, &pick);
	return pick.level == d->pick.level && (pick.level == ISO_PICK_NONE || pick.index == d->pick.index);
}
