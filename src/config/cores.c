/*
 * Usable cores: sched_getaffinity(2) and cgroup v2's cpu.max. Called once when a snapshot is built.
 */
#include "iso/config/cores.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "iso/base/err.h"

enum { SMALL_FILE = 4096 };

uint32_t iso_cores_limit(uint32_t cores, struct iso_slice cpu_max)
{
	struct iso_slice rest = iso_slice_trim(iso_slice(cpu_max.ptr, iso_slice_find(cpu_max, '\n')));
	struct iso_slice quota_text, period_text;
	uint64_t quota, period, limit;

	if (!iso_slice_next(&rest, ' ', &quota_text) || !iso_slice_next(&rest, ' ', &period_text))
		return cores;
	if (iso_slice_u64(quota_text, &quota) != ISO_OK || iso_slice_u64(period_text, &period) != ISO_OK ||
	    period == 0)
		return cores;
	limit = quota / period + (quota % period != 0);
	if (limit == 0)
		limit = 1;
	return limit < cores ? (uint32_t)limit : cores;
}

static struct iso_slice read_small(const char *path, char buf[SMALL_FILE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buf, SMALL_FILE) : -1;

	if (fd >= 0)
		close(fd);
	return iso_slice(buf, n > 0 ? (size_t)n : 0);
}

/* The path in the line "0::/path" of /proc/self/cgroup (cgroups(7)); empty when there is none. */
static struct iso_slice own_cgroup(char buf[SMALL_FILE])
{
	struct iso_slice rest = read_small("/proc/self/cgroup", buf), line;

	while (rest.len > 0 && iso_slice_next(&rest, '\n', &line)) {
		if (iso_slice_starts(line, ISO_SLICE("0::/")))
			return iso_slice(line.ptr + 3, line.len - 3);
	}
	return iso_slice("", 0);
}

uint32_t iso_cores_usable(void)
{
	char group_buf[SMALL_FILE], file_buf[SMALL_FILE], path[SMALL_FILE + 64];
	struct iso_slice group = own_cgroup(group_buf);
	uint32_t cores = 1;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		cores = (uint32_t)CPU_COUNT(&set);
	for (;;) { /* from the process's own group up to the root */
		if (group.len == 1)
			group.len = 0;
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/cpu.max", ISO_SLICE_FMT(group));
		cores = iso_cores_limit(cores, read_small(path, file_buf));
		if (group.len == 0)
			return cores;
		while (group.len > 0 && group.ptr[group.len - 1] != '/')
			group.len--;
		group.len -= group.len > 0;
	}
}
