/*
 * `include` and ${file:PATH}: several files as one, and what is wrong with them, each in its own file.
 */
#include "config_help.h"

#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAIN(include)                                                                                        \
	"{ " LISTEN ",\n  \"include\": [" include "],\n  \"services\": { \"s\": { " PAIR " } } }"
#define ROUTE(name, path)                                                                                    \
	"{ \"name\": \"" name "\", \"match\": { \"path\": \"" path "\" }, \"service\": \"s\" }"

static char folder[64];

static int forget(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int new_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/iso-include-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return nftw(folder, forget, 8, FTW_DEPTH | FTW_PHYS);
}

static void path_of(const char *name, char path[256])
{
	(void)snprintf(path, 256, "%s/%s", folder, name);
}

static void put_file(const char *name, const char *text)
{
	char path[256], *slash;
	FILE *file;

	path_of(name, path);
	for (slash = strchr(path + strlen(folder) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
}

static struct loaded load_main(void)
{
	struct loaded l = { .snapshot = NULL };
	char path[256];

	path_of("main.json", path);
	assert_int_equal(iso_diag_init(&l.diag, path, 100), ISO_OK);
	l.err = iso_config_load(path, &l.diag, &l.snapshot);
	assert_true(l.err == ISO_OK ? l.snapshot != NULL && l.diag.errors == 0 : l.snapshot == NULL);
	if (l.err != ISO_OK && l.diag.errors == 0)
		fail_msg("an error without words");
	return l;
}

/* With the folder for each %s. */
static void fill(const char *message, char *words, size_t size)
{
	size_t n = 0;

	for (; *message != '\0' && n + sizeof(folder) < size; message++) {
		if (message[0] == '%' && message[1] == 's') {
			n += (size_t)snprintf(words + n, size - n, "%s", folder);
			message++;
		} else {
			words[n++] = *message;
		}
	}
	words[n] = '\0';
}

/* One error, in that file (NULL: the main one), at that place and pointer; %s in `message` is the folder. */
static void expect(const char *file, unsigned int line, unsigned int column, const char *pointer,
		   const char *message)
{
	struct loaded l = load_main();
	const struct iso_diag_entry *e = l.diag.count > 0 ? &l.diag.entries[0] : NULL;
	char path[256], words[1024];

	fill(message, words, sizeof(words));
	if (l.diag.errors != 1 || e->line != line || e->column != column ||
	    strcmp(e->pointer, pointer) != 0 || strcmp(e->message, words) != 0) {
		fprintf(stderr, "expected %u:%u at %s: %s\n", line, column, pointer, words);
		show(&l);
		fail();
	}
	if (file != NULL) {
		path_of(file, path);
		assert_non_null(e->file);
		assert_string_equal(e->file, path);
	} else {
		assert_null(e->file);
	}
	assert_true(strlen(e->mend) > 5);
	done(&l);
}

static void test_files_are_joined(void **state)
{
	struct loaded l;

	(void)state;
	put_file("main.json",
		 "{ " LISTEN ", \"include\": [\"services.json\", \"routes.d/*.json\", \"none.d/*\"],\n"
		 "\"limits\": { \"streams\": 7 },\n"
		 "\"routes\": [" ROUTE("zero", "/0") "], \"services\": { \"s\": { " PAIR " } } }");
	put_file("services.json", "{ \"$schema\": \"x\", \"services\": { \"t\": { " PAIR " } },\n"
				  "\"limits\": { \"connections\": 9 },\n"
				  "\"listeners\": [{ \"address\": \"127.0.0.2:0\" }] }");
	put_file("routes.d/b.json", "{ \"routes\": [" ROUTE("b", "/b") "] }");
	put_file("routes.d/a.json", "{ \"include\": [\"deep/t.json\"], \"routes\": [" ROUTE(
					    "a1", "/a1") ", " ROUTE("a2", "/a2") "] }");
	put_file("routes.d/.hidden.json", "no JSON at all");
	put_file("routes.d/deep/t.json", "{ \"routes\": [{ \"name\": \"t\", \"service\": \"t\" }] }");
	l = load_main();
	if (l.err != ISO_OK)
		show(&l);
	assert_int_equal(l.err, ISO_OK);
	assert_int_equal(l.diag.count, 0);
	assert_int_equal(l.snapshot->service_count, 2);
	assert_int_equal(l.snapshot->listener_count, 2);
	assert_int_equal(l.snapshot->limits.streams, 7);
	assert_int_equal(l.snapshot->limits.connections, 9);
	assert_int_equal(l.snapshot->route_count, 5);
	for (size_t i = 0; i < 5; i++) /* by name in a directory, what a file includes behind its own */
		assert_string_equal(l.snapshot->routes[i].name.ptr,
				    ((const char *[]){ "zero", "a1", "a2", "t", "b" })[i]);
	assert_non_null(strstr(l.snapshot->description.ptr, "127.0.0.2:0"));
	assert_null(strstr(l.snapshot->description.ptr, "include"));
	done(&l);
}

static void test_errors_name_their_file(void **state)
{
	struct loaded l;

	(void)state;
	put_file("main.json", MAIN("\"a.json\", \"b.json\""));
	put_file("a.json", "{ \"routes\": [" ROUTE("a", "/a") "] }");
	put_file("b.json", "{ \"routes\": [" ROUTE("b", "/b") ",\n  { \"service\": \"none\" }] }");
	expect("b.json", 2, 16, "/routes/1/service", "there is no service \"none\"");
	put_file("b.json", "{ \"limits\": { \"streams\": 0 } }");
	expect("b.json", 1, 26, "/limits/streams", "0 is out of range");
	put_file("b.json", "{\n \"wrokers\": 1 }");
	expect("b.json", 2, 2, "/wrokers", "\"wrokers\" is no key of this object");
	put_file("b.json", "{ \"limits\": {\n \"streams\": 1,\n \"streams\": 2 } }");
	expect("b.json", 3, 2, "/limits/streams", "this key stands in its object already");
	put_file("b.json", "[]");
	expect("b.json", 1, 1, "", "a configuration is an object");
	put_file("b.json", "{ \"routes\": [] }"); /* it brings none, and takes no other's place */
	put_file("a.json", "{ \"routes\": [\n" ROUTE("a", "a") "] }");
	expect("a.json", 2, 35, "/routes/0/match/path", "a path begins with \"/\"");
	put_file("b.json", "{ \"limits\": 5 }"); /* of all files at once, each in its own */
	put_file("a.json", "{ \"user\": 5 }");
	l = load_main();
	assert_int_equal(l.diag.errors, 2);
	done(&l);
}

static void test_conflicts_name_both(void **state)
{
	(void)state;
	put_file("main.json", MAIN("\"a.json\""));
	put_file("a.json", "{ \"services\": {\n    \"s\": { " PAIR " } } }");
	expect("a.json", 2, 5, "/services/s", "\"s\" is given already, in %s/main.json:3:17");
	put_file("main.json", MAIN("\"a.json\", \"b.json\""));
	put_file("a.json", "{ \"workers\": 2 }");
	put_file("b.json", "{ \"workers\": 2 }");
	expect("b.json", 1, 3, "/workers", "\"workers\" is given already, in %s/a.json:1:3");
	put_file("a.json", "{ \"limits\": { \"streams\": 1 } }");
	put_file("b.json", "{ \"limits\": { \"connections\": 1, \"streams\": 1 } }");
	expect("b.json", 1, 33, "/limits/streams", "\"streams\" is given already, in %s/a.json:1:15");
	put_file("a.json", "{ \"limits\": { \"streams\": 1 } }");
	put_file("b.json", "{ \"limits\": [] }");
	expect("b.json", 1, 3, "/limits", "\"limits\" is given already, in %s/a.json:1:3");
	put_file("a.json", "{ \"dns\": { \"servers\": [\"192.0.2.1\"] } }");
	put_file("b.json", "{ \"dns\": { \"servers\": [\"192.0.2.1\"] } }");
	expect("b.json", 1, 12, "/dns/servers", "\"servers\" is given already, in %s/a.json:1:12");
	put_file("a.json", "{ \"routes\": [" ROUTE("a", "/x") "] }");
	put_file("b.json", "{ \"routes\": [\n" ROUTE("b", "/x") "] }");
	expect("b.json", 2, 1, "/routes/0",
	       "routes/0 (a, in %s/a.json:1:14) and routes/1 (b) are equally specific and would take the "
	       "same requests");
	put_file("b.json", "{ \"routes\": [\n" ROUTE("a", "/y") "] }");
	expect("b.json", 2, 11, "/routes/0/name",
	       "another route has the name \"a\" already, in %s/a.json:1:24");
}

static void test_what_cannot_be_included(void **state)
{
	char path[256];

	(void)state;
	put_file("main.json", MAIN("\"a.json\""));
	expect(NULL, 2, 15, "/include/0", "%s/a.json cannot be read: No such file or directory");
	put_file("a.json", "{");
	expect("a.json", 1, 1, "", "this is not JSON: string or '}' expected near end of file");
	put_file("a.json", "{ \"include\": [\"main.json\"] }");
	expect("a.json", 1, 15, "/include/0",
	       "files include each other in a circle: %s/main.json -> %s/a.json -> %s/main.json");
	put_file("main.json", MAIN("\"x.d/*.json\", \"x.d/a.json\""));
	put_file("x.d/a.json", "{}");
	expect(NULL, 2, 29, "/include/1", "%s/x.d/a.json is included already, in %s/main.json:2:15");
	put_file("main.json", MAIN("\"*/a.json\""));
	expect(NULL, 2, 15, "/include/0", "%s/*/a.json has a star in another part than the last");
	put_file("main.json", MAIN("\"x.d\""));
	expect(NULL, 2, 15, "/include/0", "%s/x.d is no regular file");
	put_file("main.json", MAIN("7"));
	expect(NULL, 2, 15, "/include/0", "this is a number, but must be a string");
	put_file("main.json", "{ \"include\": [\"a.json\"] }"); /* what is missing may be in it */
	assert_int_equal(remove((path_of("a.json", path), path)), 0);
	expect(NULL, 1, 15, "/include/0", "%s/a.json cannot be read: No such file or directory");
	put_file("a.json", "{ \"user\": \"x\" }");
	put_file("main.json", "{ " LISTEN ", \"include\": [\"a.json\"] }");
	expect(NULL, 1, 1, "", "\"services\" is missing");
}

static void test_depth_is_bounded(void **state)
{
	char name[32], text[64];
	struct loaded l;

	(void)state;
	put_file("main.json", MAIN("\"1.json\""));
	for (int i = 1; i < 9; i++) {
		(void)snprintf(name, sizeof(name), "%d.json", i);
		(void)snprintf(text, sizeof(text), "{ \"include\": [\"%d.json\"] }", i + 1);
		put_file(name, text);
	}
	put_file("9.json", "{}");
	expect("8.json", 1, 15, "/include/0", "%s/9.json is included too deeply: 8 levels are the most");
	put_file("8.json", "{}");
	l = load_main();
	assert_int_equal(l.err, ISO_OK);
	done(&l);
}

static void test_relative_names(void **state)
{
	struct loaded l;
	char expected[256];

	(void)state;
	put_file("main.json", MAIN("\"d/a.json\""));
	put_file("d/a.json",
		 "{ \"access_log\": { \"path\": \"x.log\" }, \"idempotency\": { \"journal\": \"j\" },\n"
		 "  \"geo\": { \"database\": \"none.mmdb\" } }");
	expect("d/a.json", 2, 24, "/geo/database",
	       "%s/d/none.mmdb cannot be read: No such file or directory");
	put_file("d/a.json",
		 "{ \"access_log\": { \"path\": \"x.log\" }, \"idempotency\": { \"journal\": \"j\" } }");
	l = load_main();
	assert_int_equal(l.err, ISO_OK);
	path_of("d/x.log", expected);
	assert_slice(l.snapshot->access_log, expected);
	path_of("d/j", expected);
	assert_slice(l.snapshot->ledger.journal, expected);
	done(&l);
}

static void test_hash_is_of_all_files(void **state)
{
	struct loaded a, b;

	(void)state;
	put_file("main.json", MAIN("\"a.json\""));
	put_file("a.json", "{ \"workers\": 2 }");
	a = load_main();
	put_file("a.json", "{ \"workers\": 3 }");
	b = load_main();
	assert_true(a.snapshot->hash != b.snapshot->hash);
	done(&a);
	done(&b);
}

static void test_watched(void **state)
{
	struct loaded l;
	uint64_t now, before;
	char path[256], other[256];

	(void)state;
	put_file("main.json", MAIN("\"x.d/*\", \"a.json\""));
	put_file("a.json", "{}");
	put_file("x.d/1", "{}");
	l = load_main();
	assert_null(l.snapshot->files);
	done(&l);
	put_file("a.json", "{ \"watch\": true }");
	l = load_main();
	assert_null(iso_snapshot_changed_file(l.snapshot, &now));
	put_file("x.d/2", "{}"); /* a file more */
	assert_non_null(strstr(iso_snapshot_changed_file(l.snapshot, &now), "x.d/*"));
	done(&l);
	l = load_main();
	put_file("new", "{ \"watch\": true } "); /* as editors do */
	path_of("new", path);
	path_of("a.json", other);
	assert_int_equal(rename(path, other), 0);
	assert_string_equal(iso_snapshot_changed_file(l.snapshot, &now), other);
	put_file("x.d/3", "{ \"limits\": { \"streams\": 12345 } }"); /* one that is bad, and then mended */
	assert_non_null(iso_snapshot_changed_file(l.snapshot, &before));
	put_file("x.d/3", "{ \"limits\": { \"streams\": 123 } }");
	assert_non_null(iso_snapshot_changed_file(l.snapshot, &now));
	assert_true(now != before);
	done(&l);
	l = load_main();
	path_of("main.json", path);
	assert_int_equal(truncate(path, 3), 0);
	assert_string_equal(iso_snapshot_changed_file(l.snapshot, &now), path);
	done(&l);
}

#define KEY(value)                                                                                           \
	"{ \"services\": { \"t\": { \"regions\": { \"a\": { \"url\": \"http://a.test\",\n \"headers\": "     \
	"{ \"x-api-key\": \"" value "\" } } } } } }"

#define TWO                                                                                                  \
	"{ " LISTEN ", \"include\": [\"d/a.json\"], \"services\": { \"s\": { " PAIR " } },\n"                \
	"\"routes\": [" ROUTE("s", "/s") ", { \"service\": \"t\" }] }"

static const char *header(const struct loaded *l)
{
	const struct iso_field *field = iso_fields_find(&l->snapshot->services[1].regions[0].headers,
							ISO_SLICE("x-api-key"));

	assert_non_null(field);
	return field->value.ptr;
}

static void test_secrets_from_files(void **state)
{
	static const char *const cases[][2] = { { "s3cret", "s3cret" },
						{ "s3cret\n", "s3cret" },
						{ "s3cret\r\n", "s3cret" },
						{ "\n", "" },
						{ "", "" },
						{ "${HOME}", "${HOME}" } };
	struct loaded l;
	uint64_t now;

	(void)state;
	put_file("d/a.json", KEY("${file:key}"));
	put_file("main.json",
		 "{ " LISTEN ", \"include\": [\"d/a.json\"], \"services\": { \"s\": { " PAIR " } },\n"
		 "\"routes\": [" ROUTE("s", "/s") ", { \"service\": \"t\" }] }");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_file("d/key", cases[i][0]);
		l = load_main();
		if (l.err != ISO_OK)
			show(&l);
		assert_int_equal(l.err, ISO_OK);
		assert_string_equal(header(&l), cases[i][1]);
		assert_null(strstr(l.snapshot->description.ptr, "s3cret"));
		assert_null(iso_snapshot_changed_file(l.snapshot, &now));
		put_file("d/key", "another one");
		assert_non_null(strstr(iso_snapshot_changed_file(l.snapshot, &now), "/d/key"));
		done(&l);
	}
}

static void test_secrets_that_cannot_be_read(void **state)
{
	char *large = malloc((64 << 10) + 2), path[256];

	(void)state;
	assert_non_null(large);
	memset(large, 'x', (64 << 10) + 1);
	large[(64 << 10) + 1] = '\0';
	put_file("main.json", TWO);
	put_file("d/a.json", KEY("${file:key}"));
	expect("d/a.json", 2, 28, "/services/t/regions/a/headers/x-api-key",
	       "the file %s/d/key cannot be read: No such file or directory");
	put_file("d/key", large);
	expect("d/a.json", 2, 28, "/services/t/regions/a/headers/x-api-key",
	       "the file %s/d/key is larger than 64 KiB");
	put_file("d/a.json", KEY("${file:/dev/zero}"));
	expect("d/a.json", 2, 28, "/services/t/regions/a/headers/x-api-key", "/dev/zero is no regular file");
	put_file("d/a.json", KEY("${file:key}"));
	put_file("d/key", "x");
	path_of("d/key", path);
	assert_int_equal(truncate(path, 3), 0);
	expect("d/a.json", 2, 28, "/services/t/regions/a/headers/x-api-key",
	       "the file %s/d/key holds a NUL byte");
	put_file("d/key", "\xff\xfe");
	expect("d/a.json", 2, 28, "/services/t/regions/a/headers/x-api-key",
	       "what is filled in here is not UTF-8");
	free(large);
}

static void test_out_of_memory(void **state)
{
	bool whole = false;

	(void)state;
	put_file("main.json", TWO);
	put_file("d/a.json", KEY("${file:key}"));
	put_file("d/key", "s3cret");
	json_set_alloc_funcs(failing_malloc, free);
	for (size_t n = 0; !whole; n++) {
		struct loaded l = { .snapshot = NULL };
		char path[256];

		assert_true(n < 2000);
		path_of("main.json", path);
		assert_int_equal(iso_diag_init(&l.diag, path, 10), ISO_OK);
		allocations_left = n;
		l.err = iso_config_load(path, &l.diag, &l.snapshot);
		whole = allocations_left > 0;
		assert_true((l.err == ISO_OK) == (l.snapshot != NULL));
		assert_true(l.err != ISO_EBAD || l.diag.errors > 0);
		assert_true(!whole || l.err == ISO_OK);
		done(&l);
	}
	json_set_alloc_funcs(malloc, free);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_files_are_joined),     TEST(test_errors_name_their_file),
		TEST(test_conflicts_name_both),  TEST(test_what_cannot_be_included),
		TEST(test_depth_is_bounded),     TEST(test_relative_names),
		TEST(test_hash_is_of_all_files), TEST(test_watched),
		TEST(test_secrets_from_files),   TEST(test_secrets_that_cannot_be_read),
		TEST(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
