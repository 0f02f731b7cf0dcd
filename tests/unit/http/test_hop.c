/*
 * Hop-by-hop rules (RFC 9110 section 7.6), loops (RFC 8586), request ids, cookies (RFC 9113 section 8.2.3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/http/hop.h"

static const struct iso_hop_facts facts = {
	.client_ip = { "192.0.2.7", 9 },
	.scheme = { "https", 5 },
	.random = { 0x0123456789abcdefull, 0xfedcba9876543210ull },
};
static const struct iso_hop_facts behind_proxy = {
	.client_ip = { "192.0.2.7", 9 },
	.scheme = { "https", 5 },
	.random = { 0x0123456789abcdefull, 0xfedcba9876543210ull },
	.trusted = true,
};

struct fixture {
	struct iso_arena arena;
	struct iso_head head;
	struct iso_slice id;
};

static void begin(struct fixture *f)
{
	iso_arena_init(&f->arena, NULL, 1 << 20);
	f->head = (struct iso_head){ .version = ISO_HTTP_11, .authority = ISO_SLICE("api.example.com") };
	f->id = ISO_SLICE("");
}

static void add(struct fixture *f, const char *name, const char *value)
{
	assert_int_equal(iso_fields_add(&f->head.fields, &f->arena, iso_slice_str(name),
					iso_slice_str(value)),
			 ISO_OK);
}

/* The field is there in one line with that value; NULL: in none. */
static void check(const struct fixture *f, const char *name, const char *value)
{
	uint32_t lines = 0;

	for (uint32_t i = 0; i < f->head.fields.n; i++) {
		const struct iso_field *field = &f->head.fields.v[i];

		if (!iso_slice_eq(field->name, iso_slice_str(name)))
			continue;
		lines++;
		if (value == NULL || !iso_slice_eq(field->value, iso_slice_str(value)))
			fail_msg("%s: %.*s", name, ISO_SLICE_FMT(field->value));
	}
	if (lines != (value != NULL))
		fail_msg("%s: %u lines", name, lines);
}

static void test_connection_fields_go(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "connection", "close, X-Mine ,te");
	add(&f, "x-mine", "1");
	add(&f, "keep-alive", "timeout=5");
	add(&f, "proxy-connection", "x");
	add(&f, "proxy-authorization", "x");
	add(&f, "te", "gzip");
	add(&f, "transfer-encoding", "chunked");
	add(&f, "upgrade", "h2c");
	add(&f, "http2-settings", "x");
	add(&f, "accept", "yes");
	assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
	check(&f, "connection", NULL);
	check(&f, "x-mine", NULL);
	check(&f, "keep-alive", NULL);
	check(&f, "proxy-connection", NULL);
	check(&f, "proxy-authorization", NULL);
	check(&f, "te", NULL);
	check(&f, "transfer-encoding", NULL);
	check(&f, "upgrade", NULL);
	check(&f, "http2-settings", NULL);
	check(&f, "accept", "yes");
	check(&f, "via", "1.1 isochrone");
	check(&f, "x-forwarded-for", "192.0.2.7");
	check(&f, "x-forwarded-proto", "https");
	check(&f, "x-forwarded-host", "api.example.com");
	check(&f, "cdn-loop", "isochrone");
	iso_arena_done(&f.arena);
}

/* RFC 9110 section 7.6.1: however long the name is. */
static void test_long_names_in_connection(void **state)
{
	static const size_t lengths[] = { 63, 64, 65, 500 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char name[501] = { 0 }, upper[501] = { 0 };
		struct fixture f;

		memset(name, 'x', lengths[i]);
		memset(upper, 'X', lengths[i]);
		begin(&f);
		add(&f, name, "1");
		add(&f, "connection", upper);
		assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
		check(&f, name, NULL);
		iso_arena_done(&f.arena);
	}
}

static void test_lists_are_appended(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "via", "1.0 a");
	add(&f, "x-forwarded-for", "198.51.100.1");
	add(&f, "x-forwarded-proto", "http");
	add(&f, "forwarded", "for=198.51.100.1");
	add(&f, "te", "trailers");
	assert_int_equal(iso_hop_request(&f.head, &f.arena, &behind_proxy, &f.id), ISO_OK);
	check(&f, "via", "1.0 a, 1.1 isochrone");
	check(&f, "x-forwarded-for", "198.51.100.1, 192.0.2.7");
	check(&f, "x-forwarded-proto", "http"); /* the proxy knows what its client used */
	check(&f, "forwarded", "for=198.51.100.1, for=192.0.2.7;proto=https");
	check(&f, "te", "trailers");
	iso_arena_done(&f.arena);
}

