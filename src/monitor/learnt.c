/*
 * See learnt.h. Left out: the last minute's histograms, which the next minute makes anew, and trial requests,
 * which belong to the process that sends them. Times stay as they are: CLOCK_MONOTONIC is the machine's.
 */
#include "iso/monitor/learnt.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
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

_Static_assert(sizeof(enum iso_health_state) == sizeof(uint32_t), "health.state is read as a U32");

static json_t *get(const struct iso_region_stats *rs, const struct member *m)
{
	const char *at = (const char *)rs + m->at;
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
static bool set(struct iso_region_stats *rs, const struct member *m, const json_t *value, uint64_t now_us)
{
	double max = m->kind == TIME ? (double)now_us + AHEAD_US : m->max, number = json_number_value(value);
	char *at = (char *)rs + m->at;
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

int iso_learnt_write(const struct iso_publisher *pub, int fd)
{
	json_t *regions = json_object(),
	       *root = json_pack("{s:i, s:o}", "version", VERSION, "regions", regions);
	int err = root != NULL ? ISO_OK : ISO_ENOMEM;

	for (uint32_t i = 0; i < ISO_REGION_SLOTS && err == ISO_OK; i++) {
		if (pub->slots[i].service != NULL &&
		    json_object_set_new(regions, pub->slots[i].identity, describe(pub, i)) != 0)
			err = ISO_ENOMEM;
	}
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
	json_decref(root);
	iso_publisher_run_now(pub);
	*ret_regions = taken;
	return ISO_OK;
}
