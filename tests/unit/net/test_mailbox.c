/*
 * Letters from four threads: each arrives once, those of one sender in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>
#include <cmocka.h>

#include "iso/base/list.h"
#include "iso/net/mailbox.h"

enum { SENDERS = 4, LETTERS = 20000 };

struct note {
	struct iso_letter letter;
	int sender, number;
};

static struct iso_mailbox box;
static int next_of[SENDERS], received, out_of_order;

static void deliver(struct iso_letter *letter)
{
	struct note *note = ISO_CONTAINER(letter, struct note, letter);

	out_of_order += note->number != next_of[note->sender];
	next_of[note->sender] = note->number + 1;
	received++;
	free(note);
}

static void *sender_main(void *arg)
{
	for (int i = 0; i < LETTERS; i++) {
		struct note *note = calloc(1, sizeof(*note));

		note->letter.deliver = deliver;
		note->sender = (int)(intptr_t)arg;
		note->number = i;
		iso_mailbox_post(&box, &note->letter);
	}
	return NULL;
}

static void test_every_letter_once_and_in_order(void **state)
{
	pthread_t threads[SENDERS];

	(void)state;
	assert_int_equal(iso_mailbox_init(&box), 0);
	for (intptr_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sender_main, (void *)i), 0);
	while (received < SENDERS * LETTERS) {
		struct pollfd bell = { .fd = box.fd, .events = POLLIN };

		assert_int_equal(poll(&bell, 1, 10000), 1); /* a lost wake-up ends here */
		iso_mailbox_drain(&box);
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(received, SENDERS * LETTERS);
	assert_int_equal(out_of_order, 0);
	iso_mailbox_done(&box);
	iso_mailbox_done(NULL);
}

static int delivered;

static void count(struct iso_letter *letter)
{
	letter->next = NULL; /* ours from now on: the box must not look at it again */
	delivered++;
}

static bool rings(void)
{
	struct pollfd bell = { .fd = box.fd, .events = POLLIN };

	return poll(&bell, 1, 0) == 1;
}

static void test_bell(void **state)
{
	struct iso_letter letters[3] = { { .deliver = count }, { .deliver = count }, { .deliver = count } };
	uint64_t strokes = 0;

	(void)state;
	delivered = 0;
	assert_int_equal(iso_mailbox_init(&box), 0);
	assert_false(rings());
	iso_mailbox_drain(&box); /* empty: does not block */
	iso_mailbox_post(&box, &letters[0]);
	iso_mailbox_post(&box, &letters[1]);
	assert_true(rings());
	assert_int_equal(read(box.fd, &strokes, sizeof(strokes)), sizeof(strokes));
	assert_int_equal(strokes, 1); /* one system call for a full box */
	iso_mailbox_drain(&box);
	assert_int_equal(delivered, 2);
	iso_mailbox_post(&box, &letters[2]);
	assert_true(rings());
	iso_mailbox_done(&box); /* delivers what is inside */
	assert_int_equal(delivered, 3);
	iso_mailbox_done(&box);
}

static struct iso_letter reply = { .deliver = count };

static void answer(struct iso_letter *letter)
{
	(void)letter;
	iso_mailbox_post(&box, &reply);
}

static void test_a_letter_posted_by_a_letter_rings(void **state)
{
	struct iso_letter letter = { .deliver = answer };

	(void)state;
	delivered = 0;
	assert_int_equal(iso_mailbox_init(&box), 0);
	iso_mailbox_post(&box, &letter);
	iso_mailbox_drain(&box);
	assert_int_equal(delivered, 0); /* the next turn's */
	assert_true(rings());
	iso_mailbox_drain(&box);
	assert_int_equal(delivered, 1);
	assert_false(rings());
	iso_mailbox_done(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_letter_once_and_in_order),
					    cmocka_unit_test(test_bell),
					    cmocka_unit_test(test_a_letter_posted_by_a_letter_rings) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
