/*
 * Counters without memory: what cannot have its row counts in the last one, and nothing is lost.
 */
#include "sweep.h"

#include "iso/telemetry/access_log.h"
#include "iso/telemetry/metrics.h"

static struct iso_metrics m;

static void bind_rows(void)
{
	const struct iso_metrics *const all[] = { &m };
	struct iso_metrics_sums sums;
	uint64_t counted = 0;
	int err, bound = 0;

	memset(&m, 0, sizeof(m));
	sweep_arm();
	err = iso_metrics_init(&m);
	for (uint32_t row = 0; err == ISO_OK && row < 10; row++) {
		int one = iso_metrics_bind(&m, row);

		assert_true(one == ISO_OK || (one == ISO_ENOMEM && sweep_failed()));
		bound += one == ISO_OK;
	}
	sweep_disarm();
	if (err != ISO_OK) {
		sweep_tells(err);
		iso_metrics_done(&m); /* half-built */
		return;
	}
	assert_int_equal(bound == 10, !sweep_failed());
	for (uint32_t row = 0; row < 10; row++)
		iso_metrics_request(&m, row, 200);
	for (uint32_t row = 0; row < ISO_METRICS_ROWS; row++) {
		iso_metrics_sum_row(all, 1, row, &sums);
		for (int i = 0; i < ISO_METRICS_CODES; i++)
			counted += sums.codes[i];
	}
	assert_int_equal(counted, 10);
	iso_metrics_done(&m);
}

/* The scribe's own thread is not concerned. */
static void start_a_scribe(void)
{
	const struct iso_scribe_config config = { .path = "/dev/null" };
	struct iso_log_ring *ring = NULL;
	struct iso_scribe *scribe = NULL;
	int err;

	sweep_arm();
	err = iso_scribe_start(&config, &scribe);
	if (err == ISO_OK)
		err = iso_scribe_add_ring(scribe, ISO_LOG_RING_BYTES, &ring);
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(ring != NULL, err == ISO_OK);
	iso_scribe_stop(scribe);
}

static void test_scribe(void **state)
{
	(void)state;
	sweep(start_a_scribe, 4);
}

static void test_metrics(void **state)
{
	(void)state;
	sweep(bind_rows, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_metrics), cmocka_unit_test(test_scribe) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
