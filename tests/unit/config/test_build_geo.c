/*
 * Places: the database, regions by name and by `location`, and what is missing.
 */
#include "config_help.h"

#include <unistd.h>

#include "net/mmdb_help.h"

static char dir[64], file[96], config[96];
static struct mmdb made;

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/iso-config-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(file, sizeof(file), "%s/city.mmdb", dir);
	(void)snprintf(config, sizeof(config), "%s/isochrone.json", dir);
	mmdb_init(&made, 6);
	mmdb_network(&made, "192.0.2.0", 24, mmdb_place(&made, 50, 8));
	mmdb_write(&made, file, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(file) != 0 || rmdir(dir) != 0;
}

#define GEO "\"geo\": { \"database\": \"city.mmdb\" }"
#define REGIONS(a, b) "\"regions\": { " a "\"url\": \"http://a.test\" }, " b "\"url\": \"http://b.test\" } }"
#define TOKYO "\"ap-northeast-1\": { "
#define HERE "\"here\": { \"location\": { \"latitude\": -12.5, \"longitude\": 130.25 }, "
#define NOWHERE "\"nowhere\": { "
#define POLICY "\"balance\": { \"policy\": \"geo\" }"
#define FILE_OF(top, service) "{ " LISTEN top ", \"services\": { \"s\": { " service " } } }"

static struct loaded load_here(const char *text)
{
	struct loaded l = load_named(config, text);

	return l;
}

static void expect_here(const char *text, const char *pointer, const char *message, const char *mend)
{
	struct loaded l = load_here(text);
	const struct iso_diag_entry *e = entry_at(&l, pointer);

	if (l.diag.errors != 1 || e == NULL)
		show(&l);
	assert_int_equal(l.diag.errors, 1);
	assert_non_null(e);
	assert_non_null(strstr(e->message, message));
	assert_non_null(strstr(e->mend, mend));
	done(&l);
}

static void test_places_of_regions(void **state)
{
	struct loaded l = load_here(FILE_OF(", " GEO, REGIONS(TOKYO, HERE) ", " POLICY));
	const struct iso_cfg_region *r;

	(void)state;
	if (l.err != ISO_OK)
		show(&l);
	assert_int_equal(l.err, ISO_OK);
	assert_int_equal(l.diag.count, 0); /* not even a note */
	r = l.snapshot->services[0].regions;
	assert_int_equal(l.snapshot->services[0].policy, ISO_POLICY_GEO);
	assert_true(r[0].placed && r[1].placed);
	assert_int_equal(r[0].place.latitude, 35680000);
	assert_int_equal(r[0].place.longitude, 139690000);
	assert_int_equal(r[1].place.latitude, -12500000);
	assert_int_equal(r[1].place.longitude, 130250000);
	done(&l);
}

static void test_location_goes_before_the_name(void **state)
{
	struct loaded l = load_here(FILE_OF(
		", " GEO,
		REGIONS("\"us-east-1\": { \"location\": { \"latitude\": 0, \"longitude\": 0 }, ", TOKYO)));

	(void)state;
	assert_int_equal(l.err, ISO_OK);
	assert_true(l.snapshot->services[0].regions[0].placed);
	assert_int_equal(l.snapshot->services[0].regions[0].place.latitude, 0);
	done(&l);
}

static void test_the_database(void **state)
{
	struct loaded l = load_here(FILE_OF(", " GEO, PAIR));
	struct iso_geo_point p;
	struct iso_sockaddr addr;
	uint64_t now;

	(void)state;
	assert_int_equal(l.err, ISO_OK);
	assert_non_null(l.snapshot->geo_db);
	assert_int_equal(iso_sockaddr_parse("192.0.2.9", 1, &addr), ISO_OK);
	assert_true(iso_geo_db_find(l.snapshot->geo_db, &addr, &p));
	assert_int_equal(p.latitude, 50000000);
	assert_null(iso_snapshot_changed_file(l.snapshot, &now));
	mmdb_init(&made, 6);
	mmdb_network(&made, "192.0.2.0", 24, mmdb_place(&made, 50, 8));
	assert_int_equal(unlink(file), 0);
	mmdb_write(&made, file, 0);
	assert_non_null(iso_snapshot_changed_file(l.snapshot, &now)); /* so that the proxy reloads */
	done(&l);
	l = load(WITH("\"workers\": 1"));
	assert_null(l.snapshot->geo_db);
	done(&l);
}

