/*
 * Evidence in, board out: drains what the workers saw, keeps each region's statistics, judges, and publishes
 * the board every 100 ms and at once when asked. Thread: control; nothing in here blocks.
 */
#ifndef ISO_MONITOR_PUBLISHER_H
#define ISO_MONITOR_PUBLISHER_H

#include "iso/stats/window.h"
#include "iso/telemetry/metrics.h"
#include "iso/upstream/board.h"
#include "iso/upstream/evidence.h"

struct iso_publisher;

/*
 * registry and stand are borrowed and must outlive it. dns_servers: for tests; NULL: the system's.
 * ISO_OK, ISO_ENOMEM, ISO_EDNS, ISO_EBAD.
 */
ISO_MUST_USE int iso_publisher_new(struct iso_loop *loop, struct iso_board_stand *stand,
				   struct iso_registry *registry, const char *dns_servers,
				   struct iso_publisher **ret_publisher);
void iso_publisher_free(struct iso_publisher *publisher);
/* A worker's evidence, to be read from now on; borrowed until free. ISO_OK or ISO_ELIMIT. */
ISO_MUST_USE int iso_publisher_add_worker(struct iso_publisher *publisher, struct iso_evidence *evidence);
/*
 * Likewise the control loop's own, once. It is the probes': how long one of them waits makes no region
 * suspect, since a deep health check takes the time of its slowest dependency.
 */
ISO_MUST_USE int iso_publisher_add_prober(struct iso_publisher *publisher, struct iso_evidence *evidence);
/*
 * The snapshot that counts now (bound to the registry already); takes a reference of its own. What is known
 * of a slot is kept while its identity stays. Begins to resolve and to publish. ISO_OK or ISO_ENOMEM (nothing
 * changed).
 */
ISO_MUST_USE int iso_publisher_bind(struct iso_publisher *publisher, struct iso_snapshot *snapshot);
/* Drains, judges and publishes now: urgent evidence came, a region was drained. */
void iso_publisher_run_now(struct iso_publisher *publisher);

/* Attempts in flight and connections of a slot, over all loops, also of a region that has gone. */
void iso_publisher_load(const struct iso_publisher *publisher, uint32_t slot, uint32_t *ret_in_flight,
			uint32_t *ret_connections);
/* Every region fails to connect: our own network (/readyz says 503). */
bool iso_publisher_uplink_down(const struct iso_publisher *publisher);
/* No region of the service (index in the bound snapshot) is up: everything that is not drained is used. */
bool iso_publisher_fails_open(const struct iso_publisher *publisher, uint32_t service);
/* The snapshot that is bound; NULL before the first. Borrowed until the next bind. */
const struct iso_snapshot *iso_publisher_snapshot(const struct iso_publisher *publisher);

struct iso_probe_report {
	uint64_t at_us;                               /* when it ended, loop time; 0: there was none yet */
	uint32_t dns_us, connect_us, tls_us, ttfb_us; /* 0: it needed none, or an earlier one did */
	uint16_t status;                              /* 0: no answer came */
	bool passed;
	const char *words; /* static */
	uint64_t passes, failures, ignored;
};

enum { ISO_DEPENDENCIES_SHOWN = 32, ISO_DEPENDENCY_NAME = 64 };

/* What a health answer says of one dependency. */
struct iso_dependency {
	char name[ISO_DEPENDENCY_NAME], id[ISO_DEPENDENCY_NAME]; /* id: its componentId, or "" */
	enum iso_dependency_state state;
	uint32_t observed_us; /* 0: it does not say */
};

struct iso_region_report {
	enum iso_region_state state;
	bool up, suspect;
	double share; /* 0 … 1 of new requests, by the service's policy, as a pick over the last board would
		       */
	uint32_t estimate_us; /* 0: unknown */
	uint32_t rtt_us;      /* of the network alone; 0: unknown */
	/* Of the last minute: of live answers to the head and whole, of connections. */
	struct iso_window_sums ttfb, total, connect, tls;
	uint64_t limit_milli; /* requests a second that it takes, thousandths, learnt from 429s; 0: unknown */
	uint32_t in_flight, connections;      /* over all workers */
	uint64_t outcomes[ISO_OUTCOME_COUNT]; /* live attempts since the slot was taken */
	const char *words;                    /* why it is out, or in doubt; static; NULL: all is well */
	uint64_t ejected_until_us;            /* 0: not ejected */
	const char *dns_words;                /* why its name did not resolve last time; NULL */
	struct iso_probe_report probe;
	const char *health_words; /* why its health answer could not be read; NULL */
	uint32_t dependency_count;
	struct iso_dependency dependencies[ISO_DEPENDENCIES_SHOWN];
	uint32_t endpoint_count;
	struct iso_board_endpoint endpoints[ISO_ENDPOINTS_MAX];
	const char *endpoint_words[ISO_ENDPOINTS_MAX]; /* why one is out; static; NULL: it is not */
};

