/*
 * Letters to a loop from any thread: a lock-free stack that the loop takes whole and an eventfd that wakes it
 * when the box was empty. The sender owns a letter until it is posted, the receiver's `deliver` from then on.
 */
#ifndef ISO_NET_MAILBOX_H
#define ISO_NET_MAILBOX_H

#include <stdatomic.h>
#include <stdint.h>

struct iso_letter {
	struct iso_letter *next;
	void (*deliver)(struct iso_letter *letter); /* on the receiving loop; owns the letter */
};

struct iso_mailbox {
	struct { /* shared */
		_Atomic(struct iso_letter *) top;
	} shared;
	int fd; /* eventfd */
};

int iso_mailbox_init(struct iso_mailbox *box) __attribute__((warn_unused_result));
/* Letters still inside are delivered first. */
void iso_mailbox_done(struct iso_mailbox *box);
/* Any thread. */
void iso_mailbox_post(struct iso_mailbox *box, struct iso_letter *letter);
/* The owning loop: delivers all letters in the order they were posted. */
void iso_mailbox_drain(struct iso_mailbox *box);

#endif