static void test_bad_databases(void **state)
{
	FILE *out;

	(void)state;
	expect_here(FILE_OF(", \"geo\": { \"database\": \"none.mmdb\" }", PAIR), "/geo/database",
		    "none.mmdb cannot be read: No such file", "GeoLite2-City.mmdb");
	expect_here(FILE_OF(", \"geo\": { \"database\": \"/dev/null\" }", PAIR), "/geo/database", "/dev/null",
		    "GeoLite2-City.mmdb");
	expect_here(FILE_OF(", \"geo\": {}", PAIR), "/geo", "\"database\" is missing", "add \"database\"");
	out = fopen(file, "w");
	assert_non_null(out);
	fputs("this is a text and no database", out);
	assert_int_equal(fclose(out), 0);
	expect_here(FILE_OF(", " GEO, REGIONS(TOKYO, HERE) ", " POLICY), "/geo/database",
		    "no MaxMind DB file", "readable by the proxy");
}

static void test_a_database_without_places(void **state)
{
	struct loaded l;
	const struct iso_diag_entry *e;
	size_t at;

	(void)state;
	mmdb_init(&made, 6);
	at = made.len;
	mmdb_map(&made, 1);
	mmdb_text(&made, "country");
	mmdb_text(&made, "DE");
	mmdb_network(&made, "192.0.2.0", 24, at);
	mmdb_write(&made, file, 0);
	l = load_here(FILE_OF(", " GEO, PAIR));
	assert_int_equal(l.err, ISO_OK);
	e = entry_at(&l, "/geo");
	assert_non_null(e);
	assert_int_equal(e->level, ISO_DIAG_NOTE);
	assert_non_null(strstr(e->message, "no place"));
	assert_non_null(strstr(e->mend, "cities"));
	done(&l);
}

static void test_what_the_policy_needs(void **state)
{
	(void)state;
	expect_here(FILE_OF("", REGIONS(TOKYO, HERE) ", " POLICY), "/services/s/balance/policy",
		    "there is no database", "\"geo\": { \"database\"");
	expect_here(FILE_OF(", " GEO, REGIONS(TOKYO, NOWHERE) ", " POLICY), "/services/s/balance/policy",
		    "the place of the region \"nowhere\" is not known", "\"latitude\"");
	/* In a route: of the regions that it allows. */
	expect_here("{ " LISTEN ", " GEO ", \"services\": { \"s\": { " REGIONS(
			    TOKYO, NOWHERE) " } }, "
					    "\"routes\": [ { \"service\": \"s\", \"policy\": \"geo\" } ] }",
		    "/routes/0/policy", "\"nowhere\" is not known", "name it as AWS does");
	expect_here("{ " LISTEN ", \"services\": { \"s\": { " REGIONS(
			    TOKYO, HERE) " } }, "
					 "\"routes\": [ { \"service\": \"s\", \"policy\": \"geo\" } ] }",
		    "/routes/0/policy", "there is no database", "at the top");
}

static void test_a_route_that_allows_what_has_a_place(void **state)
{
	struct loaded l = load_here("{ " LISTEN ", " GEO ", \"services\": { \"s\": { " REGIONS(
		TOKYO, NOWHERE) " } }, \"routes\": [ { \"service\": \"s\", \"policy\": \"geo\", "
				"\"regions\": [\"ap-northeast-1\"] } ] }");

	(void)state;
	assert_int_equal(l.err, ISO_OK);
	assert_int_equal(l.snapshot->routes[0].policy, ISO_POLICY_GEO);
	done(&l);
}

static void test_bad_locations(void **state)
{
	(void)state;
#define AT "/services/s/regions/x/location"
#define X(keys) FILE_OF(", " GEO, REGIONS(TOKYO, "\"x\": { \"location\": " keys ", ") ", " POLICY)
	expect_here(X("{ \"latitude\": 91, \"longitude\": 0 }"), AT "/latitude", "out of range", "-90 to 90");
	expect_here(X("{ \"latitude\": 0, \"longitude\": -180.5 }"), AT "/longitude", "out of range",
		    "-180 to 180");
	expect_here(X("{ \"latitude\": 1 }"), AT, "\"longitude\" is missing", "add \"longitude\"");
	expect_here(X("{ \"latitude\": \"1\", \"longitude\": 2 }"), AT "/latitude", "must be a number",
		    "without quotes");
	expect_here(X("[1, 2]"), AT, "must be an object", "");
	expect_here(X("{ \"latitude\": 1, \"longitude\": 2, \"altitude\": 3 }"), AT "/altitude", "no key",
		    "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_places_of_regions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_location_goes_before_the_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_database, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_databases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_database_without_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_the_policy_needs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_route_that_allows_what_has_a_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_locations, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