/* False when the bound snapshot has no region in that slot (nothing is filled in). */
bool iso_publisher_region(const struct iso_publisher *publisher, uint32_t slot,
			  struct iso_region_report *ret_report);
/* A route that is measured by itself, in one region. */
struct iso_lane_report {
	bool own;     /* it was answered there; else its estimate is what the region's leads to expect */
	double share; /* 0 … 1 of its next requests */
	uint32_t estimate_us;               /* 0: unknown */
	struct iso_window_sums ttfb, total; /* of its answers of the last minute: to the head; whole */
};

/* By the regions of its service. */
struct iso_track_report {
	uint32_t lane_count;
	struct iso_lane_report lanes[ISO_SERVICE_REGIONS_MAX];
};

/* False when that route of the bound snapshot is not measured by itself (nothing is filled in). */
bool iso_publisher_track(const struct iso_publisher *publisher, const struct iso_cfg_route *route,
			 struct iso_track_report *ret_report);
/*
 * What a pick for a new request by that route of the bound snapshot would see now: `explore` as a safe one
 * has it, `wary` as one that must not run twice. path: normalised.
 */
void iso_publisher_view(const struct iso_publisher *publisher, const struct iso_cfg_route *route,
			struct iso_slice path, struct iso_view *ret_view);
/* "pass", "warn" or "fail". */
const char *iso_dependency_state_text(enum iso_dependency_state state);
/* "healthy" and so on, as GET /status names it; "unknown" for a number that is none. */
const char *iso_region_state_text(enum iso_region_state state);

/* The rest is for the prober. */

struct iso_publisher_hook {
	/* A region has come into doubt: probe it now. Called at the end of a run. */
	void (*doubt)(void *arg, uint32_t slot);
	void *arg;
};

/* Probes are counted in the control thread's metrics (borrowed) from now on. */
void iso_publisher_count_in(struct iso_publisher *publisher, struct iso_metrics *metrics);
void iso_publisher_set_hook(struct iso_publisher *publisher, const struct iso_publisher_hook *hook);
/* A probe ended. words: static, NULL when it passed. Publishes at once when the region's state may have
 * changed. */
void iso_publisher_probe(struct iso_publisher *publisher, const struct iso_sample *sample, bool passed,
			 const char *words);
/* A probe of one address alone, sample->endpoint: the region is not judged by it. */
void iso_publisher_endpoint_probe(struct iso_publisher *publisher, const struct iso_sample *sample,
				  bool passed);
/* The address that is to be probed by itself now, because traffic does not measure it; -1: none. */
int iso_publisher_endpoint_wanting(struct iso_publisher *publisher, uint32_t slot);
/* The address for the region's own probe while others fail theirs; -1: any. */
int iso_publisher_endpoint_sound(const struct iso_publisher *publisher, uint32_t slot);
struct iso_health_report;

/* What the body of a probe's answer said of the region's dependencies; copied. Publishes when it is news. */
void iso_publisher_health(struct iso_publisher *publisher, uint32_t slot,
			  const struct iso_health_report *report);
/* A probe that says nothing because this machine itself lagged. */
void iso_publisher_probe_ignored(struct iso_publisher *publisher, uint32_t slot);

enum iso_slot_names {
	ISO_SLOT_WAITS,    /* no address yet, and no failure */
	ISO_SLOT_NAMELESS, /* no address, and resolving failed */
	ISO_SLOT_RESOLVED,
};

enum iso_slot_names iso_publisher_names(const struct iso_publisher *publisher, uint32_t slot);
/* Microseconds from one probe of the slot to the next, by its state and `draw` (a uniform 32-bit number). */
uint64_t iso_publisher_probe_wait_us(const struct iso_publisher *publisher, uint32_t slot,
				     uint64_t interval_us, uint32_t draw);
/* A probe that takes longer than this is slow, by what is known of the slot. */
uint64_t iso_publisher_patience_us(const struct iso_publisher *publisher, uint32_t slot);

#endif
