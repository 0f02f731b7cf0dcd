/*
 * What HTTP/1.1 heads must be beyond what llhttp checks: the rules that keep two parsers from reading one
 * message differently. Each returns static words of what is wrong, or NULL.
 */
#ifndef ISO_HTTP_H1_RULES_PRIV_H
#define ISO_HTTP_H1_RULES_PRIV_H

#include "iso/http/message.h"

/* Whether an empty line ends within text[0..len); *ret_end is the offset behind it. Looks from `from` - 3 on.
 */
bool iso_h1_find_end(const char *text, size_t from, size_t len, size_t *ret_end);
/* Whether a LF without its CR is among text[from..to): such a head may never end, so it is refused at once.
 */
bool iso_h1_bare_lf(const char *text, size_t from, size_t to);
/* RFC 9110 section 5.6.2 */
bool iso_h1_is_tchar(char c);
/* The lines of a trailer section, blank line included: as iso_h1_judge_bytes for those of a head. */
const char *iso_h1_judge_fields(const char *text, size_t len);
/* Line ends, control characters, folding, blanks before the colon (RFC 9112 sections 2.2, 5, 5.1, 5.2). */
const char *iso_h1_judge_bytes(const char *text, size_t len, bool response);
/* Framing, Host, target. Takes Host out of the fields into authority; sets content_length, *ret_chunked. */
const char *iso_h1_judge_request(struct iso_head *head, struct iso_arena *arena, bool *ret_chunked,
				 uint16_t *ret_status);
const char *iso_h1_judge_response(struct iso_head *head, bool upgrade, bool *ret_chunked);

#endif
