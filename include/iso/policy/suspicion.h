/*
 * A region that is silent while something waits for it is suspect long before a timeout, and before that no
 * place for what must not run twice, nor for anything else that would be as well off elsewhere. One that has
 * just failed is no place for what must not run twice. Pure.
 */
#ifndef ISO_POLICY_SUSPICION_H
#define ISO_POLICY_SUSPICION_H

#include <stdbool.h>
#include <stdint.h>

#include "iso/policy/view.h"

/* Microseconds of silence that make suspect: max(4 x usual, 80 ms); 1 s while the usual time is unknown (0).
 */
uint64_t iso_patience_us(uint32_t usual_us);
/* How long nothing has come while the oldest of `waiting` attempts waits; 0 when nothing waits. */
uint64_t iso_silence_us(uint64_t now_us, uint64_t oldest_us, uint64_t progress_us, uint32_t waiting);
/* Whether it is silent for half of the patience. */
bool iso_quiet(uint64_t silence_us, uint32_t usual_us);
/* Whether its last answer was a failure, less than a second ago. failed_us: when; 0: it was none. */
bool iso_has_just_failed(uint64_t now_us, uint64_t failed_us);
/*
 * A region that has stopped shows it so by the next requests: nothing comes back in between. unheard[i]:
 * requests sent there since its last sign of life, which in one that answers is as often none as any, be it
 * fast or slow, much used or little. Of the regions that this request could go to and that are about as good
 * as the best (half of its weight or more) those with two more than another: they, and what is not that good;
 * none when there are no such.
 */
uint16_t iso_unheard(const struct iso_view *view, const uint32_t unheard[ISO_VIEW_MAX]);
/*
 * Which of the quiet regions (bit i: region i) a request had better avoid that may run twice: what would be
 * rescued from there if the silence goes on costs a second run. Those that owe three answers or more: a slow
 * request and a lull look like silence too, and who is avoided cannot disprove it. And only while one that is
 * neither quiet nor ramping up, and to which the request could go, is about as good as the best (half of its
 * weight or more), for then nobody waits longer. unheard: as above.
 */
uint16_t iso_spared(const struct iso_view *view, uint16_t quiet, const uint32_t unheard[ISO_VIEW_MAX]);

#endif
