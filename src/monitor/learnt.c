/*
 * See learnt.h. Left out: the last minute's histograms, which the next minute makes anew, and trial requests,
 * which belong to the process that sends them. Times stay as they are: CLOCK_MONOTONIC is the machine's.
 */
#include "iso/monitor/learnt.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "iso/net/listener.h"
#include "iso/net/resolver.h"
#include "publisher_priv.h"

enum { VERSION = 1, AHEAD_US = 600 * 1000 * 1000, NAME_MAX_BYTES = 64 };

enum kind { FLAG, U32, TIME, U64, REAL };

struct member {
	const char *name;
	size_t at;
	enum kind kind;
	double max; /* TIME: none, it is AHEAD_US from now at most */
};

/* clang-format off */
#define MEMBER(of, member, kind, max) { #member, offsetof(struct of, member), kind, max }
/* clang-format on */

static const struct member ewma_members[] = {
	MEMBER(iso_ewma, value_q8, U64, 1e12),
	MEMBER(iso_ewma, fresh_us, TIME, 0),
	MEMBER(iso_ewma, change_us, TIME, 0),
	MEMBER(iso_ewma, last_us, TIME, 0),
	MEMBER(iso_ewma, slow_us, TIME, 0),
	MEMBER(iso_ewma, count, U32, UINT32_MAX),
	MEMBER(iso_ewma, recent[0], U32, UINT32_MAX),
	MEMBER(iso_ewma, recent[1], U32, UINT32_MAX),
	MEMBER(iso_ewma, recent[2], U32, UINT32_MAX),
	MEMBER(iso_ewma, recent[3], U32, UINT32_MAX),
	MEMBER(iso_ewma, recent[4], U32, UINT32_MAX),
	MEMBER(iso_ewma, recent_count, U32, ISO_EWMA_RECENT),
	MEMBER(iso_ewma, recent_at, U32, ISO_EWMA_RECENT - 1),
};

static const struct member estimate_members[] = {
	MEMBER(iso_estimate, excess_us, REAL, 1e9),
	MEMBER(iso_estimate, struck_us, REAL, 1e9),
	MEMBER(iso_estimate, failed_us, TIME, 0),
	MEMBER(iso_estimate, bad_since_us, TIME, 0),
	MEMBER(iso_estimate, probes_unfailed, U32, UINT32_MAX),
	MEMBER(iso_estimate, unproven, FLAG, 1),
	MEMBER(iso_estimate, bad_run, U32, 2),
	MEMBER(iso_estimate, good_run, U32, UINT32_MAX),
	MEMBER(iso_estimate, probes_us[0], U32, UINT32_MAX),
	MEMBER(iso_estimate, probes_us[1], U32, UINT32_MAX),
	MEMBER(iso_estimate, probe_count, U32, 2),
	MEMBER(iso_estimate, probes_since, U32, UINT32_MAX),
	MEMBER(iso_estimate, probed_us, TIME, 0),
	MEMBER(iso_estimate, slowed_us, TIME, 0),
	MEMBER(iso_estimate, last_slow_us, TIME, 0),
	MEMBER(iso_estimate, relapses, U32, 100),
	MEMBER(iso_estimate, before_us, U32, UINT32_MAX),
	MEMBER(iso_estimate, ratio, REAL, 100),
	MEMBER(iso_estimate, decayed_us, TIME, 0),
};

static const struct member outlier_members[] = {
	MEMBER(iso_outlier, transport_run, U32, UINT32_MAX),
	MEMBER(iso_outlier, gateway_run, U32, UINT32_MAX),
	MEMBER(iso_outlier, failed_us[0], TIME, 0),
	MEMBER(iso_outlier, failed_us[1], TIME, 0),
	MEMBER(iso_outlier, failed_us[2], TIME, 0),
	MEMBER(iso_outlier, good_us, TIME, 0),
	MEMBER(iso_outlier, connect_failed_us, TIME, 0),
	MEMBER(iso_outlier, answered_us, TIME, 0),
	MEMBER(iso_outlier, ejected, FLAG, 1),
	MEMBER(iso_outlier, since_us, TIME, 0),
	MEMBER(iso_outlier, until_us, TIME, 0),
	MEMBER(iso_outlier, back_us, TIME, 0),
	MEMBER(iso_outlier, times, U32, UINT32_MAX),
	MEMBER(iso_outlier, good_probes, U32, UINT32_MAX),
	MEMBER(iso_outlier, noticed_us, TIME, 0),
	MEMBER(iso_outlier, by_connect, FLAG, 1),
	MEMBER(iso_outlier, draw, U32, UINT32_MAX),
};

