/*
 * Places of addresses: networks of both families, records without a place, files that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "iso/net/geo_db.h"
#include "net/mmdb_help.h"

static char path[64];
static struct mmdb made;

static int setup(void **state)
{
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/iso-geo-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 || close(fd) != 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static struct iso_geo_db *open_good(void)
{
	struct iso_geo_db *db = NULL;
	const char *why = "";

	mmdb_write(&made, path, 0);
	if (iso_geo_db_new(path, &why, &db) != ISO_OK)
		fail_msg("%s", why);
	return db;
}

static void expect(const struct iso_geo_db *db, const char *host, int32_t latitude, int32_t longitude)
{
	struct iso_geo_point point;
	struct iso_sockaddr addr;

	assert_int_equal(iso_sockaddr_parse(host, 443, &addr), ISO_OK);
	if (!iso_geo_db_find(db, &addr, &point))
		fail_msg("%s has a place", host);
	assert_int_equal(point.latitude, latitude);
	assert_int_equal(point.longitude, longitude);
}

static void expect_none(const struct iso_geo_db *db, const char *host)
{
	struct iso_geo_point point = { 7, 8 };
	struct iso_sockaddr addr;

	assert_int_equal(iso_sockaddr_parse(host, 443, &addr), ISO_OK);
	if (iso_geo_db_find(db, &addr, &point))
		fail_msg("%s has no place", host);
	assert_int_equal(point.latitude, 7);
}

static void test_both_families(void **state)
{
	struct iso_geo_db *db;

	(void)state;
	mmdb_init(&made, 6);
	mmdb_network(&made, "192.0.2.0", 25, mmdb_place(&made, 50.11, 8.68));
	mmdb_network(&made, "192.0.2.128", 25, mmdb_place(&made, -33.9249, -18.4241));
	mmdb_network(&made, "2001:db8:1::", 48, mmdb_place(&made, 90, -180));
	db = open_good();
	expect(db, "192.0.2.1", 50110000, 8680000);
	expect(db, "192.0.2.127", 50110000, 8680000);
	expect(db, "192.0.2.128", -33924900, -18424100);
	expect(db, "::ffff:192.0.2.200", -33924900, -18424100);
	expect(db, "2001:db8:1:ffff::1", 90000000, -180000000);
	expect_none(db, "192.0.3.1");
	expect_none(db, "2001:db8:2::1");
	expect_none(db, "::1");
	assert_true(iso_geo_db_has_places(db));
	iso_geo_db_free(db);
}

static void test_ipv4_alone(void **state)
{
	struct iso_geo_db *db;

	(void)state;
	mmdb_init(&made, 4);
	mmdb_network(&made, "203.0.113.0", 24, mmdb_place(&made, 1.352083, 103.819836));
	db = open_good();
	expect(db, "203.0.113.9", 1352083, 103819836);
	expect(db, "::ffff:203.0.113.9", 1352083, 103819836);
	expect_none(db, "2001:db8::1");
	expect_none(db, "203.0.114.9");
	iso_geo_db_free(db);
}

/* Beyond the globe, no number, half a place, a place of another type, a record that is no map. */
static void test_what_is_no_place(void **state)
{
	struct iso_geo_db *db;
	size_t at;

	(void)state;
	mmdb_init(&made, 4);
	mmdb_network(&made, "10.0.0.0", 16, mmdb_place(&made, 90.5, 0));
	mmdb_network(&made, "10.1.0.0", 16, mmdb_place(&made, 0, -181));
	mmdb_network(&made, "10.2.0.0", 16, mmdb_place(&made, (double)NAN, 0));
	mmdb_network(&made, "10.3.0.0", 16, mmdb_place(&made, 0, (double)INFINITY));
	at = made.len;
	mmdb_map(&made, 1);
	mmdb_text(&made, "location");
	mmdb_map(&made, 1);
	mmdb_text(&made, "latitude");
	mmdb_double(&made, 1);
	mmdb_network(&made, "10.4.0.0", 16, at);
	at = made.len;
	mmdb_map(&made, 1);
	mmdb_text(&made, "location");
	mmdb_map(&made, 2);
	mmdb_text(&made, "latitude");
	mmdb_text(&made, "50.1");
	mmdb_text(&made, "longitude");
	mmdb_uint(&made, 6, 8);
	mmdb_network(&made, "10.5.0.0", 16, at);
	at = made.len;
	mmdb_text(&made, "nowhere");
	mmdb_network(&made, "10.6.0.0", 16, at);
	at = made.len;
	mmdb_map(&made, 1);
	mmdb_text(&made, "location");
	mmdb_text(&made, "here");
	mmdb_network(&made, "10.7.0.0", 16, at);
	mmdb_network(&made, "10.8.0.0", 16, 9000); /* behind the end of the data */
	db = open_good();
	for (unsigned int i = 0; i < 10; i++) {
		char host[32];

		(void)snprintf(host, sizeof(host), "10.%u.0.1", i);
		expect_none(db, host);
	}
	assert_false(iso_geo_db_has_places(db));
	iso_geo_db_free(db);
}

static void test_files_that_are_none(void **state)
{
	struct iso_geo_db *db = (void *)&path;
	const char *why = NULL;
	FILE *out;

	(void)state;
	assert_int_equal(iso_geo_db_new("/nowhere/at.all", &why, &db), ISO_ESYS);
	assert_string_equal(why, "No such file or directory");
	assert_int_equal(iso_geo_db_new("/tmp", &why, &db), ISO_ESYS);
	out = fopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(fclose(out), 0);
	why = NULL;
	assert_true(iso_geo_db_new(path, &why, &db) < 0); /* empty */
	assert_non_null(why);
	out = fopen(path, "wb");
	assert_non_null(out);
	for (int i = 0; i < 5000; i++)
		fputc(i * 7 & 255, out);
	assert_int_equal(fclose(out), 0);
	why = NULL;
	assert_int_equal(iso_geo_db_new(path, &why, &db), ISO_EBAD);
	assert_non_null(why);
	assert_ptr_equal(db, (void *)&path);
	iso_geo_db_free(NULL);
}

/* Every file that lacks some bytes of its end either is refused or opens and answers. */
static void test_cut_short(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < 200; cut++) {
		struct iso_geo_db *db = NULL;
		const char *why = NULL;

		mmdb_init(&made, 4);
		mmdb_network(&made, "203.0.113.0", 24, mmdb_place(&made, 1, 2));
		mmdb_write(&made, path, cut);
		if (iso_geo_db_new(path, &why, &db) != ISO_OK) {
			assert_non_null(why);
			continue;
		}
		expect(db, "203.0.113.9", 1000000, 2000000);
		iso_geo_db_free(db);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_families, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipv4_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_that_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
