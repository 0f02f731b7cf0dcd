/*
 * The routes that are measured by themselves: their memory over reloads, their judgement, and what is told of
 * them. Thread: control. What is kept is made when a snapshot is bound, and never while requests run.
 * Invariant: the numbers of a track speak of the identity kept beside it, in the region of the slot they hang
 * on.
 */
#include <assert.h>
#include <stdlib.h>

#include "iso/policy/share.h"
#include "publisher_priv.h"

/* Forgets what is kept under this number, in all regions. */
static void forget(struct iso_publisher *pub, uint32_t at)
{
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		free(pub->slots[i].tracks[at]);
		pub->slots[i].tracks[at] = NULL;
	}
	free(pub->tracks[at].identity);
	pub->tracks[at].identity = NULL;
}

void iso_publisher_free_tracks(struct iso_publisher *pub)
{
	for (uint32_t at = 0; at < ISO_TRACK_SLOTS; at++)
		forget(pub, at);
}

void iso_publisher_forget_slot_tracks(struct iso_publisher_slot *slot)
{
	for (uint32_t at = 0; at < ISO_TRACK_SLOTS; at++) {
		free(slot->tracks[at]);
		slot->tracks[at] = NULL;
	}
}

static int make_lanes(struct iso_publisher *pub, const struct iso_cfg_track *track)
{
	const struct iso_cfg_service *service = track->route->service;
	struct iso_publisher_track *to = &pub->tracks[track->number - 1];

	if (to->identity == NULL)
		to->identity = strndup(track->identity.ptr, track->identity.len);
	if (to->identity == NULL)
		return ISO_ENOMEM;
	for (uint32_t r = 0; r < service->region_count; r++) {
		struct iso_publisher_slot *slot = &pub->slots[service->regions[r].slot];
		struct iso_track_stats **lane = &slot->tracks[track->number - 1];

		if (*lane != NULL)
			continue;
		*lane = malloc(sizeof(**lane));
		if (*lane == NULL)
			return ISO_ENOMEM;
		iso_track_stats_init(*lane, pub->loop->now_us);
	}
	return ISO_OK;
}

int iso_publisher_make_tracks(struct iso_publisher *pub, const struct iso_snapshot *snapshot)
{
	int err = ISO_OK;

	for (uint32_t at = 0; at < ISO_TRACK_SLOTS; at++) {
		const char *now = pub->registry->tracks[at].identity, *before = pub->tracks[at].identity;

		if (before != NULL && (now == NULL || strcmp(now, before) != 0))
			forget(pub, at);
	}
	for (uint32_t i = 0; i < snapshot->track_count && err == ISO_OK; i++)
		err = make_lanes(pub, &snapshot->tracks[i]);
	return err;
}

void iso_publisher_name_tracks(struct iso_publisher *pub, const struct iso_snapshot *snapshot)
{
	for (uint32_t at = 0; at < ISO_TRACK_SLOTS; at++) {
		pub->tracks[at].cfg = NULL;
		pub->tracks[at].board.lane_count = 0;
	}
	for (uint32_t i = 0; i < snapshot->track_count; i++)
		pub->tracks[snapshot->tracks[i].number - 1].cfg = &snapshot->tracks[i];
}

void iso_publisher_tracks_without(struct iso_publisher_slot *slot, uint32_t before_us)
{
	uint32_t after_us = iso_estimate_usual_us(&slot->stats.estimate);

	for (uint32_t at = 0; at < ISO_TRACK_SLOTS && after_us < before_us; at++)
		if (slot->tracks[at] != NULL)
			iso_track_stats_without(slot->tracks[at], before_us, after_us);
}

