/*
 * The turn: its order, its clock, what wakes it, and that it can be made and unmade at any point.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "net/loop_guard.h"

enum { TASKS = 6, NOTES = 64 };

struct numbered {
	struct iso_task task;
	char name;
};

static struct guarded_loop g;
static struct numbered tasks[TASKS];
static char notes[NOTES + 1];
static size_t noted;
static uint64_t turn_us;
static struct iso_timer timer;

static void note(char c)
{
	assert_true(noted < NOTES);
	notes[noted++] = c;
	notes[noted] = '\0';
}

static void run(struct iso_task *task)
{
	note(ISO_CONTAINER(task, struct numbered, task)->name);
	assert_int_equal(g.loop.now_us, turn_us); /* the clock stands still in a turn */
}

/* The last one stops the loop. */
static void run_last(struct iso_task *task)
{
	run(task);
	iso_loop_stop(&g.loop);
}

static void begin(void *arg)
{
	assert_ptr_equal(arg, &g);
	note('(');
	assert_true(g.loop.now_us >= turn_us);
	turn_us = g.loop.now_us;
}

static void end(void *arg)
{
	assert_ptr_equal(arg, &g);
	note(')');
}

static void post(int i)
{
	iso_loop_post(&g.loop, &tasks[i].task);
}

static uint64_t due_us;

static void fire(struct iso_timer *t)
{
	assert_ptr_equal(t, &timer);
	assert_true(g.loop.now_us >= due_us); /* late it may be, early never */
	note('t');
	post(5);
}

static int setup(void **state)
{
	(void)state;
	guarded_init(&g);
	g.loop.hooks = (struct iso_loop_hooks){ begin, end, &g };
	iso_timer_init(&timer, fire);
	noted = 0;
	notes[0] = '\0';
	turn_us = 0;
	for (int i = 0; i < TASKS; i++) {
		tasks[i].name = (char)('a' + i);
		iso_task_init(&tasks[i].task, i == TASKS - 1 ? run_last : run);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iso_timer_clear(&g.loop.wheel, &timer);
	guarded_done(&g);
	return 0;
}

static void test_tasks_run_in_order_once(void **state)
{
	(void)state;
	post(1);
	post(0);
	post(1); /* is queued already */
	post(5);
	post(0);
	assert_string_equal(notes, ""); /* never inside post */
	guarded_run(&g);
	assert_string_equal(notes, "(baf)");
	post(1);
	post(5);
	guarded_run(&g);
	assert_string_equal(notes, "(baf)(bf)");
}

static void run_and_post(struct iso_task *task)
{
	run(task);
	if (noted < 5)
		iso_loop_post(&g.loop, task); /* itself: it is out of the queue by now */
	else
		post(5);
}

static void test_what_a_task_posts_runs_in_this_turn(void **state)
{
	(void)state;
	iso_task_init(&tasks[0].task, run_and_post);
	post(0);
	post(1);
	guarded_run(&g);
	assert_string_equal(notes, "(abaaf)");
}

static void run_and_cancel(struct iso_task *task)
{
	run(task);
	iso_task_cancel(&tasks[1].task);
	iso_task_cancel(&tasks[2].task); /* was not posted */
	iso_task_cancel(task);           /* runs */
}

static void test_cancelled_tasks_do_not_run(void **state)
{
	(void)state;
	iso_task_init(&tasks[0].task, run_and_cancel);
	post(0);
	post(1);
	post(3);
	post(4);
	iso_task_cancel(&tasks[4].task);
	post(5);
	guarded_run(&g);
	assert_string_equal(notes, "(adf)");
}

static void run_and_post_next(struct iso_task *task)
{
	run(task);
	iso_loop_post_next(&g.loop, &tasks[1].task);
	iso_loop_post_next(&g.loop, &tasks[1].task);
	iso_loop_post_next(&g.loop, &tasks[5].task);
}

/* And that turn does not wait, although nothing happens. */
static void test_the_next_turn(void **state)
{
	(void)state;
	iso_task_init(&tasks[0].task, run_and_post_next);
	post(0);
	guarded_run(&g);
	assert_string_equal(notes, "(a)(bf)");
}

static void test_a_task_is_in_one_queue(void **state)
{
	(void)state;
	iso_loop_post_next(&g.loop, &tasks[0].task);
	post(0);
	post(1);
	iso_loop_post_next(&g.loop, &tasks[1].task);
	post(5);
	guarded_run(&g);
	iso_loop_run_leftovers(&g.loop);
	assert_int_equal(noted, 5);
	assert_non_null(strchr(notes, 'a'));
	assert_non_null(strchr(notes, 'b'));
	assert_ptr_equal(strchr(notes, 'a'), strrchr(notes, 'a'));
	assert_ptr_equal(strchr(notes, 'b'), strrchr(notes, 'b'));
}

static void test_what_is_left_at_the_end_is_run(void **state)
{
	(void)state;
	iso_task_init(&tasks[0].task, run_and_post_next);
	post(5);
	guarded_run(&g);
	post(0);
	iso_loop_run_leftovers(&g.loop);
	assert_string_equal(notes, "(f)a");
	iso_loop_run_leftovers(&g.loop); /* a second time: what those have posted */
	assert_string_equal(notes, "(f)abf");
	iso_loop_run_leftovers(&g.loop);
	assert_string_equal(notes, "(f)abf");
}

static void test_a_timer_wakes_the_loop(void **state)
{
	(void)state;
	for (uint64_t us = 0; us < 8000; us += 700) {
		noted = 0;
		due_us = iso_clock_mono_us() + us;
		iso_timer_set(&g.loop.wheel, &timer, due_us);
		guarded_run(&g);
		/* Tasks come after timers of the same turn. */
		assert_string_equal(notes + noted - 4, "(tf)");
	}
}

/* Waiting is not spinning: a few turns for one deadline. */
static void test_it_waits(void **state)
{
	uint64_t before = g.loop.turns;

	(void)state;
	g.loop.hooks = (struct iso_loop_hooks){ .begin = NULL };
	guarded_run_for(&g, 50000);
	assert_true(g.loop.turns - before < 10);
}

static void letter_came(struct iso_letter *letter)
{
	free(letter);
	note('m');
	post(5);
}

static void *post_letter(void *arg)
{
	struct iso_letter *letter = malloc(sizeof(*letter));

	letter->deliver = letter_came;
	iso_mailbox_post(arg, letter);
	return NULL;
}

static void test_a_letter_wakes_the_loop(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, post_letter, &g.loop.mailbox), 0);
	guarded_run(&g);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(notes + noted - 4, "(mf)");
	assert_null(strchr(strchr(notes, 'm') + 1, 'm'));
}

