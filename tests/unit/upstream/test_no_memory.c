/*
 * Slots, boards, evidence and pools without memory.
 */
#include "sweep.h"

#include "iso/upstream/holds.h"
#include "iso/upstream/upstream.h"

enum { REGIONS = 6 };

static struct iso_loop loop;

static void fill_snapshot(struct iso_snapshot *snapshot, struct iso_cfg_service *service, uint64_t generation)
{
	static const char *const names[REGIONS] = { "a", "b", "c", "d", "e", "f" };

	memset(snapshot, 0, sizeof(*snapshot));
	memset(service, 0, sizeof(*service));
	snapshot->generation = generation;
	snapshot->services = service;
	snapshot->service_count = 1;
	service->name = ISO_SLICE("s");
	service->region_count = REGIONS;
	for (uint32_t i = 0; i < REGIONS; i++) {
		service->regions[i].name = service->regions[i].identity = iso_slice_str(names[i]);
		service->regions[i].host = ISO_SLICE("127.0.0.1");
		service->regions[i].port = 9;
	}
}

/* A bind that fails can be made again, with the same slots. */
static void bind_regions(void)
{
	static struct iso_registry registry;
	static struct iso_snapshot snapshot;
	static struct iso_cfg_service service;
	uint64_t seen = 0;
	int err;

	fill_snapshot(&snapshot, &service, 1);
	iso_registry_init(&registry);
	sweep_arm();
	err = iso_registry_bind(&registry, &snapshot);
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(iso_registry_bind(&registry, &snapshot), ISO_OK);
	for (uint32_t i = 0; i < REGIONS; i++) {
		assert_true(service.regions[i].slot < ISO_REGION_SLOTS);
		assert_true((seen >> service.regions[i].slot & 1) == 0); /* each its own */
		seen |= UINT64_C(1) << service.regions[i].slot;
	}
	iso_registry_done(&registry);
}

static void make_what_is_shared(void)
{
	static struct iso_board_stand stand;
	static struct iso_evidence evidence;
	int err;

	memset(&evidence, 0, sizeof(evidence));
	sweep_arm();
	err = iso_board_stand_init(&stand);
	if (err == ISO_OK) {
		err = iso_evidence_init(&evidence);
		if (err != ISO_OK)
			iso_board_stand_done(&stand);
	}
	sweep_disarm();
	sweep_tells(err);
	if (err != ISO_OK)
		return;
	iso_evidence_done(&evidence);
	iso_board_stand_done(&stand);
}

static void make_holds(void)
{
	static const uint64_t seed[2] = { 1, 2 };
	struct iso_holds *holds = NULL;
	int err;

	sweep_arm();
	err = iso_holds_new(seed, &holds);
	sweep_disarm();
	sweep_tells(err);
	assert_true((err == ISO_OK) == (holds != NULL));
	iso_holds_free(holds);
}

static void make_pools(void)
{
	static struct iso_registry registry;
	static struct iso_snapshot snapshot;
	static struct iso_cfg_service service;
	static struct iso_board_stand stand;
	static struct iso_evidence evidence;
	static struct iso_upstream upstream;
	int err;

	fill_snapshot(&snapshot, &service, 1);
	atomic_store(&snapshot.shared.refs, 1); /* ours: the pools let go of theirs */
	iso_registry_init(&registry);
	assert_int_equal(iso_registry_bind(&registry, &snapshot), ISO_OK);
	assert_int_equal(iso_board_stand_init(&stand), ISO_OK);
	assert_int_equal(iso_evidence_init(&evidence), ISO_OK);
	sweep_arm();
	err = iso_upstream_init(&upstream, &loop, &stand, &evidence, 0);
	if (err == ISO_OK)
		err = iso_upstream_bind(&upstream, &snapshot);
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(iso_upstream_bind(&upstream, &snapshot), ISO_OK); /* and the next one is whole */
	for (uint32_t i = 0; i < REGIONS; i++)
		assert_non_null(upstream.pools[service.regions[i].slot]);
	iso_upstream_done(&upstream);
	assert_int_equal(atomic_load(&snapshot.shared.refs), 1);
	iso_loop_run_leftovers(&loop);
	iso_evidence_done(&evidence);
	iso_board_stand_done(&stand);
	iso_registry_done(&registry);
}

static int setup(void **state)
{
	(void)state;
	return iso_loop_init(&loop, 64);
}

static int teardown(void **state)
{
	(void)state;
	iso_loop_done(&loop);
	return 0;
}

static void test_registry(void **state)
{
	(void)state;
	sweep(bind_regions, REGIONS);
}

static void test_board_and_evidence(void **state)
{
	(void)state;
	sweep(make_what_is_shared, 2);
}

static void test_holds(void **state)
{
	(void)state;
	sweep(make_holds, 1);
}

static void test_pools(void **state)
{
	(void)state;
	sweep(make_pools, REGIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_board_and_evidence),
		cmocka_unit_test(test_holds),
		cmocka_unit_test(test_pools),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
