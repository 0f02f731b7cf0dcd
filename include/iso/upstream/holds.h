/*
 * Which region took a client's last write, while its service wants that to count (`balance.after_write`): one
 * table of a fixed size for the whole process, shared by all workers without a lock. A hold is a 64-bit word.
 *
 * A client is a hash with a secret of the process: 14 bits name a set of four words, 26 tell the clients of a
 * set apart. Of those that look, one in 16 million is taken for another client, and follows that one's
 * writes: a longer way for a while, no more. Nobody can aim at somebody else's place. When all four words of
 * a set last still, a fifth client takes the place of the one that would have been over first, which goes by
 * the policy before its time; that is counted. Of 5,000 clients that write within the time of a hold it meets
 * one in three thousand, of 13,000 one in a hundred.
 */
#ifndef ISO_UPSTREAM_HOLDS_H
#define ISO_UPSTREAM_HOLDS_H

#include "iso/upstream/region.h"

enum { ISO_HOLDS_SETS = 16384, ISO_HOLDS_WAYS = 4 };

struct iso_holds;

/* seed: 128 bits that nobody knows. 512 KiB, which are no memory until something is held. ISO_OK or
 * ISO_ENOMEM. */
ISO_MUST_USE int iso_holds_new(const uint64_t seed[2], struct iso_holds **ret_holds);
void iso_holds_free(struct iso_holds *holds); /* NULL is fine */

/* The client of that service that is known by these bytes; never 0. */
uint64_t iso_holds_client(const struct iso_holds *holds, const struct iso_cfg_service *service,
			  struct iso_slice bytes);
/*
 * Any thread: from now on, for lasts_us and up to 66 ms more, the client is held at the region of that slot,
 * and nowhere else. now_us: loop time. True: another client's hold that still lasted had to make room.
 */
bool iso_holds_set(struct iso_holds *holds, uint64_t client, uint32_t slot, uint64_t now_us,
		   uint64_t lasts_us);
/* Any thread: the bit of the service's region where the client is held; 0: nowhere. */
uint16_t iso_holds_find(const struct iso_holds *holds, uint64_t client, const struct iso_cfg_service *service,
			uint64_t now_us);

#endif
