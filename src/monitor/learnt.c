/*
 * See learnt.h. Left out: the last minute's histograms, which the next minute makes anew, and trial requests,
 * which belong to the process that sends them. Times stay as they are: CLOCK_MONOTONIC is the machine's.
 */
#include "iso/monitor/learnt.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "publisher_priv.h"

enum { VERSION = 1, AHEAD_US = 600 * 1000 * 1000 };

enum kind { FLAG, U32, TIME, U64, REAL };

struct member {
	const char *name;
	size_t at;
	enum kind kind;
	double max; /* TIME: none, it is AHEAD_US from now at most */
};

/* clang-format off */
#define MEMBER(member, kind, max) { #member, offsetof(struct iso_region_stats, member), kind, max }
/* clang-format on */

static const struct member members[] = {
	MEMBER(estimate.live.value_q8, U64, 1e12),
	MEMBER(estimate.live.fresh_us, TIME, 0),
	MEMBER(estimate.live.change_us, TIME, 0),
	MEMBER(estimate.live.last_us, TIME, 0),
	MEMBER(estimate.live.count, U32, UINT32_MAX),
	MEMBER(estimate.live.recent[0], U32, UINT32_MAX),
	MEMBER(estimate.live.recent[1], U32, UINT32_MAX),
	MEMBER(estimate.live.recent[2], U32, UINT32_MAX),
	MEMBER(estimate.live.recent[3], U32, UINT32_MAX),
	MEMBER(estimate.live.recent[4], U32, UINT32_MAX),
	MEMBER(estimate.live.recent_count, U32, ISO_EWMA_RECENT),
	MEMBER(estimate.live.recent_at, U32, ISO_EWMA_RECENT - 1),
	MEMBER(estimate.live.unbroken, U32, ISO_EWMA_RECENT),
	MEMBER(estimate.excess_us, REAL, 1e9),
	MEMBER(estimate.struck_us, REAL, 1e9),
	MEMBER(estimate.failed_us, TIME, 0),
	MEMBER(estimate.bad_since_us, TIME, 0),
	MEMBER(estimate.probes_unfailed, U32, UINT32_MAX),
	MEMBER(estimate.unproven, FLAG, 1),
	MEMBER(estimate.bad_run, U32, 2),
	MEMBER(estimate.good_run, U32, UINT32_MAX),
	MEMBER(estimate.probes_us[0], U32, UINT32_MAX),
	MEMBER(estimate.probes_us[1], U32, UINT32_MAX),
	MEMBER(estimate.probe_count, U32, 2),
	MEMBER(estimate.probes_since, U32, UINT32_MAX),
	MEMBER(estimate.probed_us, TIME, 0),
	MEMBER(estimate.slowed_us, TIME, 0),
	MEMBER(estimate.last_slow_us, TIME, 0),
	MEMBER(estimate.relapses, U32, 100),
	MEMBER(estimate.before_us, U32, UINT32_MAX),
	MEMBER(estimate.ratio, REAL, 100),
	MEMBER(estimate.decayed_us, TIME, 0),
	MEMBER(outlier.transport_run, U32, UINT32_MAX),
	MEMBER(outlier.gateway_run, U32, UINT32_MAX),
	MEMBER(outlier.failed_us[0], TIME, 0),
	MEMBER(outlier.failed_us[1], TIME, 0),
	MEMBER(outlier.failed_us[2], TIME, 0),
	MEMBER(outlier.good_us, TIME, 0),
	MEMBER(outlier.connect_failed_us, TIME, 0),
	MEMBER(outlier.answered_us, TIME, 0),
	MEMBER(outlier.ejected, FLAG, 1),
	MEMBER(outlier.since_us, TIME, 0),
	MEMBER(outlier.until_us, TIME, 0),
	MEMBER(outlier.back_us, TIME, 0),
	MEMBER(outlier.times, U32, UINT32_MAX),
	MEMBER(outlier.good_probes, U32, UINT32_MAX),
	MEMBER(outlier.noticed_us, TIME, 0),
	MEMBER(outlier.by_connect, FLAG, 1),
	MEMBER(outlier.draw, U32, UINT32_MAX),
	MEMBER(health.state, U32, ISO_HEALTH_DOWN),
	MEMBER(health.good, U32, UINT32_MAX),
	MEMBER(health.bad, U32, UINT32_MAX),
	MEMBER(throttle.limit_milli, U64, 1e12),
	MEMBER(throttle.refused_us, TIME, 0),
	MEMBER(throttle.cut_us, TIME, 0),
	MEMBER(throttle.grown_us, TIME, 0),
	MEMBER(live_good_us, TIME, 0),
	MEMBER(normal_us, TIME, 0),
	MEMBER(back_us, TIME, 0),
	MEMBER(compared_us, TIME, 0),
	MEMBER(passed_us, TIME, 0),
	MEMBER(refused_us, TIME, 0),
	MEMBER(refused_run, U32, UINT32_MAX),
	MEMBER(ramping, FLAG, 1),
	MEMBER(out, FLAG, 1),
};

