/*
 * WebSockets as this house carries them. Inside, a request for one is a GET whose head has `protocol` set,
 * and an answer that opens one has `tunnel` set; the handshakes belong to each HTTP/1.1 connection (RFC 6455
 * section 4: key and accept) or to HTTP/2 (RFC 8441: extended CONNECT), and are made and checked by the
 * codecs. Pure.
 */
#ifndef ISO_HTTP_WEBSOCKET_H
#define ISO_HTTP_WEBSOCKET_H

#include "iso/base/err.h"
#include "iso/http/message.h"

enum { ISO_WEBSOCKET_KEY = 24, ISO_WEBSOCKET_ACCEPT = 28 };

/*
 * Whether an HTTP/1.1 request asks for a WebSocket, well formed: then the key is moved out of its fields to
 * *ret_key (in the head's memory) and `protocol` is set. Other upgrades are not: they are passed over (RFC
 * 9110 section 7.8), and so is one with content, whose bytes would be taken for the tunnel's or the next
 * request's.
 */
bool iso_websocket_take_request(struct iso_head *head, struct iso_slice *ret_key);
/* The accept value for a key (RFC 6455 section 4.2.2). */
void iso_websocket_accept(struct iso_slice key, char ret_accept[ISO_WEBSOCKET_ACCEPT]);
/* A key of 16 random bytes. */
void iso_websocket_key(const uint64_t random[2], char ret_key[ISO_WEBSOCKET_KEY]);
/* What an HTTP/1.1 message has that asks for a WebSocket (name: the key) or opens one (the accept). */
ISO_MUST_USE int iso_websocket_add_fields(struct iso_fields *fields, struct iso_arena *arena,
					  struct iso_slice name, struct iso_slice value);
/* Whether a 101 opens the WebSocket that was asked for with this key; takes the accept off. */
bool iso_websocket_take_response(struct iso_head *head, struct iso_slice key);

#endif
