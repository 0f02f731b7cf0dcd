/*
 * What a region sends over HTTP/2 on its way into nghttp2: frames on streams that are over, which it passes
 * over, are found here. Thread: the connection's loop.
 */
#ifndef ISO_UPSTREAM_H2_FEED_PRIV_H
#define ISO_UPSTREAM_H2_FEED_PRIV_H

#include <nghttp2/nghttp2.h>

#include "iso/http/h2_closed.h"
#include "iso/http/h2_frames.h"
#include "uconn_priv.h"

struct iso_h2_feed {
	struct iso_h2_frames frames;
	struct iso_h2_closed closed; /* the owner's notes of what it has opened and reset */
	int32_t ending; /* the stream that the last frame ends, which may go on in the next input; 0: none */
};

void iso_h2_feed_init(struct iso_h2_feed *feed);
void iso_h2_feed_done(struct iso_h2_feed *feed);
/*
 * Gives the session an input. nghttp2 passes over what comes for streams that are over; RFC 9113 section 5.1
 * calls it a connection error. A stream may come to its end within the input: where one is in doubt the
 * session gets what stands before the frame first. False: the session has failed, or has been ended for that.
 */
bool iso_h2_feed(struct iso_h2_feed *feed, const struct iso_uconn *c, nghttp2_session *session,
		 const uint8_t *bytes, size_t n);

#endif
