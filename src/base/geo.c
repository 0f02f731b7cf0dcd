/*
 * See geo.h. The haversine formula: unlike the law of cosines it is exact for short ways too.
 */
#include "iso/base/geo.h"

#include <math.h>

#include "iso/base/err.h"

#define EARTH_KM 6371.0088 /* the mean radius of the International Union of Geodesy and Geophysics */

int iso_geo_point_of(double latitude, double longitude, struct iso_geo_point *ret_point)
{
	/* The comparisons are false for what is no number. */
	if (!(latitude >= -90 && latitude <= 90 && longitude >= -180 && longitude <= 180))
		return ISO_EBAD;
	*ret_point = (struct iso_geo_point){ (int32_t)lround(latitude * 1e6),
					     (int32_t)lround(longitude * 1e6) };
	return ISO_OK;
}

static double radians(int32_t millionths)
{
	return millionths * (M_PI / 180e6);
}

uint32_t iso_geo_km(struct iso_geo_point a, struct iso_geo_point b)
{
	double from = radians(a.latitude), to = radians(b.latitude);
	double north = sin((to - from) / 2);
	double east = sin((radians(b.longitude) - radians(a.longitude)) / 2);
	double half = north * north + cos(from) * cos(to) * east * east;

	return (uint32_t)lround(2 * EARTH_KM * asin(sqrt(fmin(half, 1))));
}
