/*
 * A region that is silent while something waits for it is suspect long before a timeout, and before that no
 * place for what must not run twice. Pure.
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
/*
 * Whether a region that is in is no place for a request that must not run twice: its last answer was a
 * failure, less than a second ago (failed_us; 0: it was none), or it is silent for half of the patience.
 */
bool iso_wary(uint64_t now_us, uint64_t failed_us, uint64_t silence_us, uint32_t usual_us);
/*
 * A region that has stopped shows it so by the next requests: nothing comes back in between. unheard[i]:
 * requests sent there since its last sign of life, which in one that answers is as often none as any, be it
 * fast or slow, much used or little. Of the regions that this request could go to and that are about as good
 * as the best (half of its weight or more) those with two more than another: they, and what is not that good;
 * none when there are no such.
 */
uint16_t iso_unheard(const struct iso_view *view, const uint32_t unheard[ISO_VIEW_MAX]);

#endif