static void test_a_letter_that_nobody_read(void **state)
{
	(void)state;
	post_letter(&g.loop.mailbox);
	guarded_done(&g); /* delivers it: it owns memory */
	assert_non_null(strchr(notes, 'm'));
	guarded_init(&g);
}

static void test_entering_begins_a_turn_once(void **state)
{
	uint64_t before = g.loop.turns;

	(void)state;
	iso_loop_enter(&g.loop);
	iso_loop_enter(&g.loop);
	assert_string_equal(notes, "(");
	post(5);
	guarded_run(&g);
	assert_string_equal(notes, "(f)");
	assert_int_equal(g.loop.turns, before + 1);
}

static void burn_us(uint64_t us)
{
	uint64_t until = iso_clock_mono_us() + us;

	while (iso_clock_mono_us() < until)
		;
}

static void burn(struct iso_task *task)
{
	(void)task;
	burn_us(20000);
}

static void run_and_burn(struct iso_task *task)
{
	run(task);
	burn_us(400);
}

static void run_post_and_burn(struct iso_task *task)
{
	run(task);
	post(4);
	burn_us(20000);
}

/* No more of it in a turn once its time is over; what is posted meanwhile overtakes the rest. */
static void test_what_may_come_later(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		iso_task_init(&tasks[i].task, i == 1 ? run_post_and_burn : run);
		iso_loop_post_later(&g.loop, &tasks[i].task);
		iso_loop_post_later(&g.loop, &tasks[i].task);
	}
	iso_loop_post_later(&g.loop, &tasks[5].task);
	post(3);
	guarded_run(&g);
	assert_memory_equal(notes, "(da", 3); /* it comes after the rest */
	assert_true(strchr(notes, 'e') < strchr(notes, 'c'));
	assert_true(strchr(notes, ')') < strchr(notes, 'c'));
	assert_true(strchr(notes, 'a') < strchr(notes, 'b') && strchr(notes, 'b') < strchr(notes, 'c'));
	assert_true(strchr(notes, 'c') < strchr(notes, 'f'));
}

