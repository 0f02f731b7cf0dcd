/*
 * A document of a running proxy's admin API.
 */
#ifndef ISO_PROXY_ADMIN_GET_H
#define ISO_PROXY_ADMIN_GET_H

#include "iso/base/text.h"

/*
 * GET target from "host:port"; waits 10 s at most. The content is appended to `text`; 0, with words on
 * stderr: no answer. Else the status.
 */
int admin_get(const char *address, const char *target, struct iso_text *text);
/* The same, waiting `wait_us` at most from first to last. */
int admin_get_within(const char *address, const char *target, uint64_t wait_us, struct iso_text *text);

#endif
