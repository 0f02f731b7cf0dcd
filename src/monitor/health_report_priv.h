/*
 * What a region's health endpoint says of the dependencies that it has pinged: `application/health+json`
 * (draft-inadarei-api-health-check-06), the nested form of common frameworks, or a plain map of names to
 * words. Pure.
 */
#ifndef ISO_MONITOR_HEALTH_REPORT_PRIV_H
#define ISO_MONITOR_HEALTH_REPORT_PRIV_H

#include "iso/monitor/publisher.h"

enum { ISO_HEALTH_BODY_MAX = 64 * 1024 };

/* What a check's `time` is compared with. */
struct iso_health_clock {
	uint64_t wall_us;    /* now, since 1970; 0: times are not looked at */
	uint64_t max_age_us; /* a check that was made longer ago says nothing */
};

struct iso_health_report {
	struct iso_health_clock clock;   /* that it was read by */
	enum iso_dependency_state state; /* of the whole, as it says itself */
	uint32_t n;
	struct iso_dependency v[ISO_DEPENDENCIES_SHOWN];
	uint32_t affected_count;
	struct {
		char path[ISO_AFFECTED_PATH];
		enum iso_dependency_state state;
	} affected[ISO_AFFECTED_MAX];
	bool stale;        /* some check says by its `time` that it is too old to count; it was left out */
	const char *error; /* static: why the body, or a stale check, says nothing; NULL: all does */
};

/* Whether a body of that type (a Content-Type's value) is to be read. */
bool iso_health_is_json(struct iso_slice content_type);
/* Always fills *ret_report. What comes more than once under one name and componentId has its worst state. */
void iso_health_parse(struct iso_slice body, struct iso_health_clock clock,
		      struct iso_health_report *ret_report);
/* Whether a route that requires `name` means this one: by its key, or by its componentId. */
bool iso_health_is_named(const struct iso_dependency *d, struct iso_slice name);
/* The worst state of the dependencies that have this name, PASS when the report does not name it. */
enum iso_dependency_state iso_health_state_of(const struct iso_health_report *report, struct iso_slice name);

#endif
