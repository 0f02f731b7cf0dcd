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
#include "publisher_priv.h"
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

static void learn_route(struct pair *pair)
{
	rig_measure(&pair->from, "s/1");
	for (int i = 0; i < 100; i++)
		rig_push_by(&pair->from, 1, 1, 300000);
	iso_publisher_run_now(pair->from.pub);
}

static void test_routes_too(void **state)
{
	struct pair *pair = *state;
	struct iso_track_report report;
	json_t *root;
	uint32_t regions;

	learn_route(pair);
	root = written(pair);
	assert_int_equal(json_object_size(json_object_get(json_object_get(root, "routes"), "s/1")), 1);
	put(pair, root);
	rig_measure(&pair->to, "s/1");
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	report = rig_track(&pair->to);
	assert_false(report.lanes[0].own);
	assert_true(report.lanes[1].own);
	assert_in_range(report.lanes[1].estimate_us, 299000, 301000);
}

/* Another route, or nothing that was ever a route's number: it begins anew. */
static void test_routes_that_are_none(void **state)
{
	struct pair *pair = *state;
	const char *member = "then_at";
	uint32_t regions;
	json_t *root;

	learn_route(pair);
	put(pair, written(pair));
	rig_measure(&pair->to, "s/2");
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_false(rig_track(&pair->to).lanes[1].own);
	rig_measure(&pair->to, "s/1");
	root = written(pair);
	assert_int_equal(
		json_object_set_new(json_object_get(json_object_get(json_object_get(root, "routes"), "s/1"),
						    "b"),
				    member, json_integer(2)),
		0);
	put(pair, root);
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_int_equal(regions, 2);
	assert_false(rig_track(&pair->to).lanes[1].own);
	root = written(pair);
	assert_int_equal(json_object_set_new(root, "routes", json_pack("[i]", 1)), 0);
	put(pair, root);
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_false(rig_track(&pair->to).lanes[1].own);
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

static bool is_resolved(struct rig *rig)
{
	return rig->pub->slots[0].stats.endpoints.count == 1;
}

static json_t *endpoints_of(struct pair *pair, json_t *root)
{
	return json_object_get(json_object_get(json_object_get(root, "regions"),
					       pair->from.registry.slots[0].identity),
			       "endpoints");
}

static void address_of(const struct rig *rig, char *ret_text, size_t size)
{
	(void)snprintf(ret_text, size, "127.0.0.1:%u", rig->servers[0].port);
}

/* 20 ms and 3 ms of them the network's; once the same under the other process's address, and once one that is
 * out under an address that DNS has not named there yet. */
static void hand_over_endpoints(struct pair *pair)
{
	struct iso_endpoint_stat *known = &pair->from.pub->slots[0].stats.endpoints.v[0];
	uint64_t now_us = pair->from.loop.now_us;
	char here[64], there[64];
	json_t *root, *endpoints, *out;

	assert_true(rig_until(&pair->from, is_resolved));
	assert_true(rig_until(&pair->to, is_resolved));
	for (int i = 0; i < 50; i++) {
		iso_estimate_good(&known->estimate, 20000, now_us);
		(void)iso_ewma_update(&known->rtt, 3000, now_us);
	}
	known->probe_fails = 2;
	root = written(pair);
	endpoints = endpoints_of(pair, root);
	address_of(&pair->from, here, sizeof(here));
	address_of(&pair->to, there, sizeof(there));
	assert_int_equal(json_object_size(endpoints), 1);
	out = json_deep_copy(json_object_get(endpoints, here));
	assert_non_null(out);
	assert_int_equal(json_object_set(endpoints, there, json_object_get(endpoints, here)), 0);
	assert_int_equal(json_object_set_new(out, "outlier.ejected", json_true()), 0);
	assert_int_equal(
		json_object_set_new(out, "outlier.until_us", json_integer((json_int_t)now_us + 5000000)), 0);
	assert_int_equal(json_object_set_new(endpoints, "[2001:db8::1]:443", out), 0);
	put(pair, root);
}

static void test_addresses_are_known_once_dns_names_them(void **state)
{
	struct pair *pair = *state;
	struct iso_endpoint_stats *es = &pair->to.pub->slots[0].stats.endpoints;
	struct iso_board_region board = { .endpoint_count = 2, .endpoints_epoch = 77 };
	uint32_t regions = 0;

	hand_over_endpoints(pair);
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_int_equal(regions, 2);
	assert_int_equal(es->count, 1);
	assert_true(es->v[0].listed);
	assert_in_range(iso_estimate_usual_us(&es->v[0].estimate), 19990, 20010);
	assert_in_range(iso_endpoint_stats_rtt_us(es), 2990, 3010);
	assert_int_equal(es->v[0].probe_fails, 2);
	assert_false(es->v[0].outlier.ejected);
	board.endpoints[0].addr = es->v[0].addr;
	assert_int_equal(iso_sockaddr_parse("2001:db8::1", 443, &board.endpoints[1].addr), ISO_OK);
	board.endpoints[0].usable = board.endpoints[1].usable = true;
	iso_endpoint_stats_bind(es, &board);
	assert_in_range(iso_estimate_usual_us(&es->v[0].estimate), 19990, 20010);
	assert_true(es->v[1].outlier.ejected);
	assert_string_equal(es->v[1].outlier.words, "ejected before the upgrade");
	assert_in_range(iso_estimate_usual_us(&es->v[1].estimate), 19990, 20010);
}

/* What is not understood of one is left out; the others and the region stay. A version without them is none.
 */
static void test_addresses_that_are_none(void **state)
{
	struct pair *pair = *state;
	struct iso_endpoint_stats *es = &pair->to.pub->slots[0].stats.endpoints;
	uint32_t regions = 0;
	json_t *root, *endpoints;
	char there[64];

	address_of(&pair->to, there, sizeof(there));
	hand_over_endpoints(pair);
	root = written(pair);
	endpoints = endpoints_of(pair, root);
	assert_int_equal(json_object_set_new(endpoints, there, json_pack("{s:i}", "probe_fails", 1)), 0);
	assert_int_equal(json_object_set_new(endpoints, "here:443", json_object()), 0);
	assert_int_equal(json_object_set_new(endpoints, "", json_integer(1)), 0);
	put(pair, root);
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_int_equal(regions, 2);
	assert_int_equal(es->v[0].probe_fails, 0);
	root = written(pair);
	assert_int_equal(json_object_del(json_object_get(json_object_get(root, "regions"),
							 pair->from.registry.slots[0].identity),
					 "endpoints"),
			 0);
	put(pair, root);
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_int_equal(regions, 2);
	assert_int_equal(iso_estimate_usual_us(&es->v[0].estimate), 0);
}

/* More than a region can have are as many as it can have. */
static void test_too_many_addresses(void **state)
{
	struct pair *pair = *state;
	json_t *root, *endpoints;
	uint32_t regions = 0;
	char text[64];

	assert_true(rig_until(&pair->from, is_resolved));
	root = written(pair);
	endpoints = endpoints_of(pair, root);
	address_of(&pair->from, text, sizeof(text));
	for (unsigned int i = 0; i < 3 * ISO_ENDPOINTS_MAX; i++) {
		char address[64];

		(void)snprintf(address, sizeof(address), "192.0.2.%u:443", i);
		assert_int_equal(json_object_set(endpoints, address, json_object_get(endpoints, text)), 0);
	}
	put(pair, root);
	assert_int_equal(iso_learnt_read(pair->to.pub, pair->fd, &regions), ISO_OK);
	assert_int_equal(pair->to.pub->slots[0].left->count, ISO_ENDPOINTS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_one_knows_the_other_does),
		TEST(test_routes_too),
		TEST(test_routes_that_are_none),
		TEST(test_other_regions_are_none),
		TEST(test_a_wrong_member_leaves_the_region_as_it_was),
		TEST(test_what_is_no_memory_changes_nothing),
		TEST(test_addresses_are_known_once_dns_names_them),
		TEST(test_addresses_that_are_none),
		TEST(test_too_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
