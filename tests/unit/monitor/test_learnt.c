/*
 * What one process has learnt, another one knows: written, read, and refused where it is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <sys/mman.h>

#include "iso/monitor/learnt.h"
#include "iso/policy/health.h"
#include "iso/stats/ewma.h"
#include "rig.h"

struct pair {
	struct rig from, to;
	int fd;
};

static int setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	rig_init(&pair->from, false);
	rig_init(&pair->to, false);
	pair->fd = memfd_create("learnt", MFD_CLOEXEC);
	assert_true(pair->fd >= 0);
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	close(pair->fd);
	rig_done(&pair->from);
	rig_done(&pair->to);
	free(pair);
	return 0;
}

/* Region 0 takes 20 ms, region 1 is ejected, and an operator has drained region 0. */
static void learn(struct rig *rig)
{
	for (int i = 0; i < 100; i++)
		rig_push(rig, 0, ISO_OUTCOME_OK, 20000);
	for (int i = 0; i < 3; i++)
		rig_push(rig, 1, ISO_OUTCOME_RESET, 1000);
	iso_publisher_run_now(rig->pub);
	assert_int_equal(rig_region(rig, 1).state, ISO_REGION_EJECTED);
	rig->registry.slots[0].drained = true;
}

static json_t *written(struct pair *pair)
{
	json_t *root;

	assert_int_equal(iso_learnt_write(pair->from.pub, pair->fd), ISO_OK);
	assert_int_equal(lseek(pair->fd, 0, SEEK_SET), 0);
	root = json_loadfd(pair->fd, 0, NULL);
	assert_non_null(root);
	return root;
}

static void put(struct pair *pair, json_t *root)
{
	assert_int_equal(ftruncate(pair->fd, 0), 0);
	assert_int_equal(lseek(pair->fd, 0, SEEK_SET), 0);
	assert_int_equal(json_dumpfd(root, pair->fd, 0), 0);
	json_decref(root);
}

static void test_what_one_knows_the_other_does(void **state)
{
	struct pair *pair = *state;
	struct iso_region_report one, two;
	uint32_t regions = 0;

	learn(&pair->from);
	put(pair, written(pair));
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_int_equal(regions, 2);
	one = rig_region(&pair->to, 0);
	two = rig_region(&pair->to, 1);
	assert_in_range(one.estimate_us, 19990, 20010);
	assert_int_equal(one.state, ISO_REGION_DRAINED);
	assert_int_equal(two.state, ISO_REGION_EJECTED);
	assert_string_equal(two.words, "ejected before the upgrade");
	assert_int_equal(two.ejected_until_us, rig_region(&pair->from, 1).ejected_until_us);
}

static void test_other_regions_are_none(void **state)
{
	struct pair *pair = *state;
	json_t *root, *regions_of;
	uint32_t regions = 7;

	learn(&pair->from);
	root = written(pair);
	regions_of = json_object_get(root, "regions");
	for (uint32_t i = 0; i < RIG_REGIONS; i++)
		assert_int_equal(json_object_del(regions_of, pair->from.registry.slots[i].identity), 0);
	assert_int_equal(json_object_size(regions_of), 0);
	put(pair, root);
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_int_equal(regions, 0);
	assert_int_equal(rig_region(&pair->to, 1).state, ISO_REGION_UNKNOWN);
}

static void spoil(struct pair *pair, const char *name, json_t *value, uint32_t expected)
{
	json_t *root = written(pair);
	json_t *region = json_object_get(json_object_get(root, "regions"),
					 pair->from.registry.slots[1].identity);
	uint32_t regions = 9;

	if (value != NULL)
		assert_int_equal(json_object_set_new(region, name, value), 0);
	else
		assert_int_equal(json_object_del(region, name), 0);
	put(pair, root);
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_int_equal(regions, expected);
	if (expected < 2)
		assert_int_equal(rig_region(&pair->to, 1).state, ISO_REGION_UNKNOWN);
}

static void test_a_wrong_member_leaves_the_region_as_it_was(void **state)
{
	struct pair *pair = *state;

	learn(&pair->from);
	spoil(pair, "estimate.live.recent_at", json_integer(ISO_EWMA_RECENT), 1);
	spoil(pair, "estimate.live.count", json_integer(-1), 1);
	spoil(pair, "estimate.live.count", json_integer(1LL << 32), 1);
	spoil(pair, "estimate.live.count", json_real(1.5), 1);
	spoil(pair, "estimate.ratio", json_string("1"), 1);
	spoil(pair, "estimate.ratio", json_real(1e9), 1);
	spoil(pair, "outlier.ejected", json_integer(1), 1);
	spoil(pair, "outlier.until_us", json_integer(INT64_MAX), 1);
	spoil(pair, "health.state", json_integer(ISO_HEALTH_DOWN + 1), 1);
	spoil(pair, "health.good", NULL, 1);
	spoil(pair, "a member of a later version", json_null(), 2);
}

static void test_what_is_no_memory_changes_nothing(void **state)
{
	static const char *const texts[] = { "",
					     "{",
					     "[]",
					     "{\"version\":1}",
					     "{\"version\":2,\"regions\":{}}",
					     "{\"version\":1,\"regions\":[]}" };
	struct pair *pair = *state;
	uint32_t regions = 7;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(ftruncate(pair->fd, 0), 0);
		assert_int_equal(pwrite(pair->fd, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
		assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_EBAD);
	}
	assert_int_equal(iso_learnt_read(pair->to.pub, -1, &regions), ISO_EBAD);
	assert_int_equal(iso_learnt_write(pair->from.pub, -1), ISO_ESYS);
	assert_int_equal(regions, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_one_knows_the_other_does),
		TEST(test_other_regions_are_none),
		TEST(test_a_wrong_member_leaves_the_region_as_it_was),
		TEST(test_what_is_no_memory_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
