/*
 * The hash map against a plain table, and its hash against the published vectors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/hmap.h"
#include "iso/base/rng.h"

enum { NAMES = 400 };

static const uint64_t seed[2] = { 1, 2 };

static void test_siphash_vectors(void **state)
{
	/* Key 00 01 … 0f, input 00 01 …: as the reference implementation (and OpenSSL's SIPHASH) gives it. */
	const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
	const struct {
		size_t len;
		uint64_t hash;
	} vectors[] = {
		{ 0, 0x726fdb47dd0e0e31u },  { 1, 0x74f839c593dc67fdu },  { 7, 0xab0200f58b01d137u },
		{ 8, 0x93f5f5799a932462u },  { 9, 0x9e0082df0ba9e4b0u },  { 15, 0xa129ca6149be45e5u },
		{ 16, 0x3f2acc7f57c29bdbu }, { 63, 0x958a324ceb064572u },
	};
	char bytes[64];

	(void)state;
	for (int i = 0; i < 64; i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(iso_siphash(key, iso_slice(bytes, vectors[i].len)) == vectors[i].hash);
}

struct name {
	char text[16];
	struct iso_slice key;
	bool in;
};

static void check(const struct iso_hmap *map, struct name *names)
{
	bool seen[NAMES] = { false };
	size_t at = 0, count = 0, walked = 0;
	struct iso_slice key;
	void *value;

	for (int i = 0; i < NAMES; i++) {
		assert_ptr_equal(iso_hmap_get(map, names[i].key), names[i].in ? &names[i] : NULL);
		count += names[i].in;
	}
	assert_int_equal(map->count, count);
	while (iso_hmap_next(map, &at, &key, &value)) {
		struct name *name = value;

		assert_true(iso_slice_eq(key, name->key));
		assert_true(name->in);
		assert_false(seen[name - names]);
		seen[name - names] = true;
		walked++;
	}
	assert_int_equal(walked, count);
}

static void test_random_operations(void **state)
{
	static struct name names[NAMES];
	struct iso_hmap map;
	struct iso_rng rng;

	(void)state;
	iso_rng_seed(&rng, 11);
	iso_hmap_init(&map, NAMES, seed);
	for (int i = 0; i < NAMES; i++) {
		int len = snprintf(names[i].text, sizeof(names[i].text), "name-%d", i);

		names[i].key = iso_slice(names[i].text, (size_t)len);
	}
	for (int step = 0; step < 4000; step++) {
		struct name *name = &names[iso_rng_below(&rng, NAMES)];
		/* Mostly growing at first, mostly shrinking in the end. */
		bool add = iso_rng_below(&rng, 4000) > (uint32_t)step;

		if (add) {
			assert_int_equal(iso_hmap_add(&map, name->key, name),
					 name->in ? ISO_EEXISTS : ISO_OK);
			name->in = true;
		} else {
			assert_ptr_equal(iso_hmap_remove(&map, name->key), name->in ? name : NULL);
			name->in = false;
		}
		if (step % 8 == 0)
			check(&map, names);
	}
	check(&map, names);
	iso_hmap_done(&map);
}

static void test_limit(void **state)
{
	const char *names[] = { "a", "b", "c" };
	struct iso_hmap map;

	(void)state;
	iso_hmap_init(&map, 2, seed);
	assert_int_equal(iso_hmap_add(&map, ISO_SLICE("a"), &names[0]), ISO_OK);
	assert_int_equal(iso_hmap_add(&map, ISO_SLICE("b"), &names[1]), ISO_OK);
	assert_int_equal(iso_hmap_add(&map, ISO_SLICE("c"), &names[2]), ISO_ELIMIT);
	assert_null(iso_hmap_get(&map, ISO_SLICE("c")));
	/* An entry that is there already is told apart from a full map, and stays. */
	assert_int_equal(iso_hmap_add(&map, ISO_SLICE("a"), &names[2]), ISO_EEXISTS);
	assert_ptr_equal(iso_hmap_get(&map, ISO_SLICE("a")), &names[0]);
	assert_ptr_equal(iso_hmap_remove(&map, ISO_SLICE("a")), &names[0]);
	assert_int_equal(iso_hmap_add(&map, ISO_SLICE("c"), &names[2]), ISO_OK);
	iso_hmap_done(&map);
	iso_hmap_init(&map, 0, seed);
	assert_int_equal(iso_hmap_add(&map, ISO_SLICE("a"), &names[0]), ISO_ELIMIT);
	iso_hmap_done(&map);
}

static void test_empty(void **state)
{
	struct iso_hmap map;
	size_t at = 0;
	void *value = NULL;
	int thing;

	(void)state;
	iso_hmap_init(&map, 4, seed);
	assert_null(iso_hmap_get(&map, ISO_SLICE("a")));
	assert_null(iso_hmap_remove(&map, ISO_SLICE("a")));
	assert_false(iso_hmap_next(&map, &at, NULL, &value));
	assert_null(value);
	/* Empty keys and keys with NULs in them are keys like others. */
	assert_int_equal(iso_hmap_add(&map, iso_slice(NULL, 0), &thing), ISO_OK);
	assert_ptr_equal(iso_hmap_get(&map, ISO_SLICE("")), &thing);
	assert_null(iso_hmap_get(&map, iso_slice("\0", 1)));
	iso_hmap_done(&map);
	iso_hmap_done(NULL);
}

/* Which of 4096 slots names fall into: with another seed they are other ones. */
static void test_collisions_depend_on_the_seed(void **state)
{
	const uint64_t other[2] = { 3, 4 };
	char text[16];
	int same = 0, pairs = 0;

	(void)state;
	for (int i = 0; i < 4096; i++) {
		int len = snprintf(text, sizeof(text), "%d", i);
		struct iso_slice s = iso_slice(text, (size_t)len);
		struct iso_slice zero = ISO_SLICE("0");

		if ((iso_siphash(seed, s) & 63) != (iso_siphash(seed, zero) & 63))
			continue;
		pairs++;
		same += (iso_siphash(other, s) & 63) == (iso_siphash(other, zero) & 63);
	}
	assert_in_range(pairs, 30, 110); /* 64 expected, deviation 8 */
	assert_in_range(same, 1, 10);    /* "0" itself, and one by chance */
}

/* The map uses what it was given: two seeds put the same names into two orders. */
static void test_order_depends_on_the_seed(void **state)
{
	const uint64_t seeds[2][2] = { { 1, 2 }, { 1, 3 } };
	char order[2][27] = { "", "" };

	(void)state;
	for (int m = 0; m < 2; m++) {
		static char letters[] = "abcdefghijklmnopqrstuvwxyz";
		struct iso_hmap map;
		size_t at = 0, n = 0;
		void *value;

		iso_hmap_init(&map, 26, seeds[m]);
		for (int i = 0; i < 26; i++)
			assert_int_equal(iso_hmap_add(&map, iso_slice(&letters[i], 1), &letters[i]), ISO_OK);
		while (iso_hmap_next(&map, &at, NULL, &value))
			order[m][n++] = *(char *)value;
		assert_int_equal(n, 26);
		iso_hmap_done(&map);
	}
	assert_string_not_equal(order[0], order[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_collisions_depend_on_the_seed),
		cmocka_unit_test(test_order_depends_on_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
