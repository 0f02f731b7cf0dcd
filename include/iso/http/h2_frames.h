/*
 * Reads the frame headers in bytes on their way to an HTTP/2 session, which tells of some kinds of frame too
 * late or never. Pure.
 */
#ifndef ISO_HTTP_H2_FRAMES_H
#define ISO_HTTP_H2_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ISO_H2_FRAME_HEADER = 9 };

/* RFC 9113 section 4.1. */
struct iso_h2_frame {
	uint32_t length;
	int32_t stream_id;
	uint8_t type, flags;
};

struct iso_h2_frames {
	uint32_t skip; /* bytes until the next frame header: a preface, a payload */
	uint8_t head[ISO_H2_FRAME_HEADER], head_len;
};

/* skip: bytes before the first frame. */
void iso_h2_frames_init(struct iso_h2_frames *f, uint32_t skip);
/*
 * The next frame header in bytes, from *at on: true when one is whole, and *at is behind it; false when the
 * input ends before, and *at is its end.
 */
bool iso_h2_frames_next(struct iso_h2_frames *f, const uint8_t *bytes, size_t n, size_t *at,
			struct iso_h2_frame *ret_frame);
/* Whether the input ended within a frame. */
bool iso_h2_frames_inside(const struct iso_h2_frames *f);

#endif
