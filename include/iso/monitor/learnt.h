/*
 * What was learnt of the regions, handed from one process to the next on the same machine: a JSON text whose
 * members are named, so that the next one may be of another version. Thread: control.
 */
#ifndef ISO_MONITOR_LEARNT_H
#define ISO_MONITOR_LEARNT_H

#include "iso/monitor/publisher.h"

/* In place of what fd holds. ISO_OK, ISO_ENOMEM, or why it cannot be written. */
ISO_MUST_USE int iso_learnt_write(const struct iso_publisher *publisher, int fd);
/*
 * From fd (all of it), into the regions of the bound snapshot that have the same identity; after the bind and
 * before anything was measured. What is not understood is left out. ISO_OK and how many regions, or ISO_EBAD
 * (nothing has changed).
 */
ISO_MUST_USE int iso_learnt_read(struct iso_publisher *publisher, int fd, uint32_t *ret_regions);

#endif
