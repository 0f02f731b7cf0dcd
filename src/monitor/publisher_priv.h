/*
 * The publisher's inside, shared by its files.
 */
#ifndef ISO_MONITOR_PUBLISHER_PRIV_H
#define ISO_MONITOR_PUBLISHER_PRIV_H

#include "endpoints_priv.h"
#include "health_report_priv.h"
#include "iso/monitor/publisher.h"
#include "region_stats_priv.h"

/* What a region gets, for the shares that are told. */
struct iso_publisher_traffic {
	uint64_t begun; /* tries, when it was looked at last */
	double recent;  /* the same, weighed down by a factor e each second */
	uint64_t at_us; /* when it was looked at last; 0: never */
};

struct iso_publisher_slot {
	struct iso_region_stats stats;
	struct iso_region_facts facts; /* as published last */
	struct iso_board_region board; /* its endpoints, as published last */
	struct iso_publisher_traffic traffic;
	struct iso_endpoint_stats *left; /* of the process before; NULL: nothing. `stats` looks at it */
	struct iso_track_stats *tracks[ISO_TRACK_SLOTS]; /* of routes there; each may be NULL */
	char *identity;                                  /* of what the statistics speak */
	const struct iso_cfg_service *service; /* of the bound snapshot; NULL: it names no region here */
	uint32_t region;                       /* index in the service */
	struct iso_health_report health;       /* what its health answer said last */
	struct iso_affected *affected;         /* from it; one reference. NULL: none */
	uint64_t broken, uneasy;               /* from it: bits of the service's dependencies */
	uint64_t bound_us;                     /* since when the statistics speak of it */
	uint64_t hedge_at_us;                  /* when hedge_us was last looked up */
	uint32_t hedge_us;
	uint64_t failed_us; /* of the workers' cells, the last one */
	bool warned;
	bool doubted;
};

/* A route that is measured by itself; its numbers in a region hang on the region's slot. */
struct iso_publisher_track {
	char *identity;                  /* of what they speak; NULL: nothing is kept */
	const struct iso_cfg_track *cfg; /* of the bound snapshot; NULL: it has none here */
	struct iso_board_track board;    /* as published last */
};

struct iso_publisher {
	struct iso_loop *loop;
	struct iso_board_stand *stand;
	struct iso_registry *registry;
	struct iso_endpoints *endpoints;
	struct iso_snapshot *snapshot;
	struct iso_timer timer;
	struct iso_publisher_hook hook;
	struct iso_metrics *metrics; /* where probes are counted; NULL: nowhere */
	struct iso_evidence *workers[ISO_WORKERS_MAX];
	struct iso_evidence *probes; /* among the workers', the control loop's own; NULL: none */
	uint32_t worker_count;
	bool uplink_down;
	struct iso_publisher_slot slots[ISO_REGION_SLOTS];
	struct iso_publisher_track tracks[ISO_TRACK_SLOTS]; /* by number, from 1 */
};

/* publisher_health.c: what a health answer means to the routes of the slot's service. */
void iso_publisher_match_health(struct iso_publisher_slot *slot);
void iso_publisher_forget_health(struct iso_publisher_slot *slot);
/* publisher_shares.c: looks at the slot's traffic, with each board; to[i]: what its service's region i gets.
 */
void iso_publisher_look(struct iso_publisher *pub, uint32_t slot);
void iso_publisher_shares(const struct iso_publisher *pub, const struct iso_cfg_service *service,
			  const struct iso_view *view, uint32_t ret_shares[ISO_VIEW_MAX]);
/* It takes no more right now: max_in_flight, or the limit that was learnt. */
bool iso_publisher_is_full(const struct iso_publisher *pub, const struct iso_cfg_region *region);
/*
 * publisher_tracks.c. Binding: first what the snapshot's tracks need is made (ISO_OK or ISO_ENOMEM), what has
 * become another's goes; then they are named.
 */
ISO_MUST_USE int iso_publisher_make_tracks(struct iso_publisher *pub, const struct iso_snapshot *snapshot);
void iso_publisher_name_tracks(struct iso_publisher *pub, const struct iso_snapshot *snapshot);
void iso_publisher_free_tracks(struct iso_publisher *pub);
/* The slot is another region's now. */
void iso_publisher_forget_slot_tracks(struct iso_publisher_slot *slot);
/* The region's usual time was before_us until an address fell out of use. */
void iso_publisher_tracks_without(struct iso_publisher_slot *slot, uint32_t before_us);
/* After the judgement over all services. */
void iso_publisher_judge_tracks(struct iso_publisher *pub);
/* How many a board needs room for; fills them, once its regions are. */
uint32_t iso_publisher_track_count(const struct iso_publisher *pub);
void iso_publisher_fill_tracks(struct iso_publisher *pub, struct iso_board *board);
/* As published last; NULL: the route has no numbers of its own. */
const struct iso_board_track *iso_publisher_board_track(const struct iso_publisher *pub,
							const struct iso_cfg_route *route);
/* publisher_report.c: shares of the route's next requests, of ISO_WEIGHT_ONE. */
void iso_publisher_route_shares(const struct iso_publisher *pub, const struct iso_cfg_route *route,
				uint32_t ret_shares[ISO_VIEW_MAX]);
/* The time after which most answers are there, looked up once a second into *us; 0: unknown. */
void iso_publisher_hedge(const struct iso_window *window, enum iso_hedge after, uint64_t now_us,
			 uint64_t *at_us, uint32_t *us);

#endif
