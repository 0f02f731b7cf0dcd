/*
 * Deep health: what a route requires, what a region lacks, and which paths its broken dependencies touch. A
 * dependency that is broken everywhere moves nothing: there is no better place. Pure.
 */
#ifndef ISO_POLICY_REQUIREMENT_H
#define ISO_POLICY_REQUIREMENT_H

#include "iso/base/slice.h"
#include "iso/policy/view.h"

enum {
	ISO_DEPENDENCIES_MAX = 63, /* that the routes of one service require; one bit each */
	ISO_AFFECTED_MAX = 16,     /* paths of one region */
	ISO_AFFECTED_PATH = 128,
};

enum iso_dependency_state { ISO_DEPENDENCY_PASS, ISO_DEPENDENCY_WARN, ISO_DEPENDENCY_FAIL };

/* The bit that stands for "a broken dependency affects this request's path". */
#define ISO_DEPENDENCY_OF_PATH (UINT64_C(1) << ISO_DEPENDENCIES_MAX)

/* Paths that the broken dependencies of a region affect ("affectedEndpoints" of the health draft). */
struct iso_affected {
	uint32_t refs; /* of boards and the monitor; control's */
	uint32_t n;
	struct {
		char path[ISO_AFFECTED_PATH]; /* "/orders/{id}", "/orders" followed by "/" and "*" */
		enum iso_dependency_state state;
	} v[ISO_AFFECTED_MAX];
};

/*
 * The worst state of those that the path (without the region's base path, its query is ignored) falls under.
 * A pattern matches by segments: {name} is any one, a star at the end all that follow; a trailing slash says
 * nothing.
 */
enum iso_dependency_state iso_affected_state(const struct iso_affected *affected, struct iso_slice path);

/*
 * Which of the n regions lack something that is required: broken[i] are the dependencies that are broken in
 * region i, `among` the regions that could take the request. What is broken in all of those does not count,
 * and when no region of `among` has everything, none lacks anything.
 */
uint16_t iso_requirement_lacking(const uint64_t broken[], uint32_t n, uint16_t among, uint64_t requires);

#endif
