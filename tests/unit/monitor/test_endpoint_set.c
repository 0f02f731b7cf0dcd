/*
 * Addresses over successive DNS answers: stable indexes, missing ones, rotation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "endpoint_set_priv.h"
#include "iso/net/resolver.h"

static const uint64_t second = 1000000;

static struct iso_sockaddr addr(uint8_t last)
{
	char text[] = "192.0.2.\0\0\0";
	struct iso_sockaddr a;

	text[8] = (char)('0' + last / 10);
	text[9] = (char)('0' + last % 10);
	if (last < 10) {
		text[8] = (char)('0' + last);
		text[9] = '\0';
	}
	assert_int_equal(iso_sockaddr_parse(text, 443, &a), ISO_OK);
	return a;
}

static void answer(struct iso_endpoint_set *set, const char *lasts, uint32_t ttl_s, uint64_t now_us)
{
	struct iso_sockaddr addrs[16];
	size_t n = 0;

	for (; lasts[n] != '\0'; n++)
		addrs[n] = addr((uint8_t)(lasts[n] - 'a'));
	iso_endpoint_set_answer(set, addrs, n, ttl_s * second, now_us);
}

/* The set as text: letters by index, upper case where usable. */
static const char *text(struct iso_endpoint_set *set, uint64_t now_us)
{
	static char buf[ISO_ENDPOINTS_MAX + 1];
	struct iso_board_region r = { 0 };
	uint32_t i;

	iso_endpoint_set_read(set, now_us, &r);
	for (i = 0; i < r.endpoint_count; i++) {
		buf[i] = '?';
		for (uint8_t k = 0; k < 26; k++) {
			struct iso_sockaddr a = addr(k);

			if (iso_sockaddr_eq(&a, &r.endpoints[i].addr))
				buf[i] = (char)((r.endpoints[i].usable ? 'A' : 'a') + k);
		}
	}
	buf[i] = '\0';
	return buf;
}

static void test_ttl_is_clamped(void **state)
{
	(void)state;
	assert_int_equal(iso_endpoint_ttl_us(0, 5 * second, 300 * second), 5 * second);
	assert_int_equal(iso_endpoint_ttl_us(60, 5 * second, 300 * second), 60 * second);
	assert_int_equal(iso_endpoint_ttl_us(UINT32_MAX, 5 * second, 300 * second), 300 * second);
}

static void test_missing_goes_after_ttl_and_two_seconds(void **state)
{
	struct iso_endpoint_set set;

	(void)state;
	iso_endpoint_set_init(&set, 1);
	answer(&set, "ab", 60, 100 * second);
	assert_string_equal(text(&set, 100 * second), "AB");
	answer(&set, "b", 60, 160 * second);
	assert_string_equal(text(&set, 161 * second), "AB");
	assert_string_equal(text(&set, 162 * second), "aB");
	answer(&set, "b", 60, 220 * second);
	assert_string_equal(text(&set, 279 * second), "aB"); /* warm */
	assert_int_equal(set.count, 2);
	answer(&set, "bc", 60, 280 * second); /* its place is taken */
	assert_string_equal(text(&set, 280 * second), "CB");
}

static void test_rotation_keeps_indexes(void **state)
{
	struct iso_endpoint_set set;
	uint32_t epoch;

	(void)state;
	iso_endpoint_set_init(&set, 7);
	answer(&set, "abc", 60, 0);
	epoch = set.epoch;
	answer(&set, "dcb", 60, 60 * second);
	assert_string_equal(text(&set, 60 * second), "ABCD");
	answer(&set, "ad", 60, 120 * second);
	assert_string_equal(text(&set, 125 * second), "AbcD");
	answer(&set, "abcd", 60, 180 * second);
	assert_string_equal(text(&set, 180 * second), "ABCD");
	assert_int_equal(set.epoch, epoch);
}

static void test_empty_answer_changes_nothing(void **state)
{
	struct iso_endpoint_set set;

	(void)state;
	iso_endpoint_set_init(&set, 1);
	answer(&set, "ab", 5, 0);
	answer(&set, "", 5, 5 * second);
	assert_string_equal(text(&set, 1000 * second), "AB");
}

