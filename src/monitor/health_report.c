/*
 * See health_report_priv.h.
 */
#include "health_report_priv.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* Lists of checks: the draft's, Spring's, and what many write themselves. */
static const char *const lists[] = { "checks", "components", "dependencies", "details" };

static const struct {
	const char *word;
	enum iso_dependency_state state;
} state_words[] = {
	{ "pass", ISO_DEPENDENCY_PASS },     { "ok", ISO_DEPENDENCY_PASS },
	{ "up", ISO_DEPENDENCY_PASS },       { "healthy", ISO_DEPENDENCY_PASS },
	{ "warn", ISO_DEPENDENCY_WARN },     { "warning", ISO_DEPENDENCY_WARN },
	{ "degraded", ISO_DEPENDENCY_WARN }, { "fail", ISO_DEPENDENCY_FAIL },
	{ "failed", ISO_DEPENDENCY_FAIL },   { "error", ISO_DEPENDENCY_FAIL },
	{ "down", ISO_DEPENDENCY_FAIL },     { "unhealthy", ISO_DEPENDENCY_FAIL },
};

/* False: the value says no state. */
static bool state_of_value(const json_t *value, enum iso_dependency_state *ret_state)
{
	struct iso_slice word;

	if (json_is_boolean(value)) {
		*ret_state = json_is_true(value) ? ISO_DEPENDENCY_PASS : ISO_DEPENDENCY_FAIL;
		return true;
	}
	if (!json_is_string(value))
		return false;
	word = iso_slice_str(json_string_value(value));
	for (size_t i = 0; i < sizeof(state_words) / sizeof(state_words[0]); i++) {
		if (!iso_slice_eq_nocase(word, iso_slice_str(state_words[i].word)))
			continue;
		*ret_state = state_words[i].state;
		return true;
	}
	return false;
}

/* The time that a check took, when it says so in a unit of time; else 0. */
static uint32_t observed_us(const json_t *check)
{
	const char *unit = json_string_value(json_object_get(check, "observedUnit"));
	const json_t *value = json_object_get(check, "observedValue");
	double factor = 0, us;

	if (unit == NULL || !json_is_number(value))
		return 0;
	if (strcmp(unit, "ms") == 0)
		factor = 1000;
	else if (strcmp(unit, "us") == 0)
		factor = 1;
	else if (strcmp(unit, "s") == 0)
		factor = 1e6;
	us = json_number_value(value) * factor;
	return isfinite(us) && us > 0 && us < UINT32_MAX ? (uint32_t)us : 0;
}

static void copy_name(char to[ISO_DEPENDENCY_NAME], struct iso_slice name)
{
	size_t n = name.len < ISO_DEPENDENCY_NAME ? name.len : ISO_DEPENDENCY_NAME - 1;

	memcpy(to, name.ptr, n);
	to[n] = '\0';
}

/* Beyond what is kept, a failure takes the place of one that is well: it must not be hidden. */
static struct iso_dependency *place(struct iso_health_report *report, enum iso_dependency_state state)
{
	if (report->n < ISO_DEPENDENCIES_SHOWN)
		return &report->v[report->n++];
	for (uint32_t i = 0; i < report->n; i++)
		if (report->v[i].state < state)
			return &report->v[i];
	return NULL;
}

static void add(struct iso_health_report *report, struct iso_slice name, struct iso_slice id,
		enum iso_dependency_state state, uint32_t us)
{
	struct iso_dependency new = { .state = state, .observed_us = us }, *d = NULL;

	copy_name(new.name, name);
	copy_name(new.id, id);
	for (uint32_t i = 0; i < report->n && d == NULL; i++)
		if (strcmp(report->v[i].name, new.name) == 0 && strcmp(report->v[i].id, new.id) == 0)
			d = &report->v[i];
	if (d == NULL) {
		d = place(report, state);
		if (d != NULL)
			*d = new;
		return;
	}
	if (state > d->state)
		d->state = state;
	if (us > d->observed_us)
		d->observed_us = us;
}

/* An absolute URI counts by its path. */
static struct iso_slice path_of(struct iso_slice uri)
{
	const char *scheme = uri.len > 0 && uri.ptr[0] != '/' ? memmem(uri.ptr, uri.len, "://", 3) : NULL;
	size_t at;

	if (scheme == NULL)
		return uri;
	at = (size_t)(scheme - uri.ptr) + 3;
	uri = iso_slice(uri.ptr + at, uri.len - at);
	at = iso_slice_find(uri, '/');
	return iso_slice(uri.ptr + at, uri.len - at);
}

static void add_affected(struct iso_health_report *report, const json_t *list,
			 enum iso_dependency_state state)
{
	const json_t *item;
	size_t i;

	if (state == ISO_DEPENDENCY_PASS)
		return;
	json_array_foreach(list, i, item)
	{
		struct iso_slice path =
			path_of(iso_slice_str(json_is_string(item) ? json_string_value(item) : ""));

		path.len = iso_slice_find(path, '?');
		if (path.len == 0 || path.ptr[0] != '/' || path.len >= ISO_AFFECTED_PATH ||
		    report->affected_count == ISO_AFFECTED_MAX)
			continue;
		memcpy(report->affected[report->affected_count].path, path.ptr, path.len);
		report->affected[report->affected_count].path[path.len] = '\0';
		report->affected[report->affected_count++].state = state;
	}
}

/* Two digits, or four. -1: they are none. */
static int digits(const char *text, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

/* Seconds of an offset "Z" or "+hh:mm"; false: it is none. */
static bool read_offset(const char *text, int64_t *ret_s)
{
	if ((text[0] == 'Z' || text[0] == 'z') && text[1] == '\0') {
		*ret_s = 0;
		return true;
	}
	if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || text[3] != ':' ||
	    digits(text + 1, 2) < 0 || digits(text + 4, 2) < 0)
		return false;
	*ret_s = (digits(text + 1, 2) * 60 + digits(text + 4, 2)) * 60 * (text[0] == '-' ? -1 : 1);
	return true;
}

