/*
 * The metrics as text for Prometheus, exposition format 0.0.4 (media type below). Control thread.
 *
 * Compact on purpose: a counter with labels appears once it has counted something. Two exceptions, so that
 * rates can be computed from the start: each known region has outcome="ok" and its histogram from the
 * beginning, and both results of isochrone_reloads_total are always there. Families without labels always
 * are.
 */
#ifndef ISO_TELEMETRY_PROMETHEUS_H
#define ISO_TELEMETRY_PROMETHEUS_H

#include "iso/base/slice.h"
#include "iso/base/text.h"
#include "iso/telemetry/metrics.h"

#define ISO_PROMETHEUS_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * What the numbers of the rows mean now. Names are UTF-8 and borrowed for the call; a service or slot whose
 * name has a NULL ptr is not printed, nor is an outcome or a reason without a name. No two slots may have the
 * same pair of names, nor two services one: a series would appear twice.
 */
struct iso_prometheus_names {
	struct {
		struct iso_slice service, region;
	} slots[ISO_METRICS_SLOTS];
	struct iso_slice services[ISO_METRICS_SERVICES];
	const char *outcomes[ISO_METRICS_INDICES];
	const char *reasons[ISO_METRICS_INDICES];
	const char *stays[ISO_METRICS_INDICES]; /* reasons of isochrone_not_retried_total */
	const char *executed[ISO_METRICS_EXECUTED];
	struct iso_slice version;
};

/*
 * A value that is not counted here but known to the caller: of a gauge by region, of a family with one label
 * of its own, or of a family without labels (names unused), where it is added to what was counted.
 */
struct iso_prometheus_sample {
	enum iso_metric metric;
	struct iso_slice service, region;
	struct iso_slice route; /* of a gauge by region and route */
	struct iso_slice label; /* the value of a family's only label, where that is neither */
	double value;
};

struct iso_prometheus_view {
	const struct iso_metrics *const *all; /* one for each thread that counts */
	size_t all_count;
	const struct iso_prometheus_names *names;
	const struct iso_prometheus_sample *samples;
	size_t sample_count;
};

/* Appends all families to text. ISO_OK, or the text's error when it is full: what it holds then is no
 * exposition. */
ISO_MUST_USE int iso_prometheus_write(const struct iso_prometheus_view *view, struct iso_text *text);

#endif
