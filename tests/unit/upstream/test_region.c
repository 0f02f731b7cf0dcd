/*
 * Slots: an identity keeps its own over reloads, wherever it stands; one that is gone is not reused at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/upstream/region.h"

struct file {
	struct iso_snapshot snapshot;
	struct iso_cfg_service services[ISO_SERVICE_SLOTS + 1];
};

/* Services by name, each with one region of the same identity, of this generation. */
static void write_file(struct file *file, uint64_t generation, const char *names)
{
	memset(file, 0, sizeof(*file));
	file->snapshot.generation = generation;
	file->snapshot.services = file->services;
	for (const char *name = names; *name != '\0'; name++) {
		struct iso_cfg_service *service = &file->services[file->snapshot.service_count++];

		service->name = service->regions[0].identity = iso_slice(name, 1);
		service->region_count = 1;
	}
}

static int setup(void **state)
{
	struct iso_registry *registry = calloc(1, sizeof(*registry));

	assert_non_null(registry);
	iso_registry_init(registry);
	*state = registry;
	return 0;
}

static int teardown(void **state)
{
	iso_registry_done(*state);
	free(*state);
	return 0;
}

static void take(struct iso_registry *registry, struct file *file, uint64_t generation, const char *names)
{
	write_file(file, generation, names);
	assert_int_equal(iso_registry_bind(registry, &file->snapshot), ISO_OK);
}

static void test_a_place_in_the_file_is_no_identity(void **state)
{
	struct file *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

	take(*state, a, 1, "xyz");
	take(*state, b, 2, "nzxy");
	for (int i = 0; i < 3; i++) {
		int there = i == 2 ? 1 : i + 2;

		assert_int_equal(a->services[i].slot, b->services[there].slot);
		assert_int_equal(a->services[i].regions[0].slot, b->services[there].regions[0].slot);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_not_equal(b->services[0].slot, a->services[i].slot);
		assert_int_not_equal(b->services[0].regions[0].slot, a->services[i].regions[0].slot);
	}
	free(a);
	free(b);
}

static void test_new_ones_are_known_by_their_generation(void **state)
{
	struct iso_registry *registry = *state;
	struct file *f = calloc(1, sizeof(*f));

	take(registry, f, 1, "x");
	take(registry, f, 2, "xy");
	assert_int_equal(registry->services[f->services[0].slot].since, 1);
	assert_int_equal(registry->services[f->services[1].slot].since, 2);
	assert_int_equal(registry->slots[f->services[1].regions[0].slot].since, 2);
	free(f);
}

static void test_a_slot_outlives_one_generation(void **state)
{
	struct iso_registry *registry = *state;
	struct file *f = calloc(1, sizeof(*f));
	uint32_t of_x;

	take(registry, f, 1, "x");
	of_x = f->services[0].regions[0].slot;
	registry->slots[of_x].drained = true;
	take(registry, f, 2, "y");
	assert_int_not_equal(f->services[0].regions[0].slot, of_x);
	assert_true(registry->slots[of_x].drained);
	take(registry, f, 3, "yz");
	assert_int_equal(f->services[1].regions[0].slot, of_x);
	assert_false(registry->slots[of_x].drained);
	assert_int_equal(registry->slots[of_x].since, 3);
	free(f);
}

/* What still runs of a region that has gone would be taken for the one that gets its slot. */
static void test_a_busy_slot_goes_last(void **state)
{
	struct iso_registry *registry = *state;
	struct file *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

	take(registry, a, 1, "xy");
	take(registry, b, 2, "y");
	registry->busy[a->services[0].regions[0].slot] = true;
	take(registry, b, 3, "yz");
	assert_int_equal(b->services[0].regions[0].slot, a->services[1].regions[0].slot);
	assert_int_not_equal(b->services[1].regions[0].slot, a->services[0].regions[0].slot);
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++)
		registry->busy[i] = true;
	take(registry, b, 5, "yzw"); /* better such a one than none */
	free(a);
	free(b);
}

static void test_too_many(void **state)
{
	static const char names[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-*";
	struct file *f = calloc(1, sizeof(*f));

	write_file(f, 1, names);
	assert_int_equal(f->snapshot.service_count, ISO_SERVICE_SLOTS + 1);
	assert_int_equal(iso_registry_bind(*state, &f->snapshot), ISO_ELIMIT);
	f->snapshot.service_count--;
	assert_int_equal(iso_registry_bind(*state, &f->snapshot), ISO_OK);
	free(f);
}

/* Routes that are measured by themselves: numbered from 1, each as long as the file names it, and once more.
 */
static void test_tracks(void **state)
{
	struct iso_registry *registry = *state;
	struct iso_snapshot *s = calloc(1, sizeof(*s));
	char names[2 * ISO_TRACKS_MAX][8];

	assert_non_null(s);
	for (uint32_t i = 0; i < 2 * ISO_TRACKS_MAX; i++)
		(void)snprintf(names[i], sizeof(names[i]), "s/%u", i);
	s->generation = 1;
	s->track_count = ISO_TRACKS_MAX;
	for (uint32_t i = 0; i < ISO_TRACKS_MAX; i++)
		s->tracks[i].identity = iso_slice_str(names[i]);
	assert_int_equal(iso_registry_bind(registry, s), ISO_OK);
	for (uint32_t i = 0; i < ISO_TRACKS_MAX; i++)
		assert_int_equal(s->tracks[i].number, i + 1);
	/* As many others beside them, while workers may be a step behind. */
	s->generation = 2;
	for (uint32_t i = 0; i < ISO_TRACKS_MAX; i++)
		s->tracks[i].identity = iso_slice_str(names[ISO_TRACKS_MAX + i]);
	assert_int_equal(iso_registry_bind(registry, s), ISO_OK);
	for (uint32_t i = 0; i < ISO_TRACKS_MAX; i++)
		assert_int_equal(s->tracks[i].number, ISO_TRACKS_MAX + i + 1);
	/* In another order, and one of the first: it is new, in a slot that is free again. */
	s->generation = 3;
	s->track_count = 3;
	s->tracks[0].identity = iso_slice_str(names[ISO_TRACKS_MAX + 5]);
	s->tracks[1].identity = iso_slice_str(names[ISO_TRACKS_MAX]);
	s->tracks[2].identity = iso_slice_str(names[7]);
	assert_int_equal(iso_registry_bind(registry, s), ISO_OK);
	assert_int_equal(s->tracks[0].number, ISO_TRACKS_MAX + 6);
	assert_int_equal(s->tracks[1].number, ISO_TRACKS_MAX + 1);
	assert_int_equal(s->tracks[2].number, 1);
	assert_int_equal(registry->tracks[0].since, 3);
	free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_place_in_the_file_is_no_identity),
		TEST(test_new_ones_are_known_by_their_generation),
		TEST(test_a_slot_outlives_one_generation),
		TEST(test_a_busy_slot_goes_last),
		TEST(test_too_many),
		TEST(test_tracks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
