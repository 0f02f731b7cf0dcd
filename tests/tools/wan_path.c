/* What a path does to a packet. Time is an argument and chance comes from the path's own generator. */
#include "wan_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double ms_max = 60000, mbit_max = 100000;

/* splitmix64: one addition and three mixing steps; 0 to 1, without 1. */
static double draw(struct path *path)
{
	uint64_t x = path->random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (double)((x ^ x >> 31) >> 11) / 9007199254740992.0;
}

void path_seed(struct path *path, uint64_t seed)
{
	path->random = seed;
	path->random = (uint64_t)(draw(path) * 9007199254740992.0); /* neighbours' seeds must not overlap */
}

static bool parse(struct wan *wan, const char *setting, double max, double *ret_value)
{
	const char *text = strchr(setting, '=') + 1;
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= 0 && value <= max))
		return wan_fail(wan, "%s: a number from 0 to %g was expected", setting, max);
	*ret_value = value;
	return true;
}

bool path_set(struct wan *wan, struct path *path, const char *setting)
{
	static const char *const keys[] = { "delay=", "jitter=", "queue=", "loss=", "rate=" };
	enum { DELAY, JITTER, QUEUE, LOSS, RATE, KEYS } key = 0;
	double value = 0;

	while (key < KEYS && strncmp(setting, keys[key], strlen(keys[key])) != 0)
		key++;
	if (key == KEYS)
		return wan_fail(wan, "%s: known are delay, jitter, queue (ms), loss (%%), rate (Mbit/s)",
				setting);
	if (!parse(wan, setting, key == LOSS ? 100 : key == RATE ? mbit_max : ms_max, &value))
		return false;
	switch (key) {
	case DELAY:
		path->delay_ns = (uint64_t)llround(value * 1e6);
		break;
	case JITTER:
		path->jitter_ns = (uint64_t)llround(value * 1e6);
		break;
	case QUEUE:
		path->queue_ns = (uint64_t)llround(value * 1e6);
		break;
	case LOSS:
		path->loss = value / 100;
		break;
	default:
		path->bits_per_ns = value / 1000;
		break;
	}
	return true;
}

enum verdict path_take(struct path *path, size_t len, uint64_t now_ns, uint64_t *ret_due_ns)
{
	/* Both are drawn for each packet: a change of one setting leaves the other's pattern as it was. */
	bool lost = draw(path) < path->loss;
	double swing = (2 * draw(path) - 1) * (double)path->jitter_ns, takes = (double)path->delay_ns + swing;
	uint64_t due_ns = now_ns;

	if (path->bits_per_ns > 0) {
		if (path->free_ns > now_ns + path->queue_ns)
			return PATH_IS_FULL;
		if (path->free_ns > now_ns)
			due_ns = path->free_ns;
		due_ns += (uint64_t)((double)len * 8 / path->bits_per_ns);
		path->free_ns = due_ns;
	}
	if (lost)
		return PATH_LOSES;
	if (takes > 0)
		due_ns += (uint64_t)takes;
	if (due_ns < path->last_ns)
		due_ns = path->last_ns;
	path->last_ns = *ret_due_ns = due_ns;
	return PATH_FORWARDS;
}
