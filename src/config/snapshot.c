/*
 * A snapshot's life and its one question. Any thread: the count is atomic, the rest does not change.
 */
#include "iso/config/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "iso/policy/route.h"
#include "pattern_priv.h"
#include "source_priv.h"

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

uint64_t iso_cfg_pattern_look(const char *path)
{
	struct iso_pattern_list list = { NULL, 0 };
	uint64_t seen = UINT64_C(0xcbf29ce484222325); /* FNV-1a, the names' NULs included */

	if (iso_pattern_find(path, ISO_SOURCES_MAX, &list) != ISO_OK)
		return 0;
	for (size_t i = 0; i < list.n; i++) {
		for (size_t k = 0; k <= strlen(list.names[i]); k++)
			seen = (seen ^ (uint8_t)list.names[i][k]) * UINT64_C(0x100000001b3);
		seen = (seen ^ iso_cfg_file_look(list.names[i])) * UINT64_C(0x100000001b3);
	}
	iso_pattern_list_done(&list);
	return seen | 1;
}

const char *iso_snapshot_changed_file(const struct iso_snapshot *snapshot, uint64_t *ret_now)
{
	const char *changed = NULL;

	*ret_now = 0;
	for (const struct iso_cfg_file *file = snapshot->files; file != NULL; file = file->next) {
		uint64_t now = file->pattern ? iso_cfg_pattern_look(file->path)
					     : iso_cfg_file_look(file->path);

		if (now != file->seen)
			changed = file->path;
		*ret_now = *ret_now * 31 + now;
	}
	return changed;
}