/* RFC 3339, seconds since 1970; false: it is no time of our era. */
static bool read_time(const char *text, int64_t *ret_s)
{
	struct tm tm = { 0 };
	int64_t offset_s;

	if (strlen(text) < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') ||
	    text[13] != ':' || text[16] != ':')
		return false;
	tm.tm_year = digits(text, 4) - 1900;
	tm.tm_mon = digits(text + 5, 2) - 1;
	tm.tm_mday = digits(text + 8, 2);
	tm.tm_hour = digits(text + 11, 2);
	tm.tm_min = digits(text + 14, 2);
	tm.tm_sec = digits(text + 17, 2);
	if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
	    tm.tm_sec > 60)
		return false;
	text += 19;
	if (*text == '.')
		text += 1 + strspn(text + 1, "0123456789");
	if (!read_offset(text, &offset_s))
		return false;
	*ret_s = (int64_t)timegm(&tm) - offset_s;
	return true;
}

/* By its `time`. One that cannot be read is none, and a clock that is ahead of ours is no reason to doubt. */
static bool is_stale(const json_t *check, struct iso_health_clock clock)
{
	const char *text = json_string_value(json_object_get(check, "time"));
	int64_t at_s, oldest_s = (int64_t)((clock.wall_us - clock.max_age_us) / 1000000);

	return clock.wall_us > clock.max_age_us && text != NULL && read_time(text, &at_s) && at_s < oldest_s;
}

/* One check. False: it says no state. One that is stale says nothing at all, good or bad. */
static bool add_check(struct iso_health_report *report, struct iso_slice name, const json_t *check)
{
	const char *id = json_string_value(json_object_get(check, "componentId"));
	enum iso_dependency_state state;

	if (!state_of_value(json_is_object(check) ? json_object_get(check, "status") : check, &state))
		return false;
	if (is_stale(check, report->clock)) {
		report->stale = true;
		return true;
	}
	add(report, name, iso_slice_str(id != NULL ? id : ""), state, observed_us(check));
	add_affected(report, json_object_get(check, "affectedEndpoints"), state);
	return true;
}

/* "name:measurement" is the draft's form of a key. */
static void add_checks(struct iso_health_report *report, json_t *checks)
{
	const char *key;
	json_t *value, *item;
	size_t i;

	json_object_foreach(checks, key, value)
	{
		struct iso_slice name = iso_slice_str(key);

		name.len = iso_slice_find(name, ':');
		if (!json_is_array(value)) {
			(void)add_check(report, name, value);
			continue;
		}
		json_array_foreach(value, i, item)(void) add_check(report, name, item);
	}
}

bool iso_health_is_json(struct iso_slice type)
{
	type.len = iso_slice_find(type, ';');
	while (type.len > 0 && (type.ptr[type.len - 1] == ' ' || type.ptr[type.len - 1] == '\t'))
		type.len--;
	return iso_slice_eq_nocase(type, ISO_SLICE("application/json")) ||
	       iso_slice_eq_nocase(type, ISO_SLICE("text/json")) ||
	       (type.len > 5 &&
		iso_slice_eq_nocase(iso_slice(type.ptr + type.len - 5, 5), ISO_SLICE("+json")));
}

static void read_root(struct iso_health_report *report, json_t *root)
{
	bool listed = false, named = false;
	const char *key;
	json_t *value;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		value = json_object_get(root, lists[i]);
		listed |= json_is_object(value);
		add_checks(report, value);
	}
	named = state_of_value(json_object_get(root, "status"), &report->state);
	if (!listed) {
		json_object_foreach(root, key, value) if (strcmp(key, "status") != 0)(void)
			add_check(report, iso_slice_str(key), value);
	}
	/* A map that says nothing of the whole: its status code does. */
	for (uint32_t i = 0; i < report->n && !named; i++)
		if (report->v[i].state != ISO_DEPENDENCY_PASS)
			report->state = ISO_DEPENDENCY_WARN;
	if (!named && report->n == 0)
		report->error = "its health answer names no status and no dependency";
}

void iso_health_parse(struct iso_slice body, struct iso_health_clock clock,
		      struct iso_health_report *ret_report)
{
	json_error_t error;
	json_t *root;

	memset(ret_report, 0, sizeof(*ret_report));
	ret_report->clock = clock;
	/* jansson stops at a depth of 2,048; what is left of a larger body is not read at all. */
	root = json_loadb(body.ptr != NULL ? body.ptr : "", body.len, 0, &error);
	if (root == NULL)
		ret_report->error = "its health answer is no valid JSON";
	else if (!json_is_object(root))
		ret_report->error = "its health answer is JSON, but no object";
	else
		read_root(ret_report, root);
	if (ret_report->stale && ret_report->error == NULL)
		ret_report->error = "a check in its health answer is old by its time: it does not count";
	json_decref(root);
}

bool iso_health_is_named(const struct iso_dependency *d, struct iso_slice name)
{
	return iso_slice_eq(iso_slice(d->name, strnlen(d->name, sizeof(d->name))), name) ||
	       iso_slice_eq(iso_slice(d->id, strnlen(d->id, sizeof(d->id))), name);
}

enum iso_dependency_state iso_health_state_of(const struct iso_health_report *report, struct iso_slice name)
{
	enum iso_dependency_state worst = ISO_DEPENDENCY_PASS;

	for (uint32_t i = 0; i < report->n; i++)
		if (report->v[i].state > worst && iso_health_is_named(&report->v[i], name))
			worst = report->v[i].state;
	return worst;
}
