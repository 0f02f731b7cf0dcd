/*
 * How many cores this process may use.
 */
#ifndef ISO_CONFIG_CORES_H
#define ISO_CONFIG_CORES_H

#include <stdint.h>

#include "iso/base/slice.h"

/* CPU affinity, limited by cpu.max of the process's cgroup (version 2) and its ancestors; at least 1. Reads
 * files. */
uint32_t iso_cores_usable(void);
/* `cores` limited by the text of a cpu.max ("max 100000", "150000 100000"), rounded up; what is malformed is
 * no limit. */
uint32_t iso_cores_limit(uint32_t cores, struct iso_slice cpu_max);

#endif