static void judge(struct iso_publisher *pub, struct iso_publisher_track *track)
{
	const struct iso_cfg_service *service = track->cfg->route->service;
	struct iso_track_stats *tracks[ISO_SERVICE_REGIONS_MAX];
	struct iso_region_stats *regions[ISO_SERVICE_REGIONS_MAX];
	struct iso_region_facts facts[ISO_SERVICE_REGIONS_MAX];
	struct iso_board_track *board = &track->board;

	board->unmeasured = 0;
	for (uint32_t r = 0; r < service->region_count; r++) {
		struct iso_publisher_slot *slot = &pub->slots[service->regions[r].slot];

		tracks[r] = slot->tracks[track->cfg->number - 1];
		regions[r] = &slot->stats;
		facts[r] = slot->facts;
		board->lanes[r].slot = service->regions[r].slot;
		if (iso_track_stats_unmeasured(tracks[r], service->health.interval_us, pub->loop->now_us))
			board->unmeasured = (uint16_t)(board->unmeasured | 1u << r);
	}
	board->lane_count = service->region_count;
	iso_track_judge(tracks, regions, facts, service->region_count, pub->loop->now_us, board->lanes);
}

void iso_publisher_judge_tracks(struct iso_publisher *pub)
{
	for (uint32_t i = 0; i < pub->snapshot->track_count; i++)
		judge(pub, &pub->tracks[pub->snapshot->tracks[i].number - 1]);
}

/* The route's own percentile, once there are enough answers for one; the region's until then. */
static void fill_hedges(struct iso_publisher *pub, struct iso_publisher_track *track,
			const struct iso_board *regions)
{
	const struct iso_cfg_route *route = track->cfg->route;

	for (uint32_t r = 0; r < track->board.lane_count; r++) {
		struct iso_board_lane *lane = &track->board.lanes[r];
		struct iso_track_stats *ts = pub->slots[lane->slot].tracks[track->cfg->number - 1];

		iso_publisher_hedge(&ts->window, route->hedge.after, pub->loop->now_us, &ts->hedge_at_us,
				    &ts->hedge_us);
		lane->hedge_us = ts->hedge_us != 0 ? ts->hedge_us : regions->regions[lane->slot].hedge_us;
	}
}

uint32_t iso_publisher_track_count(const struct iso_publisher *pub)
{
	uint32_t count = ISO_TRACK_SLOTS;

	while (count > 0 && pub->tracks[count - 1].cfg == NULL)
		count--;
	return count;
}

void iso_publisher_fill_tracks(struct iso_publisher *pub, struct iso_board *board)
{
	for (uint32_t at = 0; at < board->track_count; at++) {
		if (pub->tracks[at].cfg == NULL)
			continue;
		fill_hedges(pub, &pub->tracks[at], board);
		board->tracks[at] = pub->tracks[at].board;
	}
}

const struct iso_board_track *iso_publisher_board_track(const struct iso_publisher *pub,
							const struct iso_cfg_route *route)
{
	const struct iso_publisher_track *track;

	if (route->track == NULL)
		return NULL;
	track = &pub->tracks[route->track->number - 1];
	return track->cfg != NULL && track->board.lane_count > 0 ? &track->board : NULL;
}

bool iso_publisher_track(const struct iso_publisher *pub, const struct iso_cfg_route *route,
			 struct iso_track_report *ret_report)
{
	const struct iso_board_track *board = iso_publisher_board_track(pub, route);
	uint32_t shares[ISO_VIEW_MAX];

	if (board == NULL)
		return false;
	memset(ret_report, 0, sizeof(*ret_report));
	iso_publisher_route_shares(pub, route, shares);
	ret_report->lane_count = board->lane_count;
	for (uint32_t r = 0; r < board->lane_count; r++) {
		const struct iso_board_lane *lane = &board->lanes[r];
		const struct iso_track_stats *ts = pub->slots[lane->slot].tracks[route->track->number - 1];
		struct iso_lane_report *to = &ret_report->lanes[r];

		to->own = iso_ewma_known(&ts->estimate.live);
		to->share = (double)shares[r] / ISO_WEIGHT_ONE;
		to->estimate_us = lane->estimate_us;
		iso_window_sum(&ts->window, pub->loop->now_us, &to->ttfb);
		iso_window_sum(&ts->totals, pub->loop->now_us, &to->total);
	}
	return true;
}