static void test_epoch_changes_with_a_reused_index(void **state)
{
	struct iso_endpoint_set set;
	uint32_t epoch;

	(void)state;
	iso_endpoint_set_init(&set, 1);
	answer(&set, "ab", 5, 0);
	epoch = set.epoch;
	answer(&set, "a", 5, 5 * second);
	assert_string_equal(text(&set, 14 * second), "Ab");
	assert_int_equal(set.epoch, epoch);
	assert_string_equal(text(&set, 15 * second), "A"); /* cut off the end */
	assert_int_not_equal(set.epoch, epoch);
	epoch = set.epoch;
	answer(&set, "ca", 5, 15 * second);
	assert_string_equal(text(&set, 15 * second), "AC");
}

static void test_more_addresses_than_places(void **state)
{
	struct iso_endpoint_set set;

	(void)state;
	iso_endpoint_set_init(&set, 1);
	answer(&set, "abcdefghij", 60, 0);
	assert_string_equal(text(&set, 0), "ABCDEFGH");
	/* All new: places come from those that are missing. */
	answer(&set, "klmnopqr", 60, 60 * second);
	assert_string_equal(text(&set, 60 * second), "KLMNOPQR");
	answer(&set, "rstu", 60, 120 * second);
	assert_int_equal(set.count, 8);
	assert_non_null(strchr(text(&set, 120 * second), 'S'));
	assert_non_null(strchr(text(&set, 120 * second), 'R'));
}

static void test_duplicates_in_an_answer(void **state)
{
	struct iso_endpoint_set set;

	(void)state;
	iso_endpoint_set_init(&set, 1);
	answer(&set, "aabba", 60, 0);
	assert_string_equal(text(&set, 0), "AB");
}

static void answer6(struct iso_endpoint_set *set, uint32_t ttl_s, uint64_t now_us)
{
	struct iso_sockaddr six;

	assert_int_equal(iso_sockaddr_parse("2001:db8::1", 443, &six), ISO_OK);
	iso_endpoint_set_answer(set, &six, 1, ttl_s * second, now_us);
}

/* Each family has its own last good set and TTL: an answer for one takes nothing away from the other. */
static void test_families_apart(void **state)
{
	struct iso_endpoint_set set;
	struct iso_board_region r = { 0 };

	(void)state;
	iso_endpoint_set_init(&set, 1);
	answer(&set, "ab", 5, 0);
	answer6(&set, 60, 0);
	assert_int_equal(set.count, 3);
	answer(&set, "b", 5, 5 * second);
	answer(&set, "b", 5, 10 * second);
	iso_endpoint_set_read(&set, 10 * second, &r);
	assert_false(r.endpoints[0].usable);
	assert_true(r.endpoints[1].usable && r.endpoints[2].usable && r.endpoints[2].fresh);
	assert_int_equal(iso_endpoint_set_fresh(&set, AF_INET), 1);
	assert_int_equal(iso_endpoint_set_fresh(&set, AF_INET6), 1);
}

/* What one family has no more goes only while the other one's addresses are sure. */
static void test_a_family_that_is_gone(void **state)
{
	struct iso_endpoint_set set;
	struct iso_board_region r = { 0 };

	(void)state;
	iso_endpoint_set_init(&set, 1);
	answer6(&set, 5, 0);
	iso_endpoint_set_none(&set, AF_INET6, second);
	assert_int_equal(iso_endpoint_set_fresh(&set, AF_INET6), 1); /* nothing else is there */
	answer(&set, "a", 5, second);
	iso_endpoint_set_none(&set, AF_INET6, 30 * second);
	assert_int_equal(iso_endpoint_set_fresh(&set, AF_INET6), 1); /* the other one's answer is old */
	answer(&set, "a", 5, 30 * second);
	answer6(&set, 5, 30 * second);
	iso_endpoint_set_none(&set, AF_INET6, 31 * second);
	assert_int_equal(iso_endpoint_set_fresh(&set, AF_INET6), 0);
	iso_endpoint_set_read(&set, 36 * second, &r);
	assert_true(r.endpoints[0].usable); /* warm for a while, as ever */
	iso_endpoint_set_read(&set, 37 * second, &r);
	assert_false(r.endpoints[0].usable);
	assert_true(r.endpoints[1].usable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ttl_is_clamped),
		cmocka_unit_test(test_missing_goes_after_ttl_and_two_seconds),
		cmocka_unit_test(test_rotation_keeps_indexes),
		cmocka_unit_test(test_empty_answer_changes_nothing),
		cmocka_unit_test(test_epoch_changes_with_a_reused_index),
		cmocka_unit_test(test_more_addresses_than_places),
		cmocka_unit_test(test_duplicates_in_an_answer),
		cmocka_unit_test(test_families_apart),
		cmocka_unit_test(test_a_family_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
