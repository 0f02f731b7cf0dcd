/*
 * Probes every region's health endpoint over the same transport as traffic, each interval with jitter: faster
 * when a region is in doubt, slower when its live traffic proves it well. Thread: control.
 */
#ifndef ISO_MONITOR_PROBER_H
#define ISO_MONITOR_PROBER_H

#include "iso/monitor/publisher.h"
#include "iso/upstream/upstream.h"

struct iso_prober;

/* upstream: the control loop's own; both are borrowed and outlive the prober. ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_prober_new(struct iso_upstream *upstream, struct iso_publisher *publisher,
				struct iso_prober **ret_prober);
/* Cancels what runs. */
void iso_prober_free(struct iso_prober *prober);
/*
 * After the publisher and the upstream were bound to the same snapshot, of which it takes a reference: new
 * regions are probed at once, others keep their rhythm, those that are gone are left alone.
 */
void iso_prober_bind(struct iso_prober *prober, struct iso_snapshot *snapshot);

#endif