/* Whether 1.6 ms of it are done in a turn whose other work took 20 ms. */
static bool done_in_one_turn(void)
{
	noted = 0;
	for (int i = 1; i < 5; i++) {
		iso_task_init(&tasks[i].task, run_and_burn);
		iso_loop_post_later(&g.loop, &tasks[i].task);
	}
	iso_loop_post_later(&g.loop, &tasks[5].task);
	iso_task_init(&tasks[0].task, burn);
	post(0);
	guarded_run(&g);
	return strcmp(notes, "(bcdef)") == 0;
}

/* The machine may take the time for something else: not each time. */
static void test_what_may_come_later_is_not_starved(void **state)
{
	bool done = false;

	(void)state;
	for (int i = 0; i < 10 && !done; i++)
		done = done_in_one_turn();
	assert_true(done);
}

static void test_what_may_come_later_is_run_at_the_end(void **state)
{
	(void)state;
	post(5);
	guarded_run(&g);
	iso_loop_post_later(&g.loop, &tasks[0].task);
	iso_loop_post_later(&g.loop, &tasks[1].task);
	iso_task_cancel(&tasks[1].task);
	iso_loop_run_leftovers(&g.loop);
	assert_string_equal(notes, "(f)a");
}

/* A timer that came 15 ms late because something held the loop up. */
static void test_lateness_is_seen_and_forgotten(void **state)
{
	struct iso_task busy;

	(void)state;
	g.loop.hooks = (struct iso_loop_hooks){ .begin = NULL };
	iso_task_init(&busy, burn);
	due_us = iso_clock_mono_us() + 5000;
	iso_timer_set(&g.loop.wheel, &timer, due_us);
	iso_loop_post(&g.loop, &busy);
	turn_us = 0;
	iso_task_init(&tasks[5].task, burn); /* does not stop it: the pause does */
	guarded_run_for(&g, 60000);
	assert_true(g.loop.lag_us > 0);
	for (int i = 0; i < 400 && g.loop.lag_us > 1000; i++)
		guarded_run_for(&g, 100);
	assert_true(g.loop.lag_us < 15000);
}

static void test_done_takes_null_and_what_was_not_made(void **state)
{
	struct iso_loop *loop = calloc(1, sizeof(*loop));

	(void)state;
	iso_loop_done(NULL);
	iso_loop_done(loop);
	assert_int_equal(iso_loop_init(loop, 4), ISO_OK);
	iso_loop_done(loop);
	iso_loop_done(loop);
	free(loop);
}

/* The lowest descriptor that is free. */
static int spare(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/*
 * Without the last or the last two descriptors that it needs: an error, nothing leaked, and the next try is
 * whole. (Those before them are libevent's, which ends the process when it does not get them.)
 */
static void test_out_of_descriptors(void **state)
{
	struct iso_loop *loop = calloc(1, sizeof(*loop));
	int first = spare(), needs;
	struct rlimit limit, low;

	(void)state;
	assert_int_equal(iso_loop_init(loop, 4), ISO_OK);
	needs = spare() - first;
	iso_loop_done(loop);
	assert_int_equal(spare(), first);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int left = needs - 2; left <= needs; left++) {
		int err;

		low = limit;
		low.rlim_cur = (rlim_t)(first + left);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		err = iso_loop_init(loop, 4);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(err < 0, left < needs);
		iso_loop_done(loop); /* half-built, too */
		assert_int_equal(spare(), first);
	}
	free(loop);
}

int main(void)
{
#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_tasks_run_in_order_once),
		LOOP_TEST(test_what_a_task_posts_runs_in_this_turn),
		LOOP_TEST(test_cancelled_tasks_do_not_run),
		LOOP_TEST(test_the_next_turn),
		LOOP_TEST(test_a_task_is_in_one_queue),
		LOOP_TEST(test_what_is_left_at_the_end_is_run),
		LOOP_TEST(test_a_timer_wakes_the_loop),
		LOOP_TEST(test_it_waits),
		LOOP_TEST(test_a_letter_wakes_the_loop),
		LOOP_TEST(test_a_letter_that_nobody_read),
		LOOP_TEST(test_entering_begins_a_turn_once),
		LOOP_TEST(test_what_may_come_later),
		LOOP_TEST(test_what_may_come_later_is_not_starved),
		LOOP_TEST(test_what_may_come_later_is_run_at_the_end),
		LOOP_TEST(test_lateness_is_seen_and_forgotten),
		LOOP_TEST(test_done_takes_null_and_what_was_not_made),
		LOOP_TEST(test_out_of_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
