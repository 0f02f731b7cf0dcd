/*
 * Which streams of an HTTP/2 connection we have reset: frames that the peer sent before it knew are no fault
 * of its; frames on any other stream that is over are (RFC 9113 section 5.1). Pure. Bounded: the last so
 * many.
 */
#ifndef ISO_HTTP_H2_CLOSED_H
#define ISO_HTTP_H2_CLOSED_H

#include <stdbool.h>
#include <stdint.h>

struct iso_h2_closed {
	int32_t *resets; /* a ring; NULL until there is one */
	uint32_t cap, count;
	int32_t last_id; /* the highest stream that has been opened */
};

void iso_h2_closed_init(struct iso_h2_closed *c, uint32_t cap);
void iso_h2_closed_done(struct iso_h2_closed *c);
void iso_h2_closed_opened(struct iso_h2_closed *c, int32_t stream_id);
/* RST_STREAM has been sent. Without memory a peer may be judged too harshly, no more. */
void iso_h2_closed_reset(struct iso_h2_closed *c, int32_t stream_id);
/*
 * HEADERS or DATA has come for a stream that is not open: whether that breaks RFC 9113 section 5.1 or 5.1.1
 * (a stream that was closed, or passed over) rather than crossing a reset of ours or opening a new one.
 */
bool iso_h2_closed_is_late(const struct iso_h2_closed *c, int32_t stream_id);

#endif
