/*
 * Normal forms of paths (RFC 3986 sections 5.2.4 and 6.2.2), authorities, region URLs, Location and
 * Set-Cookie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/http/uri.h"

static void test_normal_form(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "/", "/" },
		{ "/a/b", "/a/b" },
		{ "/a/./b", "/a/b" },
		{ "/a/../b", "/b" },
		{ "/../../b", "/b" },
		{ "/a/b/..", "/a/" },
		{ "/a/b/.", "/a/b/" },
		{ "/.", "/" },
		{ "/..", "/" },
		{ "/a//b", "/a//b" },
		{ "/a/..b", "/a/..b" },
		{ "/a/.b", "/a/.b" },
		{ "/%61%7e", "/a~" },
		{ "/%2f%5c", "/%2F%5C" },
		{ "/%2e%2e/b", "/b" },
		{ "/a/%2E%2e/b", "/b" },
		{ "/a%20b", "/a%20b" },
		{ "/a?x=%2e%2e/../y", "/a?x=%2e%2e/../y" },
		{ "/a/../b?q", "/b?q" },
		{ "*", "*" },
		{ "/%e2%82%ac", "/%E2%82%AC" },
		{ "/a/b/c/./../../g", "/a/g" },
	};
	static const char *const bad[] = { "/%00", "/%", "/%1", "/%zz", "/a%2", "a", "", "/x/%0" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iso_arena arena;
		struct iso_slice out, again;

		iso_arena_init(&arena, NULL, 100000);
		assert_int_equal(iso_uri_normalise(&arena, iso_slice_str(rows[i].in), &out), ISO_OK);
		if (!iso_slice_eq(out, iso_slice_str(rows[i].out)))
			fail_msg("%s became %.*s", rows[i].in, ISO_SLICE_FMT(out));
		assert_int_equal(iso_uri_normalise(&arena, out, &again), ISO_OK); /* once is enough */
		assert_true(iso_slice_eq(out, again));
		iso_arena_done(&arena);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct iso_arena arena;
		struct iso_slice out;

		iso_arena_init(&arena, NULL, 100000);
		assert_int_equal(iso_uri_normalise(&arena, iso_slice_str(bad[i]), &out), ISO_EBAD);
		iso_arena_done(&arena);
	}
}

static void test_authorities(void **state)
{
	static const char *const good[] = { "a",  "a:", "a.b:80", "127.0.0.1:1", "[::1]", "[2001:db8::1]:443",
					    "a_b" };
	static const char *const bad[] = { "",    ":80",  "a%41", "a:0",   "a:65536", "a:8x",
					   "u@a", "[::1", "[]",   "[x]:1", "a b",     "[::1]x" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(iso_uri_authority_ok(iso_slice_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (iso_uri_authority_ok(iso_slice_str(bad[i])))
			fail_msg("accepted: %s", bad[i]);
	assert_true(iso_slice_eq(iso_uri_host(ISO_SLICE("[::1]:8")), ISO_SLICE("::1")));
	assert_true(iso_slice_eq(iso_uri_host(ISO_SLICE("a:8")), ISO_SLICE("a")));
}

static void test_region_urls(void **state)
{
	static const char *const bad[] = {
		"",    "ftp://a",     "https://", "https://a:0", "https://a/x?y", "https://a/#x",
		"//a", "https://u@a/"
	};
	struct iso_url url;
	const char *why = NULL;

	(void)state;
	assert_int_equal(iso_url_parse(ISO_SLICE("https://d-a1.execute-api.us-east-1.amazonaws.com/prod/"),
				       &url, &why),
			 ISO_OK);
	assert_true(url.tls);
	assert_int_equal(url.port, 443);
	assert_true(iso_slice_eq(url.base_path, ISO_SLICE("/prod")));
	assert_int_equal(iso_url_parse(ISO_SLICE("http://[::1]:8080"), &url, &why), ISO_OK);
	assert_false(url.tls);
	assert_int_equal(url.port, 8080);
	assert_true(iso_slice_eq(url.host, ISO_SLICE("::1")));
	assert_int_equal(url.base_path.len, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		assert_int_equal(iso_url_parse(iso_slice_str(bad[i]), &url, &why), ISO_EBAD);
		assert_non_null(why);
	}
}

static void check_location(const char *in, const char *base, const char *out)
{
	const struct iso_slice hosts[2] = { ISO_SLICE("api.example.com"), ISO_SLICE("d-1.example.net") };
	struct iso_arena arena;
	struct iso_slice got;

	iso_arena_init(&arena, NULL, 10000);
	got = iso_uri_relocate(&arena, iso_slice_str(in), hosts, iso_slice_str(base),
			       ISO_SLICE("https://edge.example.net"));
	if (!iso_slice_eq(got, iso_slice_str(out)))
		fail_msg("%s became %.*s", in, ISO_SLICE_FMT(got));
	iso_arena_done(&arena);
}

static void test_location(void **state)
{
	(void)state;
	check_location("https://api.example.com/prod/x", "/prod", "https://edge.example.net/x");
	check_location("https://api.example.com/prod", "/prod", "https://edge.example.net/");
	check_location("https://d-1.example.net:8443/prod/x", "/prod", "https://edge.example.net/x");
	check_location("https://API.example.com/other", "/prod", "https://edge.example.net/other");
	check_location("https://else.example.com/prod/x", "/prod", "https://else.example.com/prod/x");
	check_location("/prod/x?y", "/prod", "/x?y");
	check_location("/production", "/prod", "/production");
	check_location("relative", "/prod", "relative");
	check_location("/x", "", "/x");
}

static void test_cookie_path(void **state)
{
	struct iso_arena arena;

	(void)state;
	iso_arena_init(&arena, NULL, 10000);
	assert_true(iso_slice_eq(iso_uri_recookie(&arena, ISO_SLICE("a=b; Path=/prod/x; Secure"),
						  ISO_SLICE("/prod")),
				 ISO_SLICE("a=b; Path=/x; Secure")));
	assert_true(iso_slice_eq(iso_uri_recookie(&arena, ISO_SLICE("a=b; path=/prod"), ISO_SLICE("/prod")),
				 ISO_SLICE("a=b; path=/")));
	assert_true(
		iso_slice_eq(iso_uri_recookie(&arena, ISO_SLICE("a=b; Path=/products"), ISO_SLICE("/prod")),
			     ISO_SLICE("a=b; Path=/products")));
	iso_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normal_form), cmocka_unit_test(test_authorities),
		cmocka_unit_test(test_region_urls), cmocka_unit_test(test_location),
		cmocka_unit_test(test_cookie_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
