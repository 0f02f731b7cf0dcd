/*
 * The commercial regions by code. AWS publishes no addresses: each stands at the middle of the city or area
 * that its name says, which is near enough to tell one region from another. Pure.
 */
#include "iso/aws/region_point.h"

#include <stddef.h>

/* Degrees, rounded. */
#define MILLIONTHS(x) (int32_t)((x)*1e6 + ((x) < 0 ? -0.5 : 0.5))
#define AT(latitude, longitude)                                                                              \
	{                                                                                                    \
		MILLIONTHS(latitude), MILLIONTHS(longitude)                                                  \
	}

static const struct {
	const char *code;
	struct iso_geo_point point;
} regions[] = {
	{ "af-south-1", AT(-33.92, 18.42) },      /* Cape Town */
	{ "ap-east-1", AT(22.32, 114.17) },       /* Hong Kong */
	{ "ap-east-2", AT(25.03, 121.57) },       /* Taipei */
	{ "ap-northeast-1", AT(35.68, 139.69) },  /* Tokyo */
	{ "ap-northeast-2", AT(37.57, 126.98) },  /* Seoul */
	{ "ap-northeast-3", AT(34.69, 135.50) },  /* Osaka */
	{ "ap-south-1", AT(19.08, 72.88) },       /* Mumbai */
	{ "ap-south-2", AT(17.39, 78.49) },       /* Hyderabad */
	{ "ap-southeast-1", AT(1.35, 103.82) },   /* Singapore */
	{ "ap-southeast-2", AT(-33.87, 151.21) }, /* Sydney */
	{ "ap-southeast-3", AT(-6.21, 106.85) },  /* Jakarta */
	{ "ap-southeast-4", AT(-37.81, 144.96) }, /* Melbourne */
	{ "ap-southeast-5", AT(3.14, 101.69) },   /* Malaysia: Kuala Lumpur */
	{ "ap-southeast-6", AT(-36.85, 174.76) }, /* New Zealand: Auckland */
	{ "ap-southeast-7", AT(13.76, 100.50) },  /* Thailand: Bangkok */
	{ "ca-central-1", AT(45.50, -73.57) },    /* Canada: Montreal */
	{ "ca-west-1", AT(51.05, -114.07) },      /* Calgary */
	{ "eu-central-1", AT(50.11, 8.68) },      /* Frankfurt */
	{ "eu-central-2", AT(47.37, 8.54) },      /* Zurich */
	{ "eu-north-1", AT(59.33, 18.07) },       /* Stockholm */
	{ "eu-south-1", AT(45.46, 9.19) },        /* Milan */
	{ "eu-south-2", AT(41.65, -0.88) },       /* Spain: Aragon */
	{ "eu-west-1", AT(53.35, -6.26) },        /* Ireland: Dublin */
	{ "eu-west-2", AT(51.51, -0.13) },        /* London */
	{ "eu-west-3", AT(48.86, 2.35) },         /* Paris */
	{ "il-central-1", AT(32.07, 34.79) },     /* Tel Aviv */
	{ "me-central-1", AT(25.20, 55.27) },     /* United Arab Emirates: Dubai */
	{ "me-south-1", AT(26.07, 50.56) },       /* Bahrain */
	{ "mx-central-1", AT(20.59, -100.39) },   /* Mexico: Queretaro */
	{ "sa-east-1", AT(-23.55, -46.63) },      /* Sao Paulo */
	{ "us-east-1", AT(39.04, -77.49) },       /* Northern Virginia */
	{ "us-east-2", AT(39.96, -83.00) },       /* Ohio */
	{ "us-west-1", AT(37.35, -121.96) },      /* Northern California */
	{ "us-west-2", AT(45.84, -119.70) },      /* Oregon */
};

bool iso_aws_region_point(struct iso_slice code, struct iso_geo_point *ret_point)
{
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		if (!iso_slice_eq(iso_slice_str(regions[i].code), code))
			continue;
		*ret_point = regions[i].point;
		return true;
	}
	return false;
}
