/*
 * Points on the earth, and how far they are apart. Pure.
 */
#ifndef ISO_BASE_GEO_H
#define ISO_BASE_GEO_H

#include <stdint.h>

/* In millionths of a degree; north and east are positive. */
struct iso_geo_point {
	int32_t latitude, longitude;
};

/* From degrees. ISO_OK; ISO_EBAD: beyond 90 or 180 degrees, or no finite number. */
int iso_geo_point_of(double latitude, double longitude, struct iso_geo_point *ret_point)
	__attribute__((warn_unused_result));
/* Along the great circle of a sphere, rounded: at most 20,015, and within 0.6 % of the way on the ellipsoid.
 */
uint32_t iso_geo_km(struct iso_geo_point a, struct iso_geo_point b);

#endif
