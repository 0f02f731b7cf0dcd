/*
 * A snapshot's life and its one question. Any thread: the count is atomic, the rest does not change.
 */
#include "iso/config/snapshot.h"

#include <assert.h>
#include <stdlib.h>

#include "iso/policy/route.h"

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
	for (uint32_t i = 0; i < snapshot->listener_count; i++)
		iso_tls_server_unref(snapshot->listeners[i].tls);
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		for (uint32_t r = 0; r < snapshot->services[i].region_count; r++)
			iso_tls_client_unref(snapshot->services[i].regions[r].tls_client);
	}
	iso_arena_done(&snapshot->arena);
	free(snapshot);
}

const struct iso_cfg_route *iso_snapshot_route(const struct iso_snapshot *snapshot,
					       struct iso_slice authority, struct iso_slice path,
					       struct iso_slice method)
{
	uint32_t index = iso_router_find(snapshot->router, authority, path, method);

	return index != ISO_ROUTE_NONE ? &snapshot->routes[index] : NULL;
}
