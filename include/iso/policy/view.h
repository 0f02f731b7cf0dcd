/*
 * What a policy may see of a service's regions: an array of facts, filled by the caller for each pick from
 * the board and the configuration. Plain integers, so that a recorded decision can be computed again.
 */
#ifndef ISO_POLICY_VIEW_H
#define ISO_POLICY_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum iso_policy {
	ISO_POLICY_LATENCY,
	ISO_POLICY_FAILOVER,
	ISO_POLICY_WEIGHTED,
	ISO_POLICY_GEO,
	ISO_POLICY_STICKY
};

enum { ISO_VIEW_MAX = 16, ISO_WEIGHT_ONE = 65536 };

enum iso_region_state {
	ISO_REGION_UNKNOWN, /* no evidence yet: eligible */
	ISO_REGION_HEALTHY,
	ISO_REGION_DEGRADED,  /* in use; suspect, ramping up or warned */
	ISO_REGION_UNHEALTHY, /* its probes fail */
	ISO_REGION_EJECTED,   /* live traffic failed */
	ISO_REGION_DRAINED,   /* by an operator */
};

/* One region. */
struct iso_candidate {
	uint32_t weight; /* published by the monitor for `latency`: ISO_WEIGHT_ONE is the best region at full
			    ramp */
	uint32_t cfg_weight; /* for `weighted` */
	uint32_t ramp;       /* 0 … ISO_WEIGHT_ONE, for `weighted`; `latency`'s weight has it inside */
	uint32_t priority;   /* for `failover`: lower first */
};

/* What `geo` and `sticky` know of the client, found once for each exchange; by region. */
struct iso_view_client {
	bool placed;   /* `geo`: km is known */
	bool keyed;    /* `sticky`: cost and turn are known */
	uint16_t home; /* `sticky`: bit of the region that the client has been promised; 0: none */
	uint16_t km[ISO_VIEW_MAX];   /* from the client */
	uint64_t cost[ISO_VIEW_MAX]; /* the lowest is the client's own region */
	uint16_t turn[ISO_VIEW_MAX]; /* a region that ramps up takes the client when its ramp is above this */
};

struct iso_view {
	uint32_t n;
	struct iso_candidate c[ISO_VIEW_MAX];
	uint32_t estimate_us[ISO_VIEW_MAX]; /* for people: what the weights were made from; 0: none yet */
	/* Bit i speaks of region i. */
	uint16_t allowed; /* by the route, not drained */
	uint16_t up;      /* healthy, degraded or unknown */
	uint16_t suspect; /* silent for too long right now */
	uint16_t tried;   /* this exchange has been there */
	uint16_t full;    /* max_in_flight reached */
	uint16_t trial;   /* this request is the region's trial: it is in, though the region is not up */
	uint16_t lacking; /* a dependency that the route requires is broken there, and not everywhere */
	uint16_t explore; /* nothing has measured it lately, and this request may be spent on that */
	uint16_t wary;    /* has just failed or is silent, and this request had better avoid it */
	uint16_t warned;  /* one that it requires is not well there: a quarter of the weight */
	uint16_t held;    /* the client has just written there, and is to see what it wrote (after_write) */
	struct iso_view_client client;
};

/* How far a pick had to go down: the first set that is not empty is used. */
enum iso_pick_level {
	ISO_PICK_HELD,    /* where the client has just written: before any trial, which another one may be */
	ISO_PICK_TRIAL,   /* the one request that decides whether a region comes back */
	ISO_PICK_EXPLORE, /* one of a few safe requests that measure what no probe has measured lately */
	ISO_PICK_GOOD,    /* allowed, up, not suspect, not tried, not full */
	ISO_PICK_FULL,    /* all of those are full: used all the same, spill has nowhere to go */
	ISO_PICK_SUSPECT, /* up, not tried */
	ISO_PICK_FAIL_OPEN, /* nothing is up: allowed, not tried */
	ISO_PICK_AGAIN,     /* only regions that were tried already are left */
	ISO_PICK_NONE,      /* no region is allowed */
};

struct iso_pick {
	uint32_t index;
	enum iso_pick_level level;
	uint16_t among; /* the set that was drawn from */
	uint32_t draw;  /* the random number given */
	uint64_t total; /* sum of the weights that were walked */
};

#endif
