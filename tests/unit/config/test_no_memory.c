/*
 * A configuration without memory, jansson's and ours: an error, or a whole snapshot, never a part of one.
 */
#include "sweep.h"

#include <jansson.h>

#include "config_help.h"

static const char *text;
static uint32_t routes;

/* The text, loaded with failures. */
static int load_swept(struct iso_diag *diag, struct iso_snapshot **ret_snapshot)
{
	int err;

	assert_int_equal(iso_diag_init(diag, "test.json", 20), ISO_OK);
	sweep_arm();
	err = iso_config_load_text("test.json", iso_slice_str(text), diag, ret_snapshot);
	sweep_disarm();
	return err;
}

static void load_it(void)
{
	struct iso_snapshot *snapshot = NULL;
	struct iso_diag diag;
	int err = load_swept(&diag, &snapshot);

	if (err == ISO_OK) {
		assert_non_null(snapshot);
		assert_int_equal(snapshot->service_count, 2);
		assert_int_equal(snapshot->route_count, routes);
		assert_int_equal(snapshot->services[0].region_count, 2);
		assert_null(strstr(snapshot->description.ptr, "s3cret")); /* without a mask no description */
	} else {
		assert_true(sweep_failed());
		assert_null(snapshot);
		/* jansson takes a text that it has no memory for as one that is not valid */
		if (err == ISO_EBAD && diag.count > 0)
			assert_true(strstr(diag.entries[0].message, "not JSON") != NULL ||
				    strstr(diag.entries[0].message, "not UTF-8") != NULL);
		else if (err != ISO_EBAD)
			assert_int_equal(err, ISO_ENOMEM);
	}
	iso_snapshot_unref(snapshot);
	iso_diag_done(&diag);
}

/* Mistakes are told, as many as there is memory for, or memory is: never is it taken for good. */
static void load_mistakes(void)
{
	struct iso_snapshot *snapshot = NULL;
	struct iso_diag diag;
	int err = load_swept(&diag, &snapshot);

	assert_true(err == ISO_EBAD || (err == ISO_ENOMEM && sweep_failed()));
	assert_true(err != ISO_EBAD || diag.errors > 0);
	assert_null(snapshot);
	iso_diag_done(&diag);
}

#define TWO                                                                                                  \
	"\"services\": { \"s\": { " PAIR ", \"timeout\": \"${SWEEP_SECONDS}s\" }, \"orders\": { " PAIR " } }"

static void test_good(void **state)
{
	(void)state;
	text = "{ " LISTEN ", " TWO ", \"routes\": ["
	       "{ \"service\": \"orders\", \"match\": { \"host\": \"*.example.com\", \"path\": \"/o/{id}\", "
	       "\"methods\": [\"GET\"], \"headers\": { \"x-tier\": { \"regex\": \"gold|silver\" } } }, "
	       "\"requires\": [\"db\"], \"rewrite\": { \"path\": \"/v2/${id}\" }, "
	       "\"request_headers\": { \"remove\": [\"x-a\"], \"set\": { \"x-b\": \"s3cret ${id}\" } } }, "
	       "{ \"service\": \"s\" } ] }";
	routes = 2;
	json_set_alloc_funcs(__wrap_malloc, free);
	setenv("SWEEP_SECONDS", "5", 1);
	sweep(load_it, 50);
}

static void test_mistakes(void **state)
{
	(void)state;
	text = "{ " LISTEN ", \"services\": { \"s\": { " PAIR
	       ", \"timeout\": \"x\", \"timeout\": \"1s\" } }, "
	       "\"routes\": [{ \"service\": \"t\", \"match\": { \"path\": \"x\" } }], \"wrokers\": 0 }";
	json_set_alloc_funcs(__wrap_malloc, free);
	sweep(load_mistakes, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_mistakes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
