/*
 * See h2_guard_priv.h. Thread: the connection's loop.
 */
#include "h2_guard_priv.h"

enum {
	TYPE_DATA = 0,
	TYPE_HEADERS = 1,
	TYPE_PRIORITY = 2,
	TYPE_RST_STREAM = 3,
	TYPE_SETTINGS = 4,
	TYPE_PING = 6,
	TYPE_WINDOW_UPDATE = 8,
	TYPE_CONTINUATION = 9,
	FLAG_END_STREAM = 1,
	FLAG_PADDED = 8,
	PROTOCOL_ERROR = 1,
	STREAM_CLOSED = 5,
	ENHANCE_YOUR_CALM = 11,
	PREFACE = 24, /* RFC 9113 section 3.4 */
	WINDOW_US = 10 * 1000 * 1000,
	/* A client may open its windows after each of our frames, on the stream and on the connection. */
	UPDATES_PER_DATA = 3,
	UPDATES_PER_STREAM = 4,
	UPDATE_CREDIT_MAX = 100 * 1000,
	/* No head within limits needs more: 16 KiB each is the least that a peer may be allowed. */
	CONTINUATIONS_MAX = 64,
};

void iso_h2_guard_init(struct iso_h2_guard *g, uint32_t streams,
		       bool (*is_open)(void *arg, int32_t stream_id), void *arg)
{
	*g = (struct iso_h2_guard){ .update_credit = UPDATES_PER_STREAM, .is_open = is_open, .arg = arg };
	iso_h2_frames_init(&g->frames, PREFACE);
	iso_h2_closed_init(&g->closed, streams + ISO_GUARD_RESETS_MORE);
}

void iso_h2_guard_done(struct iso_h2_guard *g)
{
	iso_h2_closed_done(&g->closed);
}

static void roll(struct iso_h2_guard *g, uint64_t now_us)
{
	if (now_us < g->window_ends_us)
		return;
	g->window_ends_us = now_us + WINDOW_US;
	g->resets = g->control = g->empty = 0;
}

static enum iso_cut count(uint32_t *counter, uint32_t limit, enum iso_cut cut)
{
	return ++*counter > limit ? cut : ISO_CUT_NONE;
}

static enum iso_cut count_update(struct iso_h2_guard *g, const struct iso_cfg_limits *limits)
{
	if (g->update_credit > 0) {
		g->update_credit--;
		return ISO_CUT_NONE;
	}
	return count(&g->control, limits->h2_control_frames, ISO_CUT_WINDOW_UPDATE);
}

static enum iso_cut count_block(struct iso_h2_guard *g, const struct iso_cfg_limits *limits, uint8_t type,
				size_t length)
{
	if (type == TYPE_HEADERS) {
		g->block_frames = 0;
		g->block_bytes = 0;
	} else if (++g->block_frames > CONTINUATIONS_MAX) {
		return ISO_CUT_CONTINUATION;
	}
	/* Compressed, a head is hardly ever longer than decoded. */
	g->block_bytes += length;
	if (g->block_bytes > limits->header_bytes * 2)
		return ISO_CUT_CONTINUATION;
	return length == 0 ? count(&g->empty, limits->h2_empty_frames, ISO_CUT_EMPTY_FRAMES) : ISO_CUT_NONE;
}

/* type, flags, length: RFC 9113 section 4.1. */
static enum iso_cut judge(struct iso_h2_guard *g, const struct iso_cfg_limits *limits, uint8_t type,
			  uint8_t flags, size_t length)
{
	switch (type) {
	case TYPE_DATA:
		return length == 0 && (flags & FLAG_END_STREAM) == 0
			       ? count(&g->empty, limits->h2_empty_frames, ISO_CUT_EMPTY_FRAMES)
			       : ISO_CUT_NONE;
	case TYPE_HEADERS:
	case TYPE_CONTINUATION:
		return count_block(g, limits, type, length);
	case TYPE_RST_STREAM:
		return count(&g->resets, limits->h2_resets, ISO_CUT_RESETS);
	case TYPE_WINDOW_UPDATE:
		return count_update(g, limits);
	case TYPE_SETTINGS:
		return count(&g->control, limits->h2_control_frames, ISO_CUT_SETTINGS);
	case TYPE_PING:
		return count(&g->control, limits->h2_control_frames, ISO_CUT_PING);
	default: /* PRIORITY, PRIORITY_UPDATE and whatever nobody knows */
		return count(&g->control, limits->h2_control_frames, ISO_CUT_PRIORITY);
	}
}

static enum iso_cut begin_frame(struct iso_h2_guard *g, const struct iso_cfg_limits *limits,
				const struct iso_h2_frame *f)
{
	g->goaway_code = f->type == TYPE_DATA ? STREAM_CLOSED : PROTOCOL_ERROR;
	/* What nghttp2 passes over: RFC 9113 sections 5.1 and 6.3. */
	if ((f->type == TYPE_DATA && !g->is_open(g->arg, f->stream_id) &&
	     iso_h2_guard_is_late(g, f->stream_id)) ||
	    (f->type == TYPE_PRIORITY && f->stream_id == 0))
		return ISO_CUT_PROTOCOL;
	g->goaway_code = ENHANCE_YOUR_CALM;
	g->pad_next = f->type == TYPE_DATA && (f->flags & (FLAG_PADDED | FLAG_END_STREAM)) == FLAG_PADDED &&
		      f->length > 0;
	return judge(g, limits, f->type, f->flags, f->length);
}

enum iso_cut iso_h2_guard_read(struct iso_h2_guard *g, const struct iso_cfg_limits *limits, uint64_t now_us,
			       const uint8_t *bytes, size_t n)
{
	enum iso_cut cut = ISO_CUT_NONE;
	size_t at = 0;

	roll(g, now_us);
	while (at < n && cut == ISO_CUT_NONE) {
		struct iso_h2_frame frame;

		if (g->pad_next) {
			g->pad_next = false;
			if (bytes[at] + 1u == g->frames.skip) /* padding alone */
				cut = count(&g->empty, limits->h2_empty_frames, ISO_CUT_EMPTY_FRAMES);
		}
		if (cut == ISO_CUT_NONE && iso_h2_frames_next(&g->frames, bytes, n, &at, &frame))
			cut = begin_frame(g, limits, &frame);
	}
	return cut;
}

enum iso_cut iso_h2_guard_error(struct iso_h2_guard *g, const struct iso_cfg_limits *limits, uint64_t now_us)
{
	roll(g, now_us);
	return count(&g->resets, limits->h2_resets, ISO_CUT_RESETS);
}

void iso_h2_guard_sent_data(struct iso_h2_guard *g)
{
	if (g->update_credit < UPDATE_CREDIT_MAX)
		g->update_credit += UPDATES_PER_DATA;
}

void iso_h2_guard_sent_reset(struct iso_h2_guard *g, int32_t stream_id)
{
	iso_h2_closed_reset(&g->closed, stream_id);
}

bool iso_h2_guard_is_late(const struct iso_h2_guard *g, int32_t stream_id)
{
	return iso_h2_closed_is_late(&g->closed, stream_id);
}

void iso_h2_guard_opened(struct iso_h2_guard *g, int32_t stream_id)
{
	iso_h2_closed_opened(&g->closed, stream_id);
	if (g->update_credit < UPDATE_CREDIT_MAX)
		g->update_credit += UPDATES_PER_STREAM;
}

bool iso_h2_guard_in_frame(const struct iso_h2_guard *g)
{
	return iso_h2_frames_inside(&g->frames);
}