/* Of a route that is measured by itself: an estimate as a region has one, and what it goes by. */
/* clang-format off */
#define LANE(member, kind, max) { #member, offsetof(struct iso_track_stats, member), kind, max }
/* clang-format on */

static const struct member lane_members[] = {
	LANE(then[0].us, U32, UINT32_MAX),
	LANE(then[0].probe_us, U32, UINT32_MAX),
	LANE(then[1].us, U32, UINT32_MAX),
	LANE(then[1].probe_us, U32, UINT32_MAX),
	LANE(then_at, U32, 1),
};

/* The members of a region's estimate. */
static bool is_estimate(const struct member *m)
{
	return strncmp(m->name, "estimate.", strlen("estimate.")) == 0;
}

/* The same of a route's. */
static struct member of_lane(const struct member *m)
{
	struct member lane = *m;

	lane.at = m->at - offsetof(struct iso_region_stats, estimate) +
		  offsetof(struct iso_track_stats, estimate);
	return lane;
}

_Static_assert(sizeof(enum iso_health_state) == sizeof(uint32_t), "health.state is read as a U32");

static json_t *get(const void *stats, const struct member *m)
{
	const char *at = (const char *)stats + m->at;
	bool flag;
	uint32_t u32;
	uint64_t u64;
	double real;

	switch (m->kind) {
	case FLAG:
		memcpy(&flag, at, sizeof(flag));
		return json_boolean(flag);
	case U32:
		memcpy(&u32, at, sizeof(u32));
		return json_integer(u32);
	case REAL:
		memcpy(&real, at, sizeof(real));
		return json_real(real);
	default:
		memcpy(&u64, at, sizeof(u64));
		return json_integer((json_int_t)u64);
	}
}

/* Whether the value is one that the member may have, which it has then. */
static bool set(void *stats, const struct member *m, const json_t *value, uint64_t now_us)
{
	double max = m->kind == TIME ? (double)now_us + AHEAD_US : m->max, number = json_number_value(value);
	char *at = (char *)stats + m->at;
	bool flag = json_is_true(value);
	uint64_t u64 = (uint64_t)json_integer_value(value);
	uint32_t u32 = (uint32_t)u64;

	if (m->kind == FLAG ? !json_is_boolean(value)
			    : !json_is_number(value) || !(number >= 0 && number <= max) ||
				      (m->kind != REAL && !json_is_integer(value)))
		return false;
	if (m->kind == FLAG)
		memcpy(at, &flag, sizeof(flag));
	else if (m->kind == U32)
		memcpy(at, &u32, sizeof(u32));
	else if (m->kind == REAL)
		memcpy(at, &number, sizeof(number));
	else
		memcpy(at, &u64, sizeof(u64));
	return true;
}

static json_t *describe(const struct iso_publisher *pub, uint32_t slot)
{
	json_t *region = json_object();
	bool ok = json_object_set_new(region, "drained", json_boolean(pub->registry->slots[slot].drained)) ==
		  0;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && ok; i++)
		ok = json_object_set_new(region, members[i].name,
					 get(&pub->slots[slot].stats, &members[i])) == 0;
	if (ok)
		return region;
	json_decref(region);
	return NULL;
}

static json_t *describe_lane(const struct iso_track_stats *ts)
{
	json_t *lane = json_object();
	bool ok = lane != NULL;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && ok; i++) {
		struct member m = of_lane(&members[i]);

		if (is_estimate(&members[i]))
			ok = json_object_set_new(lane, m.name, get(ts, &m)) == 0;
	}
	for (size_t i = 0; i < sizeof(lane_members) / sizeof(lane_members[0]) && ok; i++)
		ok = json_object_set_new(lane, lane_members[i].name, get(ts, &lane_members[i])) == 0;
	if (ok)
		return lane;
	json_decref(lane);
	return NULL;
}