static const struct member region_members[] = {
	MEMBER(iso_region_stats, health.state, U32, ISO_HEALTH_DOWN),
	MEMBER(iso_region_stats, health.good, U32, UINT32_MAX),
	MEMBER(iso_region_stats, health.bad, U32, UINT32_MAX),
	MEMBER(iso_region_stats, throttle.limit_milli, U64, 1e12),
	MEMBER(iso_region_stats, throttle.refused_us, TIME, 0),
	MEMBER(iso_region_stats, throttle.cut_us, TIME, 0),
	MEMBER(iso_region_stats, throttle.grown_us, TIME, 0),
	MEMBER(iso_region_stats, live_good_us, TIME, 0),
	MEMBER(iso_region_stats, normal_us, TIME, 0),
	MEMBER(iso_region_stats, back_us, TIME, 0),
	MEMBER(iso_region_stats, compared_us, TIME, 0),
	MEMBER(iso_region_stats, passed_us, TIME, 0),
	MEMBER(iso_region_stats, refused_us, TIME, 0),
	MEMBER(iso_region_stats, refused_run, U32, UINT32_MAX),
	MEMBER(iso_region_stats, ramping, FLAG, 1),
	MEMBER(iso_region_stats, out, FLAG, 1),
};

static const struct member endpoint_members[] = {
	MEMBER(iso_endpoint_stat, probe_fails, U32, UINT32_MAX),
};

/* A struct within the one that is handed over: its members' names begin with the prefix. */
struct part {
	const char *prefix;
	size_t at;
	const struct member *members;
	size_t n;
};

/* clang-format off */
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define PART(prefix, of, member, table) { prefix, offsetof(struct of, member), table, COUNT(table) }
/* clang-format on */

static const struct part region_parts[] = {
	PART("estimate.live.", iso_region_stats, estimate.live, ewma_members),
	PART("estimate.", iso_region_stats, estimate, estimate_members),
	PART("outlier.", iso_region_stats, outlier, outlier_members),
	{ "", 0, region_members, COUNT(region_members) },
};

static const struct part endpoint_parts[] = {
	PART("estimate.live.", iso_endpoint_stat, estimate.live, ewma_members),
	PART("estimate.", iso_endpoint_stat, estimate, estimate_members),
	PART("outlier.", iso_endpoint_stat, outlier, outlier_members),
	PART("rtt.", iso_endpoint_stat, rtt, ewma_members),
	{ "", 0, endpoint_members, COUNT(endpoint_members) },
};

/* Of a route that is measured by itself. */
static const struct member lane_members[] = {
	MEMBER(iso_track_stats, then[0].us, U32, UINT32_MAX),
	MEMBER(iso_track_stats, then[0].probe_us, U32, UINT32_MAX),
	MEMBER(iso_track_stats, then[1].us, U32, UINT32_MAX),
	MEMBER(iso_track_stats, then[1].probe_us, U32, UINT32_MAX),
	MEMBER(iso_track_stats, then_at, U32, 1),
};

static const struct part lane_parts[] = {
	PART("estimate.live.", iso_track_stats, estimate.live, ewma_members),
	PART("estimate.", iso_track_stats, estimate, estimate_members),
	{ "", 0, lane_members, COUNT(lane_members) },
};

_Static_assert(sizeof(enum iso_health_state) == sizeof(uint32_t), "health.state is read as a U32");

