/*
 * See recompute.h.
 */
#include "recompute.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "iso/policy/decision.h"

struct tally {
	uint64_t line, decisions, bad;
};

/* A number of the record; false, and *ok is cleared, when it is none that fits. */
static uint32_t number(const json_t *object, const char *key, bool *ok)
{
	const json_t *value = json_object_get(object, key);
	json_int_t n = json_integer_value(value);

	if (json_is_integer(value) && n >= 0 && n <= UINT32_MAX)
		return (uint32_t)n;
	*ok = false;
	return 0;
}

static uint16_t mask(const json_t *object, const char *key, bool *ok)
{
	uint32_t n = number(object, key, ok);

	if (n > UINT16_MAX)
		*ok = false;
	return (uint16_t)n;
}

static bool read_policy(const json_t *object, enum iso_policy *ret_policy)
{
	const char *text = json_string_value(json_object_get(object, "policy"));

	for (unsigned int i = 0; iso_policy_name((enum iso_policy)i) != NULL; i++) {
		if (text == NULL || strcmp(text, iso_policy_name((enum iso_policy)i)) != 0)
			continue;
		*ret_policy = (enum iso_policy)i;
		return true;
	}
	return false;
}

static bool read_pick(const json_t *object, struct iso_pick *ret_pick, uint32_t n, bool *ok)
{
	const char *text = json_string_value(json_object_get(object, "level"));

	ret_pick->draw = number(object, "draw", ok);
	for (unsigned int i = 0; text != NULL && iso_pick_level_name((enum iso_pick_level)i) != NULL; i++) {
		if (strcmp(text, iso_pick_level_name((enum iso_pick_level)i)) != 0)
			continue;
		ret_pick->level = (enum iso_pick_level)i;
		ret_pick->index = i == ISO_PICK_NONE ? 0 : number(object, "pick", ok);
		return *ok && ret_pick->index < n;
	}
	return false;
}

/* What is known of the client: the keys are there when it had one. */
static void read_client(const json_t *object, const json_t *candidates, struct iso_view_client *client,
			bool *ok)
{
	const json_t *item;
	size_t i;

	client->placed = json_is_true(json_object_get(object, "placed"));
	client->keyed = json_object_get(object, "home") != NULL;
	if (client->keyed)
		client->home = mask(object, "home", ok);
	json_array_foreach(candidates, i, item)
	{
		const char *cost = json_string_value(json_object_get(item, "cost"));

		if (client->placed)
			client->km[i] = mask(item, "km", ok);
		if (!client->keyed)
			continue;
		client->turn[i] = mask(item, "turn", ok);
		if (cost == NULL || strlen(cost) != 16)
			*ok = false;
		else
			client->cost[i] = strtoull(cost, NULL, 16);
	}
}

static bool read_decision(const json_t *object, struct iso_decision *ret_decision)
{
	const json_t *candidates = json_object_get(object, "candidates"), *item;
	struct iso_view *v = &ret_decision->view;
	bool ok = true;
	size_t i;

	memset(ret_decision, 0, sizeof(*ret_decision));
	if (!json_is_array(candidates) || json_array_size(candidates) == 0 ||
	    json_array_size(candidates) > ISO_VIEW_MAX || !read_policy(object, &ret_decision->policy))
		return false;
	v->n = (uint32_t)json_array_size(candidates);
	json_array_foreach(candidates, i, item)
	{
		v->c[i] = (struct iso_candidate){
			.weight = number(item, "weight", &ok),
			.cfg_weight = number(item, "cfg_weight", &ok),
			.ramp = number(item, "ramp", &ok),
			.priority = number(item, "priority", &ok),
		};
		v->estimate_us[i] = number(item, "estimate_us", &ok);
	}
	read_client(object, candidates, &v->client, &ok);
	v->allowed = mask(object, "allowed", &ok);
	v->up = mask(object, "up", &ok);
	v->suspect = mask(object, "suspect", &ok);
	v->tried = mask(object, "tried", &ok);
	v->full = mask(object, "full", &ok);
	v->trial = mask(object, "trial", &ok);
	v->explore = mask(object, "explore", &ok);
	v->lacking = mask(object, "lacking", &ok);
	v->wary = mask(object, "wary", &ok);
	v->warned = mask(object, "warned", &ok);
	v->held = mask(object, "held", &ok);
	return read_pick(object, &ret_decision->pick, v->n, &ok) && ok;
}

static void check_decision(const json_t *object, struct tally *tally)
{
	struct iso_decision decision;

	tally->decisions++;
	if (!read_decision(object, &decision)) {
		printf("line %llu: the decision is not well formed\n", (unsigned long long)tally->line);
		tally->bad++;
	} else if (!iso_decision_holds(&decision)) {
		printf("line %llu: computed again, the decision comes out differently\n",
		       (unsigned long long)tally->line);
		tally->bad++;
	}
}

static void check_line(const char *line, size_t len, struct tally *tally)
{
	json_t *root = json_loadb(line, len, 0, NULL);
	const json_t *object = json_object_get(root, "decision"), *item;
	size_t i;

	tally->line++;
	if (root == NULL && len > 1) {
		printf("line %llu: no JSON\n", (unsigned long long)tally->line);
		tally->bad++;
	}
	if (object != NULL)
		check_decision(object, tally);
	json_array_foreach(json_object_get(root, "earlier_decisions"), i, item) check_decision(item, tally);
	json_decref(root);
}

int recompute_log(const char *path)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct tally tally = { 0, 0, 0 };
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	if (in == NULL) {
		fprintf(stderr, "isochrone explain: %s: %s\n", path, strerror(errno));
		return EXIT_FAILED;
	}
	while ((len = getline(&line, &cap, in)) > 0)
		check_line(line, (size_t)len, &tally);
	free(line);
	if (in != stdin)
		fclose(in);
	printf("%llu decisions in %llu lines, %llu wrong\n", (unsigned long long)tally.decisions,
	       (unsigned long long)tally.line, (unsigned long long)tally.bad);
	if (tally.decisions == 0)
		fprintf(stderr, "isochrone explain: the log holds no decision: set access_log.decisions\n");
	return tally.decisions > 0 && tally.bad == 0 ? EXIT_OK : EXIT_FAILED;
}
