/*
 * See h2_frames.h.
 */
#include "iso/http/h2_frames.h"

#include <string.h>

void iso_h2_frames_init(struct iso_h2_frames *f, uint32_t skip)
{
	*f = (struct iso_h2_frames){ .skip = skip };
}

static void parse(const uint8_t *h, struct iso_h2_frame *ret_frame)
{
	*ret_frame = (struct iso_h2_frame){
		.length = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2],
		.type = h[3],
		.flags = h[4],
		.stream_id = (int32_t)((uint32_t)(h[5] & 0x7f) << 24 | (uint32_t)h[6] << 16 |
				       (uint32_t)h[7] << 8 | h[8]),
	};
}

bool iso_h2_frames_next(struct iso_h2_frames *f, const uint8_t *bytes, size_t n, size_t *at,
			struct iso_h2_frame *ret_frame)
{
	size_t step = f->skip < n - *at ? f->skip : n - *at;

	f->skip -= (uint32_t)step;
	*at += step;
	step = sizeof(f->head) - f->head_len;
	step = step < n - *at ? step : n - *at;
	if (f->skip > 0 || step == 0)
		return false;
	memcpy(f->head + f->head_len, bytes + *at, step);
	f->head_len += (uint8_t)step;
	*at += step;
	if (f->head_len < sizeof(f->head))
		return false;
	parse(f->head, ret_frame);
	f->head_len = 0;
	f->skip = ret_frame->length;
	return true;
}

bool iso_h2_frames_inside(const struct iso_h2_frames *f)
{
	return f->skip > 0 || f->head_len > 0;
}
