/*
 * See h2_feed_priv.h. Thread: the connection's loop.
 */
#include "h2_feed_priv.h"

enum {
	/* More than can be cancelled within a round trip: losers of a race, clients that have gone. */
	RESETS_KEPT = 1024,
	ENDED_BITS = 1024,
};

void iso_h2_feed_init(struct iso_h2_feed *feed)
{
	iso_h2_frames_init(&feed->frames, 0);
	iso_h2_closed_init(&feed->closed, RESETS_KEPT);
	feed->ending = 0;
}

void iso_h2_feed_done(struct iso_h2_feed *feed)
{
	iso_h2_closed_done(&feed->closed);
}

/* Gives the session some of an input. False: it has failed. */
static bool give(nghttp2_session *session, const uint8_t *bytes, size_t n)
{
	return n == 0 || nghttp2_session_mem_recv(session, bytes, n) >= 0;
}

static bool ends_stream(const struct iso_h2_frame *f)
{
	return f->type == NGHTTP2_RST_STREAM || ((f->type == NGHTTP2_DATA || f->type == NGHTTP2_HEADERS) &&
						 (f->flags & NGHTTP2_FLAG_END_STREAM) != 0);
}

bool iso_h2_feed(struct iso_h2_feed *feed, const struct iso_uconn *c, nghttp2_session *session,
		 const uint8_t *bytes, size_t n)
{
	uint8_t ended[ENDED_BITS / 8] = { 0 }; /* streams whose end is in this input; some others too */
	struct iso_h2_frame f;
	uint32_t bit = (uint32_t)feed->ending / 2 % ENDED_BITS;
	size_t at = 0, fed = 0;

	if (feed->ending != 0)
		ended[bit / 8] = (uint8_t)(1u << bit % 8);
	while (iso_h2_frames_next(&feed->frames, bytes, n, &at, &f)) {
		size_t start = at > ISO_H2_FRAME_HEADER ? at - ISO_H2_FRAME_HEADER : 0;

		bit = (uint32_t)f.stream_id / 2 % ENDED_BITS;
		if ((f.type == NGHTTP2_DATA || f.type == NGHTTP2_HEADERS) && f.stream_id % 2 == 1 &&
		    ((ended[bit / 8] >> bit % 8 & 1) != 0 ||
		     nghttp2_session_find_stream(session, f.stream_id) == NULL)) {
			if (start > fed && !give(session, bytes + fed, start - fed))
				return false;
			fed = start > fed ? start : fed;
			if (c->state == ISO_UCONN_CLOSED)
				return true;
			if (nghttp2_session_find_stream(session, f.stream_id) == NULL &&
			    iso_h2_closed_is_late(&feed->closed, f.stream_id)) {
				nghttp2_session_terminate_session(session, NGHTTP2_STREAM_CLOSED);
				return false;
			}
		}
		if (f.type != NGHTTP2_CONTINUATION) /* that goes on with a HEADERS, which says it */
			feed->ending = ends_stream(&f) ? f.stream_id : 0;
		if (feed->ending != 0)
			ended[bit / 8] = (uint8_t)(ended[bit / 8] | 1u << bit % 8);
	}
	return give(session, bytes + fed, n - fed);
}
