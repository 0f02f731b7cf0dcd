/*
 * Heads and fields as nghttp2 wants them, for the client and the server session alike.
 */
#ifndef ISO_HTTP_H2_NV_H
#define ISO_HTTP_H2_NV_H

#include <nghttp2/nghttp2.h>

#include "iso/base/err.h"
#include "iso/http/message.h"

enum { ISO_H2_NV_MAX = 256 };

/* Fills nv (ISO_H2_NV_MAX long) with borrowed texts; ISO_OK with *ret_n, or ISO_ELIMIT. */
ISO_MUST_USE int iso_h2_nv_request(const struct iso_head *head, nghttp2_nv *nv, size_t *ret_n);
/* status_text: four bytes for the digits of :status, to live as long as nv. */
ISO_MUST_USE int iso_h2_nv_response(const struct iso_head *head, char status_text[4], nghttp2_nv *nv,
				    size_t *ret_n);
ISO_MUST_USE int iso_h2_nv_fields(const struct iso_fields *fields, nghttp2_nv *nv, size_t *ret_n);

/*
 * One field from nghttp2's on_header, copied into the arena: a pseudo-header goes to its member of head,
 * `host` to an empty authority, content-length is parsed. ISO_OK, ISO_ENOMEM, ISO_EBAD (what nghttp2 lets
 * through and we do not).
 */
ISO_MUST_USE int iso_h2_take_header(struct iso_head *head, struct iso_arena *arena, struct iso_slice name,
				    struct iso_slice value, uint8_t nv_flags);
/* A clean head: no status, no length. */
void iso_h2_head_init(struct iso_head *head);

#endif