/* What a route has shown in the regions that have answered it. */
static int write_track(const struct iso_publisher *pub, const struct iso_cfg_track *track, json_t *tracks)
{
	const struct iso_cfg_service *service = track->route->service;
	json_t *lanes = json_object();

	if (json_object_set_new(tracks, track->identity.ptr, lanes) != 0)
		return ISO_ENOMEM;
	for (uint32_t r = 0; r < service->region_count; r++) {
		const struct iso_publisher_slot *slot = &pub->slots[service->regions[r].slot];
		const struct iso_track_stats *ts = slot->tracks[track->number - 1];

		if (iso_ewma_known(&ts->estimate.live) &&
		    json_object_set_new(lanes, slot->identity, describe_lane(ts)) != 0)
			return ISO_ENOMEM;
	}
	return ISO_OK;
}

int iso_learnt_write(const struct iso_publisher *pub, int fd)
{
	json_t *regions = json_object(), *tracks = json_object(),
	       *root = json_pack("{s:i, s:o, s:o}", "version", VERSION, "regions", regions, "routes", tracks);
	int err = root != NULL ? ISO_OK : ISO_ENOMEM;

	for (uint32_t i = 0; i < ISO_REGION_SLOTS && err == ISO_OK; i++) {
		if (pub->slots[i].service != NULL &&
		    json_object_set_new(regions, pub->slots[i].identity, describe(pub, i)) != 0)
			err = ISO_ENOMEM;
	}
	for (uint32_t i = 0; err == ISO_OK && pub->snapshot != NULL && i < pub->snapshot->track_count; i++)
		err = write_track(pub, &pub->snapshot->tracks[i], tracks);
	if (err == ISO_OK &&
	    (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0 || json_dumpfd(root, fd, 0) != 0))
		err = ISO_ESYS;
	json_decref(root);
	return err;
}

/* All of it, or nothing: half a memory would be wrong in ways that nobody has thought of. */
static bool take(struct iso_publisher *pub, uint32_t slot, const json_t *region)
{
	struct iso_region_stats *rs = &pub->slots[slot].stats, learnt = *rs;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (!set(&learnt, &members[i], json_object_get(region, members[i].name), pub->loop->now_us))
			return false;
	}
	if (learnt.outlier.ejected)
		learnt.outlier.words = learnt.eject_words = "ejected before the upgrade";
	*rs = learnt;
	pub->registry->slots[slot].drained = json_is_true(json_object_get(region, "drained"));
	return true;
}

static void take_lane(struct iso_publisher *pub, struct iso_track_stats *ts, const json_t *lane)
{
	struct iso_track_stats *learnt = malloc(sizeof(*learnt));
	bool ok = learnt != NULL;

	if (ok)
		*learnt = *ts;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && ok; i++) {
		struct member m = of_lane(&members[i]);

		if (is_estimate(&members[i]))
			ok = set(learnt, &m, json_object_get(lane, m.name), pub->loop->now_us);
	}
	for (size_t i = 0; i < sizeof(lane_members) / sizeof(lane_members[0]) && ok; i++)
		ok = set(learnt, &lane_members[i], json_object_get(lane, lane_members[i].name),
			 pub->loop->now_us);
	if (ok)
		*ts = *learnt;
	free(learnt);
}

static void take_track(struct iso_publisher *pub, const struct iso_cfg_track *track, const json_t *lanes)
{
	const struct iso_cfg_service *service = track->route->service;

	for (uint32_t r = 0; r < service->region_count; r++) {
		const struct iso_publisher_slot *slot = &pub->slots[service->regions[r].slot];
		const json_t *lane = json_object_get(lanes, slot->identity);

		if (lane != NULL)
			take_lane(pub, slot->tracks[track->number - 1], lane);
	}
}

int iso_learnt_read(struct iso_publisher *pub, int fd, uint32_t *ret_regions)
{
	json_t *root = lseek(fd, 0, SEEK_SET) == 0 ? json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const json_t *regions = json_object_get(root, "regions");
	uint32_t taken = 0;

	if (!json_is_object(regions) || json_integer_value(json_object_get(root, "version")) != VERSION) {
		json_decref(root);
		return ISO_EBAD;
	}
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		const json_t *region = pub->slots[i].service != NULL
					       ? json_object_get(regions, pub->slots[i].identity)
					       : NULL;

		taken += region != NULL && take(pub, i, region) ? 1 : 0;
	}
	for (uint32_t i = 0; pub->snapshot != NULL && i < pub->snapshot->track_count; i++)
		take_track(pub, &pub->snapshot->tracks[i],
			   json_object_get(json_object_get(root, "routes"),
					   pub->snapshot->tracks[i].identity.ptr));
	json_decref(root);
	iso_publisher_run_now(pub);
	*ret_regions = taken;
	return ISO_OK;
}