/* RFC 9110 section 5.3: all lines of a field are one list in their order, and ours comes last. */
static void test_lines_become_one(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "x-forwarded-for", "198.51.100.1");
	add(&f, "via", "");
	add(&f, "forwarded", "for=198.51.100.1");
	add(&f, "x-forwarded-for", "");
	add(&f, "cdn-loop", "a");
	add(&f, "accept", "yes");
	add(&f, "via", "1.0 a");
	add(&f, "x-forwarded-for", "198.51.100.2, 198.51.100.3");
	add(&f, "via", "1.1 b");
	add(&f, "cdn-loop", "b");
	add(&f, "forwarded", "for=198.51.100.2");
	f.head.fields.v[10].flags = ISO_FIELD_F_NEVER_INDEX;
	assert_int_equal(iso_hop_request(&f.head, &f.arena, &behind_proxy, &f.id), ISO_OK);
	check(&f, "x-forwarded-for", "198.51.100.1, 198.51.100.2, 198.51.100.3, 192.0.2.7");
	check(&f, "via", "1.0 a, 1.1 b, 1.1 isochrone");
	check(&f, "forwarded", "for=198.51.100.1, for=198.51.100.2, for=192.0.2.7;proto=https");
	check(&f, "cdn-loop", "a, b, isochrone");
	check(&f, "accept", "yes");
	assert_int_equal(iso_fields_get(&f.head.fields, ISO_FIELD_FORWARDED)->flags, ISO_FIELD_F_NEVER_INDEX);
	iso_arena_done(&f.arena);
	begin(&f);
	add(&f, "via", "1.0 a");
	add(&f, "via", "1.1 b");
	assert_int_equal(iso_hop_response(&f.head, &f.arena), ISO_OK);
	check(&f, "via", "1.0 a, 1.1 b, 1.1 isochrone");
	iso_arena_done(&f.arena);
}

static void add_spoofed(struct fixture *f)
{
	for (int i = 0; i < 2; i++) {
		add(f, "x-forwarded-for", "198.51.100.1");
		add(f, "x-forwarded-proto", "gopher");
		add(f, "x-forwarded-host", "bank.example");
		add(f, "x-forwarded-port", "22");
		add(f, "x_forwarded_for", "198.51.100.1");
		add(f, "forwarded", "for=198.51.100.1");
	}
	add(f, "x-forwardedness", "much");
}

static void test_an_untrusted_client_says_nothing_about_others(void **state)
{
	struct fixture f;

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&f);
		add_spoofed(&f);
		if (i == 1)
			f.head.authority = ISO_SLICE("");
		assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
		check(&f, "x-forwarded-for", "192.0.2.7");
		check(&f, "x-forwarded-proto", "https");
		check(&f, "x-forwarded-host", i == 0 ? "api.example.com" : NULL);
		check(&f, "x-forwarded-port", NULL);
		check(&f, "x_forwarded_for", NULL);
		check(&f, "forwarded", NULL);
		check(&f, "x-forwardedness", "much");
		iso_arena_done(&f.arena);
	}
}

/* RFC 7239 section 6: an IPv6 address is in brackets, and so in quotes. */
static void test_forwarded_by_ipv6(void **state)
{
	struct iso_hop_facts by = behind_proxy;
	struct fixture f;

	(void)state;
	for (int i = 0; i < 2; i++) {
		by.client_ip = i == 0 ? ISO_SLICE("2001:db8::7") : ISO_SLICE("[2001:db8::7]");
		begin(&f);
		add(&f, "forwarded", "for=198.51.100.1");
		assert_int_equal(iso_hop_request(&f.head, &f.arena, &by, &f.id), ISO_OK);
		check(&f, "forwarded", "for=198.51.100.1, for=\"[2001:db8::7]\";proto=https");
		iso_arena_done(&f.arena);
	}
}