static json_t *get(const void *of, const struct member *m)
{
	const char *at = (const char *)of + m->at;
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
static bool set(void *of, const struct member *m, const json_t *value, uint64_t now_us)
{
	double max = m->kind == TIME ? (double)now_us + AHEAD_US : m->max, number = json_number_value(value);
	char *at = (char *)of + m->at;
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

static void name_of(const struct part *part, const struct member *m, char ret_name[NAME_MAX_BYTES])
{
	(void)snprintf(ret_name, NAME_MAX_BYTES, "%s%s", part->prefix, m->name);
}

/* Into the object, of a struct that has these parts. */
static bool put_parts(json_t *object, const void *of, const struct part parts[], size_t n)
{
	char name[NAME_MAX_BYTES];
	bool ok = true;

	for (size_t p = 0; p < n; p++)
		for (size_t i = 0; i < parts[p].n && ok; i++) {
			name_of(&parts[p], &parts[p].members[i], name);
			ok = json_object_set_new(object, name,
						 get((const char *)of + parts[p].at, &parts[p].members[i])) ==
			     0;
		}
	return ok;
}

static bool take_parts(void *of, const json_t *object, const struct part parts[], size_t n, uint64_t now_us)
{
	char name[NAME_MAX_BYTES];

	for (size_t p = 0; p < n; p++)
		for (size_t i = 0; i < parts[p].n; i++) {
			name_of(&parts[p], &parts[p].members[i], name);
			if (!set((char *)of + parts[p].at, &parts[p].members[i],
				 json_object_get(object, name), now_us))
				return false;
		}
	return true;
}

static bool put_endpoints(json_t *region, const struct iso_endpoint_stats *es)
{
	json_t *endpoints = json_object();
	bool ok = json_object_set_new(region, "endpoints", endpoints) == 0;

	for (uint32_t i = 0; i < es->count && ok; i++) {
		json_t *endpoint = json_object();
		char text[64];

		iso_sockaddr_format(&es->v[i].addr.u.sa, text, sizeof(text));
		ok = json_object_set_new(endpoints, text, endpoint) == 0 &&
		     put_parts(endpoint, &es->v[i], endpoint_parts, COUNT(endpoint_parts));
	}
	return ok;
}

static json_t *describe(const struct iso_publisher *pub, uint32_t slot)
{
	const struct iso_region_stats *rs = &pub->slots[slot].stats;
	json_t *region = json_object();

	if (json_object_set_new(region, "drained", json_boolean(pub->registry->slots[slot].drained)) == 0 &&
	    put_parts(region, rs, region_parts, COUNT(region_parts)) && put_endpoints(region, &rs->endpoints))
		return region;
	json_decref(region);
	return NULL;
}

static json_t *describe_lane(const struct iso_track_stats *ts)
{
	json_t *lane = json_object();

	if (put_parts(lane, ts, lane_parts, COUNT(lane_parts)))
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

static const char ejected_words[] = "ejected before the upgrade";

/*
 * DNS may not have named them yet in this process: they lie by until it does. One that is not understood is
 * left out, and so are all without memory: they are measured anew.
 */
static void take_endpoints(struct iso_publisher *pub, uint32_t slot, json_t *endpoints)
{
	struct iso_endpoint_stats *left = calloc(1, sizeof(*left));
	json_t *endpoint;
	const char *text;

	if (left == NULL)
		return;
	iso_endpoint_stats_init(left);
	json_object_foreach(endpoints, text, endpoint)
	{
		struct iso_endpoint_stat *e = &left->v[left->count];
		struct iso_sockaddr addr;

		if (left->count == ISO_ENDPOINTS_MAX ||
		    iso_listener_parse(iso_slice_str(text), &addr) != ISO_OK)
			continue;
		iso_endpoint_stat_init(e, &addr);
		if (!take_parts(e, endpoint, endpoint_parts, COUNT(endpoint_parts), pub->loop->now_us))
			continue;
		if (e->outlier.ejected)
			e->outlier.words = ejected_words;
		left->count++;
	}
	free(pub->slots[slot].left);
	pub->slots[slot].left = left;
	iso_endpoint_stats_inherit(&pub->slots[slot].stats.endpoints, left);
}

/* All of it, or nothing: half a memory would be wrong in ways that nobody has thought of. */
static bool take(struct iso_publisher *pub, uint32_t slot, const json_t *region)
{
	struct iso_region_stats *rs = &pub->slots[slot].stats, learnt = *rs;

	if (!take_parts(&learnt, region, region_parts, COUNT(region_parts), pub->loop->now_us))
		return false;
	if (learnt.outlier.ejected)
		learnt.outlier.words = learnt.eject_words = ejected_words;
	*rs = learnt;
	take_endpoints(pub, slot, json_object_get(region, "endpoints"));
	pub->registry->slots[slot].drained = json_is_true(json_object_get(region, "drained"));
	return true;
}

static void take_lane(struct iso_publisher *pub, struct iso_track_stats *ts, const json_t *lane)
{
	struct iso_track_stats *learnt = malloc(sizeof(*learnt));

	if (learnt == NULL)
		return;
	*learnt = *ts;
	if (take_parts(learnt, lane, lane_parts, COUNT(lane_parts), pub->loop->now_us))
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
