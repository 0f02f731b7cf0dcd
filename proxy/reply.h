/*
 * A whole small answer through a sink: for the emulator's endpoints.
 */
#ifndef ISO_PROXY_REPLY_H
#define ISO_PROXY_REPLY_H

#include "iso/http/sink.h"

struct reply_field {
	const char *name, *value;
};

/* Sends status, fields and body (copied); a failure resets the stream. head_only: for HEAD requests. */
void reply_send(const struct iso_request *request, uint16_t status, const struct reply_field *fields,
		size_t n, struct iso_slice body);

#endif
