/*
 * RFC 9113 section 6.9.2: a SETTINGS frame that takes any stream's window beyond 2^31-1 is an error of the
 * connection. nghttp2 ends the streams concerned alone; this tells of it.
 */
#ifndef ISO_HTTP_H2_WINDOW_H
#define ISO_HTTP_H2_WINDOW_H

#include <nghttp2/nghttp2.h>

#include <stdbool.h>

struct iso_h2_window {
	int64_t initial, widest; /* the peer's, before its SETTINGS */
};

/* SETTINGS begin. Then iso_h2_window_stream for each open stream. */
void iso_h2_window_begin(struct iso_h2_window *window, nghttp2_session *session);
void iso_h2_window_stream(struct iso_h2_window *window, nghttp2_session *session, int32_t stream_id);
/* They have been taken: whether a window went beyond what there is. */
bool iso_h2_window_burst(const struct iso_h2_window *window, nghttp2_session *session);

#endif
