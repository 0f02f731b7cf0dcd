/*
 * See h2_closed.h.
 */
#include "iso/http/h2_closed.h"

#include <stdlib.h>

void iso_h2_closed_init(struct iso_h2_closed *c, uint32_t cap)
{
	*c = (struct iso_h2_closed){ .cap = cap };
}

void iso_h2_closed_done(struct iso_h2_closed *c)
{
	free(c->resets);
	c->resets = NULL;
}

void iso_h2_closed_opened(struct iso_h2_closed *c, int32_t stream_id)
{
	c->last_id = stream_id;
}

void iso_h2_closed_reset(struct iso_h2_closed *c, int32_t stream_id)
{
	if (c->resets == NULL)
		c->resets = calloc(c->cap, sizeof(*c->resets));
	if (c->resets != NULL)
		c->resets[c->count++ % c->cap] = stream_id;
}

bool iso_h2_closed_is_late(const struct iso_h2_closed *c, int32_t stream_id)
{
	if (stream_id > c->last_id)
		return false;
	for (uint32_t i = 0; c->resets != NULL && i < c->cap; i++)
		if (c->resets[i] == stream_id)
			return false;
	return true;
}
