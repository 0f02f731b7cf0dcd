/*
 * What is known of each address of one region: its own estimate, round trip and failures, and whether it is
 * out while the region goes on by the others. Pure; part of the region's statistics, owned by the publisher.
 * Invariant: an address that takes traffic is never ejected when no other one does.
 */
#ifndef ISO_MONITOR_ENDPOINT_STATS_PRIV_H
#define ISO_MONITOR_ENDPOINT_STATS_PRIV_H

#include "iso/policy/estimate.h"
#include "iso/policy/outlier.h"
#include "iso/upstream/board.h"
#include "iso/upstream/evidence.h"
#include "track_stats_priv.h"

enum {
	ISO_BLAMED_KEPT = 8,
	ISO_CHARGES_HELD = 8,
};

/* The last connections that broke or were silent: each of them is one failure. */
struct iso_blamed {
	uint32_t serials[ISO_BLAMED_KEPT];
	uint32_t at;
};

/* A failure that the region's estimate has not been charged with, while its address alone may be the cause.
 */
struct iso_charge {
	uint64_t age_us, retry_after_us, end_us;
	uint32_t track; /* number of its route's; 0: none */
};

/* Who bears a failure: the region's estimate, and its route's there where that is measured by itself. */
struct iso_bearers {
	struct iso_estimate *region;
	struct iso_track_stats *const *tracks;
};

struct iso_endpoint_stat {
	struct iso_sockaddr addr;
	struct iso_estimate estimate;
	struct iso_outlier outlier;
	struct iso_ewma rtt;
	const char *wish; /* why it should be ejected; NULL: it should not */
	struct iso_charge charges[ISO_CHARGES_HELD];
	uint32_t charge_count;
	uint32_t probe_fails; /* in a row */
	bool listed;          /* DNS has it */
	bool slower;          /* than the quickest that is in use */
};

struct iso_endpoint_stats {
	struct iso_endpoint_stat v[ISO_ENDPOINTS_MAX];
	uint32_t count, epoch;    /* of the board's endpoints */
	uint16_t run;             /* bit i: it has failed since the region's last good answer */
	struct iso_blamed blamed; /* apart from the region's: connections that failed idle are here, too */
	uint32_t turn;            /* of those that are probed by themselves */
	/* What another process knew of addresses, for when DNS names them; borrowed. NULL: nothing. */
	const struct iso_endpoint_stats *left;
};

/* Whether it is not just one more stream of a connection that is to blame for others already. */
bool iso_blamed_news(struct iso_blamed *blamed, uint32_t serial);

void iso_endpoint_stats_init(struct iso_endpoint_stats *es);
/* Nothing is known of that address yet. */
void iso_endpoint_stat_init(struct iso_endpoint_stat *e, const struct iso_sockaddr *addr);
/* What another process has left is known from now on, of the addresses that are there and of those to come.
 * It must live as long. */
void iso_endpoint_stats_inherit(struct iso_endpoint_stats *es, const struct iso_endpoint_stats *left);
/* The region's addresses as the board is about to have them; what is known of an address stays with it. */
void iso_endpoint_stats_bind(struct iso_endpoint_stats *es, const struct iso_board_region *board);
/* The index that a sample speaks of; -1: none, or one of another epoch. */
int iso_endpoint_stats_index(const struct iso_endpoint_stats *es, const struct iso_sample *sample);
/* Whether another address than i takes traffic. */
bool iso_endpoint_stats_other(const struct iso_endpoint_stats *es, uint32_t i);
/* Whether it counts for what a new request would see: not ejected, and not slower than others. */
bool iso_endpoint_stats_favoured(const struct iso_endpoint_stats *es, int i);

/* A good answer by address i (-1: unknown): the region's run of failures is over. */
void iso_endpoint_stats_good(struct iso_endpoint_stats *es, int i, const struct iso_sample *sample);
/* An answer that is an error, and nobody's fault there; or a try that was given up after age_us. */
void iso_endpoint_stats_error(struct iso_endpoint_stats *es, int i, uint64_t age_us, bool answered,
			      uint64_t now_us);
/*
 * A failure. True: this address alone explains what has failed since the last good answer, and another one is
 * there: the region is not to be ejected for it.
 */
bool iso_endpoint_stats_failed(struct iso_endpoint_stats *es, int i, const struct iso_sample *sample,
			       enum iso_failure kind);
/*
 * The bearers are to be charged with that failure of address i (-1: unknown); lone: as
 * iso_endpoint_stats_failed says. What one address alone may have caused is held until it answers well or
 * another one fails too, and is dropped when the address is ejected.
 */
void iso_endpoint_stats_charge(struct iso_endpoint_stats *es, int i, bool lone,
			       const struct iso_sample *sample, const struct iso_bearers *to);
/* Address i has answered well: what is held of it counts after all. */
void iso_endpoint_stats_settle(struct iso_endpoint_stats *es, int i, const struct iso_bearers *to);
/* A connection was opened, or could not be; or a round trip was measured. */
void iso_endpoint_stats_link(struct iso_endpoint_stats *es, const struct iso_sample *sample);
/*
 * A probe that went there, of the region or of the address alone. True: it failed, and this address alone
 * explains that: it says nothing about the region.
 */
bool iso_endpoint_stats_probe(struct iso_endpoint_stats *es, int i, const struct iso_sample *sample,
			      bool passed, uint32_t unhealthy_threshold);

struct iso_endpoint_judge {
	uint64_t now_us;
	uint32_t healthy_threshold, draw;
	bool uplink_down;
};

/*
 * Every 100 ms or so: ejections, returns, who is slower; region is the estimate of them all, which is freed
 * of those that fall out of favour.
 */
void iso_endpoint_stats_judge(struct iso_endpoint_stats *es, const struct iso_endpoint_judge *judge,
			      struct iso_estimate *region);
/* Fills what the board says of the addresses, beyond DNS. */
void iso_endpoint_stats_fill(const struct iso_endpoint_stats *es, struct iso_board_region *board);
/* Round trip of the address that is used; 0: unknown. */
uint32_t iso_endpoint_stats_rtt_us(const struct iso_endpoint_stats *es);
/* Where the region's next probe should go, because others have failed theirs; -1: anywhere. */
int iso_endpoint_stats_sound(const struct iso_endpoint_stats *es);
/* The one that is to be probed by itself next, because traffic does not measure it; -1: none. */
int iso_endpoint_stats_wanting(struct iso_endpoint_stats *es);
/* Whether there is one. */
bool iso_endpoint_stats_wants(const struct iso_endpoint_stats *es);
/* Whether one is out. */
bool iso_endpoint_stats_doubted(const struct iso_endpoint_stats *es);

#endif
