/*
 * A snapshot's life and its one question. Any thread: the count is atomic, the rest does not change.
 */
#include "iso/config/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "iso/policy/route.h"

bool iso_snapshot_keeps_keys(const struct iso_snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->service_count; i++)
		if (snapshot->services[i].keys.store)
			return true;
	return false;
}

struct iso_snapshot *iso_snapshot_ref(struct iso_snapshot *snapshot)
{
	uint32_t refs = atomic_fetch_add_explicit(&snapshot->shared.refs, 1, memory_order_relaxed);

	assert(refs > 0);
	(void)refs;
	return snapshot;
}

void iso_snapshot_unref(struct iso_snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	if (atomic_fetch_sub_explicit(&snapshot->shared.refs, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < snapshot->listener_count; i++) {
		iso_tls_server_unref(snapshot->listeners[i].tls);
		iso_cidr_set_unref(snapshot->listeners[i].proxy_protocol);
		iso_cidr_set_unref(snapshot->listeners[i].trusted_proxies);
	}
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		for (uint32_t r = 0; r < snapshot->services[i].region_count; r++)
			iso_tls_client_unref(snapshot->services[i].regions[r].tls_client);
	}
	iso_geo_db_free(snapshot->geo_db);
	iso_arena_wipe(&snapshot->arena); /* keys of regions are in headers */
	free(snapshot);
}

const struct iso_cfg_route *iso_snapshot_route(const struct iso_snapshot *snapshot,
					       const struct iso_route_request *request)
{
	uint32_t index = iso_router_find(snapshot->router, request);

	return index != ISO_ROUTE_NONE ? &snapshot->routes[index] : NULL;
}

uint64_t iso_cfg_file_look(const char *path)
{
	struct stat st;
	uint64_t seen = 0;

	if (stat(path, &st) != 0)
		return 0;
	seen = (uint64_t)st.st_ino * 0x9e3779b97f4a7c15u;
	seen = (seen ^ (uint64_t)st.st_size) * 0x9e3779b97f4a7c15u;
	seen = (seen ^ (uint64_t)st.st_mtim.tv_sec) * 0x9e3779b97f4a7c15u;
	return (seen ^ (uint64_t)st.st_mtim.tv_nsec) | 1;
}

bool iso_snapshot_files_changed(const struct iso_snapshot *snapshot, uint64_t *ret_now)
{
	bool changed = false;

	*ret_now = 0;
	for (const struct iso_cfg_file *file = snapshot->files; file != NULL; file = file->next) {
		uint64_t now = iso_cfg_file_look(file->path);

		changed |= now != file->seen;
		*ret_now = *ret_now * 31 + now;
	}
	return changed;
}
