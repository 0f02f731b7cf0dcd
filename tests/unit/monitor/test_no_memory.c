/*
 * The monitor without memory: a publisher that could not be made or bound, a health answer that could not be
 * read or kept.
 */
#include "sweep.h"

#include <jansson.h>

#include "health_report_priv.h"
#include "monitor/rig.h"

static struct rig rig;

/* Beside the rig's own, over the same regions. */
static void make_and_bind(void)
{
	struct iso_publisher *pub = NULL;
	int err, bound = ISO_ENOMEM;

	sweep_arm();
	err = iso_publisher_new(&rig.loop, &rig.stand, &rig.registry, "127.0.0.1:1", &pub);
	if (err == ISO_OK)
		bound = iso_publisher_bind(pub, rig.snapshot);
	sweep_disarm();
	assert_int_equal(err == ISO_OK, pub != NULL);
	assert_true((err == ISO_OK && bound == ISO_OK) || sweep_failed());
	if (pub != NULL)
		assert_ptr_equal(iso_publisher_snapshot(pub), bound == ISO_OK ? rig.snapshot : NULL);
	iso_publisher_free(pub);
	iso_loop_run_leftovers(&rig.loop);
}

/* A route's numbers that cannot be made: the snapshot is not taken. */
static void measure(void)
{
	int err;

	rig.route = (struct iso_cfg_route){ .service = &rig.service, .track = &rig.snapshot->tracks[0] };
	rig.snapshot->tracks[0] = (struct iso_cfg_track){ ISO_SLICE("s/1"), &rig.route, 0 };
	rig.snapshot->track_count = 1;
	sweep_arm();
	err = iso_registry_bind(&rig.registry, rig.snapshot);
	if (err == ISO_OK)
		err = iso_publisher_bind(rig.pub, rig.snapshot);
	sweep_disarm();
	assert_true(err == ISO_OK || (err == ISO_ENOMEM && sweep_failed()));
	rig.snapshot->track_count = 0;
	for (int i = 0; i < 3; i++) { /* and nothing is kept */
		rig.snapshot->generation++;
		assert_int_equal(iso_registry_bind(&rig.registry, rig.snapshot), ISO_OK);
		assert_int_equal(iso_publisher_bind(rig.pub, rig.snapshot), ISO_OK);
	}
}

/* A board that cannot be made is made next time; the old one stays. */
static void publish(void)
{
	uint64_t before = atomic_load(&rig.stand.shared.version);

	sweep_arm();
	iso_publisher_run_now(rig.pub);
	sweep_disarm();
	assert_true(atomic_load(&rig.stand.shared.version) > before || sweep_failed());
	iso_publisher_run_now(rig.pub);
	assert_true(atomic_load(&rig.stand.shared.version) > before);
}

static void read_a_health_answer(void)
{
	static const char body[] =
		"{ \"status\": \"warn\", \"checks\": { \"db:latency\": [ { \"componentId\": \"db1\", "
		"\"status\": \"fail\", \"affectedEndpoints\": [ \"/orders/{id}\" ] } ], "
		"\"mail\": [ { \"status\": \"pass\" } ] } }";
	static struct iso_health_report report;

	sweep_arm();
	iso_health_parse(iso_slice_str(body), (struct iso_health_clock){ 0, 0 }, &report);
	sweep_disarm();
	assert_true(report.error == NULL || sweep_failed());
	if (report.error != NULL)
		assert_int_equal(report.n, 0);
	sweep_arm();
	iso_publisher_health(rig.pub, 0, &report);
	sweep_disarm();
}

static uint64_t turns_end;

static bool turns_passed(struct rig *r)
{
	return r->loop.turns >= turns_end;
}

static bool all_healthy(struct rig *r)
{
	return rig_region(r, 0).state == ISO_REGION_HEALTHY && rig_region(r, 1).state == ISO_REGION_HEALTHY;
}

/*
 * Probes with all that they need of ours: pools, connections, codecs, arenas, bodies. Without memory some
 * fail or are left out; with it again, both regions are found healthy.
 */
static void probe(void)
{
	memset(&rig, 0, sizeof(rig));
	rig_init(&rig, true);
	turns_end = rig.loop.turns + 40;
	sweep_arm();
	assert_true(rig_until(&rig, turns_passed));
	sweep_disarm();
	assert_true(rig_until(&rig, all_healthy));
	rig_done(&rig);
}

static int setup(void **state)
{
	(void)state;
	json_set_alloc_funcs(__wrap_malloc, free);
	memset(&rig, 0, sizeof(rig));
	rig_init(&rig, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_done(&rig);
	return 0;
}

static void test_publisher(void **state)
{
	(void)state;
	sweep(make_and_bind, 4);
	sweep(publish, 1);
	sweep(measure, 4);
}

static void test_health(void **state)
{
	(void)state;
	sweep(read_a_health_answer, 20);
}

static void test_probes(void **state)
{
	(void)state;
	sweep(probe, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probes),
		cmocka_unit_test_setup_teardown(test_publisher, setup, teardown),
		cmocka_unit_test_setup_teardown(test_health, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
