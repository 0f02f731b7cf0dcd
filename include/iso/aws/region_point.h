/*
 * Where the AWS regions are: the cities or areas that AWS names them by.
 */
#ifndef ISO_AWS_REGION_POINT_H
#define ISO_AWS_REGION_POINT_H

#include <stdbool.h>

#include "iso/base/geo.h"
#include "iso/base/slice.h"

/* False: this is no code of a commercial region that is known here ("us-east-1", in lower case). */
bool iso_aws_region_point(struct iso_slice code, struct iso_geo_point *ret_point);

#endif
