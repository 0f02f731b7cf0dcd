/*
 * See anomaly.h.
 */
#include "iso/policy/anomaly.h"

#include <math.h>
#include <stddef.h>

enum {
	SAMPLES_MIN = 20, /* of a span that says anything */
	SLOWER_THAN_PAST = 4,
	SLOWER_THAN_OTHER = 3,
	SLOWER_US = 100 * 1000, /* what nobody notices is no outlier */
};

static const double rate_floor = 0.05;
static const double z = 2.576;

/* Wilson's lower bound of a proportion (Journal of the American Statistical Association 22, 1927). */
static double lower_bound(uint64_t bad, uint64_t n)
{
	double p, nd = (double)n;

	if (n == 0)
		return 0;
	p = (double)bad / nd;
	return (p + z * z / (2 * nd) - z * sqrt(p * (1 - p) / nd + z * z / (4 * nd * nd))) / (1 + z * z / nd);
}

/* What a rate is compared with; a few answers without a failure do not make it zero. */
static double usual_rate(uint64_t bad, uint64_t n)
{
	return ((double)bad + 0.5) / ((double)n + 10);
}

static bool fails_more(const struct iso_anomaly_input regions[], uint32_t n, uint32_t i)
{
	const struct iso_anomaly_input *r = &regions[i];
	double rate = lower_bound(r->recent.bad, r->recent.good + r->recent.bad);
	uint64_t bad = 0, all = 0;

	for (uint32_t k = 0; k < n; k++) {
		if (k == i || !regions[k].up)
			continue;
		bad += regions[k].recent.bad;
		all += regions[k].recent.good + regions[k].recent.bad;
	}
	return r->recent.good + r->recent.bad >= SAMPLES_MIN && rate > rate_floor &&
	       rate > 2 * usual_rate(r->past.bad, r->past.good + r->past.bad) &&
	       rate > 2 * usual_rate(bad, all);
}

/* How much slower than before; 0: it is not known. */
static double slowdown(const struct iso_anomaly_input *r)
{
	if (r->recent.good < SAMPLES_MIN || r->past.good < SAMPLES_MIN || r->past.p50_us == 0)
		return 0;
	return (double)r->recent.p50_us / r->past.p50_us;
}

static bool is_slower(const struct iso_anomaly_input regions[], uint32_t n, uint32_t i)
{
	const struct iso_anomaly_input *r = &regions[i];

	if (slowdown(r) < SLOWER_THAN_PAST || r->recent.p50_us - r->past.p50_us < SLOWER_US)
		return false;
	for (uint32_t k = 0; k < n; k++) {
		const struct iso_anomaly_input *other = &regions[k];
		uint32_t p50_us = other->recent.p50_us != 0 ? other->recent.p50_us : other->past.p50_us;

		if (k != i && other->up && p50_us != 0 && slowdown(other) < 2 &&
		    r->recent.p50_us > SLOWER_THAN_OTHER * (uint64_t)p50_us)
			return true;
	}
	return false;
}

const char *iso_anomaly_find(const struct iso_anomaly_input regions[], uint32_t n, uint32_t i)
{
	if (fails_more(regions, n, i))
		return "it fails more often than it did and than the others do";
	if (is_slower(regions, n, i))
		return "it is much slower than it was and than another region is";
	return NULL;
}
