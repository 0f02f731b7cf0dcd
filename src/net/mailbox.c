/*
 * A Treiber stack that is taken whole, so that there is no ABA, and an eventfd for the first letter.
 */
#include "iso/net/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "iso/base/err.h"

int iso_mailbox_init(struct iso_mailbox *box)
{
	atomic_init(&box->shared.top, NULL);
	box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return box->fd >= 0 ? ISO_OK : iso_err_from_errno(errno);
}

void iso_mailbox_done(struct iso_mailbox *box)
{
	if (box == NULL || box->fd < 0)
		return;
	iso_mailbox_drain(box);
	close(box->fd);
	box->fd = -1;
}

void iso_mailbox_post(struct iso_mailbox *box, struct iso_letter *letter)
{
	struct iso_letter *top = atomic_load_explicit(&box->shared.top, memory_order_relaxed);
	int fd = box->fd;

	do {
		letter->next = top;
	} while (!atomic_compare_exchange_weak_explicit(&box->shared.top, &top, letter, memory_order_release,
							memory_order_relaxed));
	if (top == NULL) {
		uint64_t one = 1;
		ssize_t n;

		do {
			n = write(fd, &one, sizeof(one));
		} while (n < 0 && errno == EINTR);
	}
}

void iso_mailbox_drain(struct iso_mailbox *box)
{
	struct iso_letter *letter, *ordered = NULL;
	uint64_t count;

	/* The bell first: a letter that comes after the exchange below rings it again. */
	while (read(box->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	letter = atomic_exchange_explicit(&box->shared.top, NULL, memory_order_acquire);
	while (letter != NULL) {
		struct iso_letter *next = letter->next;

		letter->next = ordered;
		ordered = letter;
		letter = next;
	}
	while (ordered != NULL) {
		struct iso_letter *next = ordered->next;

		ordered->deliver(ordered);
		ordered = next;
	}
}
