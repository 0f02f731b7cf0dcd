/*
 * Distances: parts of the sphere whose length is known, the date line, the poles; points that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "iso/base/err.h"
#include "iso/base/geo.h"

static uint32_t km(double a, double b, double c, double d)
{
	struct iso_geo_point from, to;
	uint32_t there;

	assert_int_equal(iso_geo_point_of(a, b, &from), ISO_OK);
	assert_int_equal(iso_geo_point_of(c, d, &to), ISO_OK);
	there = iso_geo_km(from, to);
	assert_int_equal(iso_geo_km(to, from), there);
	return there;
}

/* A circumference of 2 pi x 6371.0088 = 40030.23 km. */
static void test_parts_of_a_circle(void **state)
{
	(void)state;
	assert_int_equal(km(0, 0, 0, 0), 0);
	assert_int_equal(km(-12.5, 77.1, -12.5, 77.1), 0);
	assert_int_equal(km(0, 0, 0, 90), 10008);
	assert_int_equal(km(0, 0, 90, 0), 10008);
	assert_int_equal(km(90, 0, -90, 0), 20015);
	assert_int_equal(km(0, 0, 0, 180), 20015);
	assert_int_equal(km(45, 10, -45, -170), 20015);
	assert_int_equal(km(0, 10, 0, 19), 1001); /* 9 degrees of 111.195 km */
	assert_int_equal(km(10, 5, 10.1, 5), 11);
	assert_int_equal(km(60, 0, 60, 180), 6672); /* over the pole: 60 degrees */
}

static void test_the_date_line_and_the_poles(void **state)
{
	(void)state;
	assert_int_equal(km(0, 179, 0, -179), 222);
	assert_int_equal(km(0, 180, 0, -180), 0);
	assert_int_equal(km(90, 0, 90, 123), 0);
	assert_int_equal(km(-90, -50, -90, 123), 0);
}

/* By the angle between two vectors, computed elsewhere. */
static void test_between_cities(void **state)
{
	(void)state;
	assert_int_equal(km(51.51, -0.13, 48.86, 2.35), 343);
	assert_int_equal(km(35.68, 139.69, -33.87, 151.21), 7826);
	assert_int_equal(km(37.35, -121.96, 35.68, 139.69), 8331);
}

static void test_what_is_no_point(void **state)
{
	static const double bad[][2] = { { 90.0001, 0 },     { -90.0001, 0 },   { 0, 180.0001 },
					 { 0, -180.0001 },   { 1e300, 0 },      { 0, -1e300 },
					 { (double)NAN, 0 }, { 0, (double)NAN } };
	struct iso_geo_point p = { 1, 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(iso_geo_point_of(bad[i][0], bad[i][1], &p), ISO_EBAD);
	assert_int_equal(iso_geo_point_of((double)INFINITY, 0, &p), ISO_EBAD);
	assert_int_equal(p.latitude, 1);
	assert_int_equal(iso_geo_point_of(-89.9999995, 0.0000004, &p), ISO_OK);
	assert_in_range(p.latitude + 90000000, 0, 1);
	assert_int_equal(p.longitude, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_a_circle),
		cmocka_unit_test(test_the_date_line_and_the_poles),
		cmocka_unit_test(test_between_cities),
		cmocka_unit_test(test_what_is_no_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
