/*
 * A strict shell around llhttp: HTTP/1.1 requests and responses, incrementally, bodies without a copy.
 *
 * The head is gathered in the message's arena, judged byte by byte for what llhttp lets through, then parsed;
 * body bytes are given as ranges of the input. One parser serves one connection, message after message.
 */
#ifndef ISO_HTTP_H1_PARSE_H
#define ISO_HTTP_H1_PARSE_H

#include <llhttp.h>

#include "iso/base/err.h"
#include "iso/http/chunked.h"
#include "iso/http/message.h"

struct iso_h1_parser;

/* All may be NULL but head. None may begin, feed or free the parser. */
struct iso_h1_ops {
	/* A whole head; a response's 1xx heads too (after which the next head follows without `complete`). */
	void (*head)(struct iso_h1_parser *p, struct iso_head *head);
	/* Bytes of the content, inside the input of the running feed. */
	void (*body)(struct iso_h1_parser *p, const uint8_t *bytes, size_t n);
	/* Trailer fields as they came; only when there are some. */
	void (*trailers)(struct iso_h1_parser *p, const struct iso_fields *trailers);
	/* The message is over. The feed stops here; begin starts the next one. */
	void (*complete)(struct iso_h1_parser *p);
};

struct iso_h1_limits {
	size_t head_bytes; /* start line and fields */
	uint32_t fields;
};

struct iso_h1_parser {
	llhttp_t ll; /* reads heads, and bodies of a known length */
	struct iso_chunked coding;
	llhttp_settings_t settings;
	const struct iso_h1_ops *ops;
	struct iso_h1_limits limits;
	struct iso_arena *arena;
	struct iso_head head;
	struct iso_fields trailers;
	char *text; /* the head's bytes, in the arena */
	size_t text_len, text_cap;
	struct iso_slice field; /* the name that waits for its value */
	struct iso_slice value;
	const char *why;                /* words of ISO_EBAD, static */
	enum iso_method request_method; /* responses: of the request they answer */
	uint16_t status;                /* the answer that ISO_EBAD calls for */
	uint8_t state;
	uint8_t leading; /* bytes of an empty line before the request line */
	uint8_t interim; /* 1xx heads of this response */
	bool upgrade;    /* responses: the request asked for one, so a 101 ends the parser's work */
	bool response, keep_alive, chunked, in_trailers, host_seen, te_seen, cl_seen;
};

void iso_h1_parser_init(struct iso_h1_parser *p, bool response, const struct iso_h1_ops *ops,
			const struct iso_h1_limits *limits);
/* The next message; its memory is the arena's. request_method: for responses (HEAD has no content). */
void iso_h1_parser_begin(struct iso_h1_parser *p, struct iso_arena *arena, enum iso_method request_method);
/*
 * ISO_OK: *ret_used bytes are done with; fewer than n when the message is complete.
 * ISO_EBAD: the message is refused, p->why and p->status say why; the connection is lost for further
 * messages. ISO_ENOMEM: the arena is exhausted.
 */
ISO_MUST_USE int iso_h1_parser_feed(struct iso_h1_parser *p, const uint8_t *bytes, size_t n,
				    size_t *ret_used);
/*
 * The peer has closed. ISO_OK: the message is complete now, or none had begun (nothing is called then).
 * ISO_EEOF: it was cut off.
 */
ISO_MUST_USE int iso_h1_parser_eof(struct iso_h1_parser *p);
/* Whether bytes of a message have come already. */
bool iso_h1_parser_begun(const struct iso_h1_parser *p);

#endif
