/*
 * Counts what costs an HTTP/2 peer nothing and us something: resets, control frames, empty frames, header
 * blocks that never end. Pure: reads the frame headers in the input before the session does, which tells of
 * some kinds of frame too late or never (unknown types, CONTINUATION, padding). Every budget is for a window
 * of ten seconds, so that a connection may live for days.
 */
#ifndef ISO_SERVER_H2_GUARD_PRIV_H
#define ISO_SERVER_H2_GUARD_PRIV_H

#include "iso/http/h2_closed.h"
#include "iso/http/h2_frames.h"
#include "iso/server/server.h"

/* Beside the streams that may run: those that a client opens before it has read how many these are. */
enum { ISO_GUARD_RESETS_MORE = 128 };

struct iso_h2_guard {
	uint64_t window_ends_us;
	uint32_t resets, control, empty;
	uint32_t update_credit; /* WINDOW_UPDATEs that our DATA frames and the peer's streams justify */
	uint32_t block_frames;  /* CONTINUATIONs of the header block that is coming in */
	uint64_t block_bytes;   /* and its compressed bytes */
	struct iso_h2_closed closed;
	struct iso_h2_frames frames;
	bool (*is_open)(void *arg, int32_t stream_id); /* as the session sees it now */
	void *arg;
	uint32_t goaway_code; /* that goes with the cut */
	bool pad_next;        /* the next byte says how much of a DATA payload is padding */
};

/* streams: how many may run. All of them may be reset at once, and frames for each be on their way. */
void iso_h2_guard_init(struct iso_h2_guard *g, uint32_t streams,
		       bool (*is_open)(void *arg, int32_t stream_id), void *arg);
void iso_h2_guard_done(struct iso_h2_guard *g);

/* The next n bytes that have come, the preface included: what the connection is to be cut for, or none. */
enum iso_cut iso_h2_guard_read(struct iso_h2_guard *g, const struct iso_cfg_limits *limits, uint64_t now_us,
			       const uint8_t *bytes, size_t n);
/* The peer has made a stream end in an error (MadeYouReset and its kin). */
enum iso_cut iso_h2_guard_error(struct iso_h2_guard *g, const struct iso_cfg_limits *limits, uint64_t now_us);
/* We have sent a DATA frame. */
void iso_h2_guard_sent_data(struct iso_h2_guard *g);
/* We have sent RST_STREAM. */
void iso_h2_guard_sent_reset(struct iso_h2_guard *g, int32_t stream_id);
/* Whether the input ended within a frame. */
bool iso_h2_guard_in_frame(const struct iso_h2_guard *g);
/* iso_h2_closed_is_late of this connection's streams. */
bool iso_h2_guard_is_late(const struct iso_h2_guard *g, int32_t stream_id);
void iso_h2_guard_opened(struct iso_h2_guard *g, int32_t stream_id);

#endif
