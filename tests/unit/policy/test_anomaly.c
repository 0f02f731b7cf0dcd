/*
 * Who stands out: by rate, by median, against its own past and the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/policy/anomaly.h"

enum { MS = 1000 };

/* good, bad, median in ms: recent and past. */
#define REGION(g, b, ms, pg, pb, pms)                                                                        \
	{                                                                                                    \
		{ g, b, (ms)*MS }, { pg, pb, (pms)*MS }, true                                                \
	}

static const char *find(const struct iso_anomaly_input a, const struct iso_anomaly_input b)
{
	const struct iso_anomaly_input regions[] = { a, b };

	return iso_anomaly_find(regions, 2, 0);
}

/* words "": nothing is to be found. */
static void expect(const char *words, const struct iso_anomaly_input a, const struct iso_anomaly_input b)
{
	const char *found = find(a, b);

	if (words[0] == '\0' ? found != NULL : found == NULL || strstr(found, words) == NULL)
		fail_msg("%s instead of %s", found != NULL ? found : "nothing", words);
}

static void test_rates(void **state)
{
	(void)state;
	/* A third of the answers, never five in a row: no run finds it. */
	expect("fails more", (struct iso_anomaly_input)REGION(200, 100, 20, 1000, 0, 20),
	       (struct iso_anomaly_input)REGION(300, 0, 20, 1000, 0, 20));
	expect("fails more", (struct iso_anomaly_input)REGION(20, 20, 20, 300, 1, 20),
	       (struct iso_anomaly_input)REGION(10, 0, 20, 10, 0, 20));
	/* It always did. */
	expect("", (struct iso_anomaly_input)REGION(200, 100, 20, 700, 300, 20),
	       (struct iso_anomaly_input)REGION(300, 0, 20, 1000, 0, 20));
	/* The others do, too: it is the API, not the region. */
	expect("", (struct iso_anomaly_input)REGION(200, 100, 20, 1000, 0, 20),
	       (struct iso_anomaly_input)REGION(200, 90, 20, 1000, 0, 20));
	/* Too few to say. */
	expect("", (struct iso_anomaly_input)REGION(5, 2, 20, 1000, 0, 20),
	       (struct iso_anomaly_input)REGION(300, 0, 20, 1000, 0, 20));
	expect("", (struct iso_anomaly_input)REGION(990, 10, 20, 1000, 0, 20),
	       (struct iso_anomaly_input)REGION(1000, 0, 20, 1000, 0, 20));
	expect("", (struct iso_anomaly_input)REGION(0, 0, 0, 0, 0, 0),
	       (struct iso_anomaly_input)REGION(300, 0, 20, 1000, 0, 20));
}

static void test_medians(void **state)
{
	(void)state;
	expect("slower", (struct iso_anomaly_input)REGION(200, 0, 300, 1000, 0, 20),
	       (struct iso_anomaly_input)REGION(50, 0, 60, 100, 0, 60));
	/* The best there is, all the same. */
	expect("", (struct iso_anomaly_input)REGION(200, 0, 300, 1000, 0, 20),
	       (struct iso_anomaly_input)REGION(50, 0, 150, 100, 0, 150));
	/* All have become slow: what they share is. */
	expect("", (struct iso_anomaly_input)REGION(200, 0, 900, 1000, 0, 20),
	       (struct iso_anomaly_input)REGION(50, 0, 200, 100, 0, 60));
	/* Four times next to nothing. */
	expect("", (struct iso_anomaly_input)REGION(200, 0, 80, 1000, 0, 5),
	       (struct iso_anomaly_input)REGION(50, 0, 6, 100, 0, 6));
	expect("", (struct iso_anomaly_input)REGION(10, 0, 900, 1000, 0, 20),
	       (struct iso_anomaly_input)REGION(50, 0, 60, 100, 0, 60));
	expect("", (struct iso_anomaly_input)REGION(200, 0, 900, 0, 0, 0),
	       (struct iso_anomaly_input)REGION(50, 0, 60, 100, 0, 60));
}

static void test_the_only_one_that_is_up(void **state)
{
	struct iso_anomaly_input regions[2] = { REGION(200, 0, 900, 1000, 0, 20),
						REGION(50, 0, 60, 100, 0, 60) };

	(void)state;
	regions[1].up = false;
	assert_null(iso_anomaly_find(regions, 2, 0));
}

/* Two regions that are alike, with errors of their own: hardly ever does one seem to stand out. */
static void test_noise(void **state)
{
	struct iso_rng rng;
	int found = 0;

	(void)state;
	iso_rng_seed(&rng, 7);
	for (int run = 0; run < 10000; run++) {
		struct iso_anomaly_input regions[2];

		memset(regions, 0, sizeof(regions));
		for (int k = 0; k < 2; k++) {
			regions[k].up = true;
			for (int i = 0; i < 100; i++) {
				bool bad = iso_rng_next(&rng) % 100 < 5;

				regions[k].recent.bad += bad;
				regions[k].recent.good += !bad;
			}
			for (int i = 0; i < 400; i++) {
				bool bad = iso_rng_next(&rng) % 100 < 5;

				regions[k].past.bad += bad;
				regions[k].past.good += !bad;
			}
		}
		found += iso_anomaly_find(regions, 2, 0) != NULL;
	}
	assert_true(found <= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_medians),
		cmocka_unit_test(test_the_only_one_that_is_up),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
