/*
 * References to a snapshot, also from several threads.
 */
#include "config_help.h"

#include <pthread.h>

enum { ROUNDS = 2000, THREADS = 4 };

static void *ref_and_ask(void *arg)
{
	const struct iso_route_request request = { .authority = ISO_SLICE("h"),
						   .path = ISO_SLICE("/"),
						   .method = ISO_SLICE("GET") };
	struct iso_snapshot *snapshot = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct iso_snapshot *mine = iso_snapshot_ref(snapshot);

		if (iso_snapshot_route(mine, &request) != mine->routes)
			return arg;
		iso_snapshot_unref(mine);
	}
	iso_snapshot_unref(snapshot);
	return NULL;
}

static void test_last_reference_frees(void **state)
{
	struct loaded l = load_good(WITH("\"workers\": 1"));
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ref_and_ask, iso_snapshot_ref(l.snapshot)),
				 0);
	for (int i = 0; i < THREADS; i++) {
		void *result = &l;

		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_null(result);
	}
	assert_int_equal(atomic_load(&l.snapshot->shared.refs), 1);
	done(&l); /* the leak checker sees whether this was the last */
}

static void test_null_is_fine(void **state)
{
	(void)state;
	iso_snapshot_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_reference_frees),
		cmocka_unit_test(test_null_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
