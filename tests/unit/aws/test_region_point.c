/*
 * Regions on the map: each code is known, stands on its continent, and its neighbours are near.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "iso/aws/region_point.h"

static struct iso_geo_point at(const char *code)
{
	struct iso_geo_point p = { 0, 0 };

	if (!iso_aws_region_point(iso_slice_str(code), &p))
		fail_msg("%s is a region", code);
	return p;
}

/* A box in degrees for each part of the world that a code begins with. */
static void test_every_region_is_on_its_continent(void **state)
{
	static const struct {
		const char *codes[20];
		int south, north, west, east;
	} parts[] = {
		{ { "us-east-1", "us-east-2", "us-west-1", "us-west-2" }, 32, 48, -125, -75 },
		{ { "ca-central-1", "ca-west-1" }, 43, 55, -125, -60 },
		{ { "mx-central-1" }, 15, 30, -110, -88 },
		{ { "sa-east-1" }, -30, -20, -50, -42 },
		{ { "eu-central-1", "eu-central-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1",
		    "eu-south-1", "eu-south-2" },
		  40,
		  60,
		  -8,
		  20 },
		{ { "af-south-1" }, -35, -30, 17, 20 },
		{ { "me-south-1", "me-central-1", "il-central-1" }, 22, 34, 33, 57 },
		{ { "ap-south-1", "ap-south-2" }, 15, 25, 70, 82 },
		{ { "ap-northeast-1", "ap-northeast-2", "ap-northeast-3" }, 33, 39, 125, 141 },
		{ { "ap-east-1", "ap-east-2", "ap-southeast-7" }, 12, 27, 99, 123 },
		{ { "ap-southeast-1", "ap-southeast-3", "ap-southeast-5" }, -8, 5, 100, 108 },
		{ { "ap-southeast-2", "ap-southeast-4", "ap-southeast-6" }, -40, -32, 143, 176 },
	};
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (size_t k = 0; parts[i].codes[k] != NULL; k++, seen++) {
			struct iso_geo_point p = at(parts[i].codes[k]);

			assert_true(p.latitude > parts[i].south * 1000000 &&
				    p.latitude < parts[i].north * 1000000);
			assert_true(p.longitude > parts[i].west * 1000000 &&
				    p.longitude < parts[i].east * 1000000);
		}
	}
	assert_int_equal(seen, 34);
}

/* Distances of the cities as a map has them, within 60 km. */
static void test_distances_of_some(void **state)
{
	static const struct {
		const char *a, *b;
		uint32_t km;
	} cases[] = {
		{ "eu-west-2", "eu-west-3", 344 },           { "eu-central-1", "eu-central-2", 306 },
		{ "ap-northeast-1", "ap-northeast-3", 396 }, { "ap-southeast-2", "ap-southeast-4", 714 },
		{ "eu-west-1", "eu-west-2", 464 },           { "ap-south-1", "ap-south-2", 622 },
		{ "ap-southeast-1", "ap-southeast-5", 309 }, { "ca-central-1", "ca-west-1", 3010 },
		{ "me-south-1", "me-central-1", 482 },       { "eu-north-1", "eu-south-1", 1650 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t km = iso_geo_km(at(cases[i].a), at(cases[i].b));

		if (abs((int)km - (int)cases[i].km) > 60)
			fail_msg("%s and %s: %u km", cases[i].a, cases[i].b, km);
	}
}

static void test_what_is_no_region(void **state)
{
	static const char *const bad[] = { "",           "us",         "us-east",    "us-east-3",
					   "US-EAST-1",  "us-east-1 ", "us-east-1a", "us-gov-west-1",
					   "cn-north-1", "eu-west-10", "use1",       "europe",
					   "primary" };
	struct iso_geo_point p = { 5, 6 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(iso_aws_region_point(iso_slice_str(bad[i]), &p));
	assert_int_equal(p.latitude, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_region_is_on_its_continent),
		cmocka_unit_test(test_distances_of_some),
		cmocka_unit_test(test_what_is_no_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
