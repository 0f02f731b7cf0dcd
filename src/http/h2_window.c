/*
 * See h2_window.h.
 */
#include "iso/http/h2_window.h"

static int64_t initial_of(nghttp2_session *session)
{
	return nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
}

void iso_h2_window_begin(struct iso_h2_window *window, nghttp2_session *session)
{
	window->initial = window->widest = initial_of(session);
}

void iso_h2_window_stream(struct iso_h2_window *window, nghttp2_session *session, int32_t stream_id)
{
	int64_t size = nghttp2_session_get_stream_remote_window_size(session, stream_id);

	if (size > window->widest)
		window->widest = size;
}

bool iso_h2_window_burst(const struct iso_h2_window *window, nghttp2_session *session)
{
	return window->widest + initial_of(session) - window->initial > INT32_MAX;
}
