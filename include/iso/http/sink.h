/*
 * The one message interface. A sink is where a message goes: the request travels from a server stream into a
 * handler's sink (exchange, admin, emulator), the response from the handler into the stream's sink. Both ends
 * live on one loop and in one arena.
 *
 * Request direction (the codec calls the handler's sink):
 *   data*, trailers?; `end` on the last piece; writable(n): n response body bytes have left for good (sent or
 *   dropped); reset(why) exactly once and last: the stream is over, ISO_RESET_NONE when both messages went
 *   through whole. Nothing is called after it and the handler's memory goes with the stream's arena.
 * Response direction (the handler calls the stream's sink):
 *   head (1xx any number of times, then one final), data*, trailers?; writable(n): n request body bytes have
 * been consumed and the window may open; reset(why): abort what is left of the response. A handler that has
 * ended or reset its response may still get writable and reset, but must not call the stream again, save for
 * a tunnel, whose directions end one by one: until both are over for the handler, writable goes on, and then
 * reset(ISO_RESET_NONE) says so. Before that the stream is not over, though the client may have ended it:
 * what it has sent may still be on its way.
 *
 * `data` moves the segments out of *data: the receiver owns them. No op calls back into its caller's sink
 * before it returns, except `writable`, which may.
 */
#ifndef ISO_HTTP_SINK_H
#define ISO_HTTP_SINK_H

#include "iso/base/buf.h"
#include "iso/http/message.h"

enum iso_reset {
	ISO_RESET_NONE = 0,
	ISO_RESET_CANCEL,     /* the peer or the handler no longer wants it */
	ISO_RESET_REFUSED,    /* provably not processed: RFC 9113 section 8.7, REFUSED_STREAM */
	ISO_RESET_PROTOCOL,   /* the message broke the protocol */
	ISO_RESET_INTERNAL,   /* our own fault, or the upstream broke off after its head */
	ISO_RESET_CONNECTION, /* the connection went away under the stream */
	ISO_RESET_TIMEOUT,
	ISO_RESET_SHUTDOWN,
};

struct iso_sink;

struct iso_sink_ops {
	void (*head)(struct iso_sink *to, const struct iso_head *head, bool end);
	void (*data)(struct iso_sink *to, struct iso_buf *data, bool end);
	void (*trailers)(struct iso_sink *to, const struct iso_fields *trailers);
	void (*writable)(struct iso_sink *to, size_t freed);
	void (*reset)(struct iso_sink *to, enum iso_reset why);
};

struct iso_sink {
	const struct iso_sink_ops *ops;
};

struct iso_loop;
struct iso_cidr_set;
struct iso_transport;

/* What a handler gets with a request head. All of it lives as long as the arena. */
struct iso_request {
	struct iso_loop *loop;
	struct iso_arena *arena;
	struct iso_head *head;
	struct iso_sink *response; /* the stream: where the answer goes */
	struct iso_slice client;   /* the peer's address and port in words: there until the reset */
	uint64_t received_us;      /* loop time at which the request began */
	const struct iso_cidr_set *trusted_proxies; /* the client is one of them; NULL: it is not */
	const struct iso_transport *transport; /* the client's connection: there until the stream's reset */
	bool tls;
	bool misdirected; /* another TLS policy holds for its authority than for its connection */
	bool end;         /* the request has no body */
};

/*
 * Takes requests from server codecs. `request` returns the sink for the rest of the request, made in the
 * arena, or NULL when it has no memory (the codec then answers 503). It must not call the response sink
 * before it returns: it posts itself on the loop (iso_task) for that.
 */
struct iso_handler {
	struct iso_sink *(*request)(struct iso_handler *handler, const struct iso_request *request);
};

#endif