/* RFC 9110 section 6.5.1 */
static void test_trailers(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "content-length", "1");
	add(&f, "x-sum", "9");
	add(&f, "authorization", "me");
	add(&f, "set-cookie", "a=b");
	add(&f, "if-match", "x");
	add(&f, "content_length", "1");
	add(&f, "transfer_encoding", "chunked");
	add(&f, "grpc-status", "0");
	iso_hop_trailers(&f.head.fields);
	assert_int_equal(f.head.fields.n, 2);
	check(&f, "x-sum", "9");
	check(&f, "grpc-status", "0");
	iso_arena_done(&f.arena);
}

/* W3C Trace Context section 3.2. */
static void test_traces(void **state)
{
	static const struct {
		const char *value;
		bool good;
	} cases[] = {
		{ "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true },
		{ "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true },
		{ "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false },
		{ "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false },
		{ "00-00000000000000000000000000000000-b7ad6b7169203331-01", false },
		{ "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false },
		{ "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false },
		{ "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;

		begin(&f);
		add(&f, "traceparent", cases[i].value);
		add(&f, "tracestate", "a=b");
		assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
		check(&f, "traceparent", cases[i].good ? cases[i].value : NULL);
		check(&f, "tracestate", cases[i].good ? "a=b" : NULL);
		iso_arena_done(&f.arena);
	}
}

/* Section 3.2: one in two lines is none, even if both are good. */
static void test_traces_in_two_lines(void **state)
{
	static const char good[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "traceparent", good);
	add(&f, "tracestate", "a=b");
	add(&f, "traceparent", good);
	assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
	check(&f, "traceparent", NULL);
	check(&f, "tracestate", NULL);
	iso_arena_done(&f.arena);
}

static void test_a_loop_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "cdn-loop", "other; v=1, isochrone; x=y");
	assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_EEXISTS);
	iso_arena_done(&f.arena);
	begin(&f);
	add(&f, "cdn-loop", "isochrone-like");
	assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
	iso_arena_done(&f.arena);
}

static void test_protected_names_in_connection(void **state)
{
	const char *names[] = { "content-length", "Host", "Authorization", "cookie", "X-Forwarded-For" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fixture f;

		begin(&f);
		add(&f, "connection", names[i]);
		assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_EBAD);
		iso_arena_done(&f.arena);
	}
}

static void test_request_id(void **state)
{
	const char *bad[] = { "", "a b", "a\"b", "\xc3\xa9", "a;b" };
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "x-request-id", "Client-1.2_3~x=/+");
	assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
	assert_true(iso_slice_eq(f.id, ISO_SLICE("Client-1.2_3~x=/+")));
	iso_arena_done(&f.arena);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(&f);
		add(&f, "x-request-id", bad[i]);
		assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
		assert_int_equal(f.id.len, 32);
		for (size_t k = 0; k < 32; k++)
			assert_non_null(strchr("0123456789abcdef", f.id.ptr[k]));
		check(&f, "x-request-id", f.id.ptr);
		iso_arena_done(&f.arena);
	}
}

/* Two ids are none: the log must not have one and the region another. */
static void test_request_ids_in_two_lines(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "x-request-id", "one");
	add(&f, "x-request-id", "two");
	assert_int_equal(iso_hop_request(&f.head, &f.arena, &facts, &f.id), ISO_OK);
	assert_int_equal(f.id.len, 32);
	check(&f, "x-request-id", f.id.ptr);
	iso_arena_done(&f.arena);
}

static void test_cookies_are_joined(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, "cookie", "a=1");
	add(&f, "x", "y");
	add(&f, "cookie", "b=2");
	add(&f, "cookie", "c=3");
	assert_int_equal(iso_hop_join_cookies(&f.head.fields, &f.arena), ISO_OK);
	check(&f, "cookie", "a=1; b=2; c=3");
	assert_int_equal(f.head.fields.n, 2);
	iso_arena_done(&f.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection_fields_go),
		cmocka_unit_test(test_long_names_in_connection),
		cmocka_unit_test(test_lists_are_appended),
		cmocka_unit_test(test_lines_become_one),
		cmocka_unit_test(test_an_untrusted_client_says_nothing_about_others),
		cmocka_unit_test(test_forwarded_by_ipv6),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_traces),
		cmocka_unit_test(test_traces_in_two_lines),
		cmocka_unit_test(test_a_loop_is_refused),
		cmocka_unit_test(test_protected_names_in_connection),
		cmocka_unit_test(test_request_id),
		cmocka_unit_test(test_request_ids_in_two_lines),
		cmocka_unit_test(test_cookies_are_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
