/*
 * HTTP dates (RFC 9110 section 5.6.7).
 */
#ifndef ISO_HTTP_DATE_H
#define ISO_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "iso/base/slice.h"

/*
 * A date in any of its three forms: IMF-fixdate, and the obsolete ones of RFC 850 and asctime. Seconds since
 * 1970, not before. now_s: the time now, for years of two digits: none of them is more than 50 years ahead.
 * False: it is no date; the name of the weekday is not compared with it.
 */
bool iso_http_date_parse(struct iso_slice text, uint64_t now_s, uint64_t *ret_s);

#endif
