/*
 * The generator against published values, and fairness of its range.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/rng.h"

static void test_sequence(void **state)
{
	/* xoshiro256** from the state 1, 2, 3, 4, computed independently. */
	const uint64_t expected[] = {
		11520u, 0u, 1509978240u, 1215971899390074240u, 1216172134540287360u, 607988272756665600u,
	};
	struct iso_rng rng = { { 1, 2, 3, 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_true(iso_rng_next(&rng) == expected[i]);
}

static void test_seed_is_splitmix64(void **state)
{
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 0);
	assert_true(rng.s[0] == 0xe220a8397b1dcdafu && rng.s[1] == 0x6e789e6aa1b965f4u);
	assert_true(rng.s[2] == 0x06c45d188009454fu && rng.s[3] == 0xf88bb8a8724c81ecu);
	iso_rng_seed(&rng, 1234567);
	assert_true(rng.s[0] == 6457827717110365317u && rng.s[3] == 4593380528125082431u);
}

static void test_below_is_uniform(void **state)
{
	const uint32_t ranges[] = { 1, 2, 3, 7, 10, 48 };
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 9);
	for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
		uint32_t seen[48] = { 0 };

		for (uint32_t i = 0; i < ranges[r] * 10000; i++) {
			uint32_t n = iso_rng_below(&rng, ranges[r]);

			assert_true(n < ranges[r]);
			seen[n]++;
		}
		for (uint32_t n = 0; n < ranges[r]; n++)
			assert_in_range(seen[n], 9400, 10600); /* six deviations */
	}
	for (int i = 0; i < 1000; i++)
		assert_true(iso_rng_below(&rng, UINT32_MAX) < UINT32_MAX);
}

/* Three quarters of the range: without the rejection every third number would come twice as often. */
static void test_below_is_exact_for_large_ranges(void **state)
{
	struct iso_rng rng;
	int rests[3] = { 0 };

	(void)state;
	iso_rng_seed(&rng, 10);
	for (int i = 0; i < 30000; i++)
		rests[iso_rng_below(&rng, 3u << 30) % 3]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(rests[i], 9500, 10500);
}

static void test_os_seeds_differ(void **state)
{
	struct iso_rng a, b;

	(void)state;
	iso_rng_seed_os(&a);
	iso_rng_seed_os(&b);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_seed_is_splitmix64),
		cmocka_unit_test(test_below_is_uniform),
		cmocka_unit_test(test_below_is_exact_for_large_ranges),
		cmocka_unit_test(test_os_seeds_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
