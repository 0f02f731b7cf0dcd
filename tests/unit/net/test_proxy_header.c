/*
 * PROXY protocol headers, both versions: good ones byte by byte, bad ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/net/proxy_header.h"
#include "iso/net/resolver.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

/* A good header followed by other bytes: every shorter piece is not whole yet. */
static struct iso_proxy_header good(const char *bytes, size_t n)
{
	struct iso_proxy_header header;
	uint8_t all[600];
	size_t used;

	memcpy(all, bytes, n);
	memcpy(all + n, "GET / HTTP/1.1", 14);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(iso_proxy_header_parse(all, i, &header, &used), ISO_EAGAIN);
	assert_int_equal(iso_proxy_header_parse(all, n + 14, &header, &used), ISO_OK);
	assert_int_equal(used, n);
	return header;
}

static void check(const struct iso_proxy_header *header, const char *source, const char *destination)
{
	char text[64];

	assert_true(header->known);
	iso_sockaddr_format(&header->source.u.sa, text, sizeof(text));
	assert_string_equal(text, source);
	iso_sockaddr_format(&header->destination.u.sa, text, sizeof(text));
	assert_string_equal(text, destination);
}

static void test_version_1(void **state)
{
	static const char v4[] = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
	static const char v6[] = "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n";
	static const char unknown[] = "PROXY UNKNOWN ffff::1 whatever\r\n";
	struct iso_proxy_header header = good(v4, sizeof(v4) - 1);

	(void)state;
	check(&header, "192.0.2.1:56324", "198.51.100.2:443");
	header = good(v6, sizeof(v6) - 1);
	check(&header, "[2001:db8::1]:1", "[2001:db8::2]:65535");
	header = good(unknown, sizeof(unknown) - 1);
	assert_false(header.known);
	header = good("PROXY UNKNOWN\r\n", 15);
	assert_false(header.known);
}

static void test_version_2(void **state)
{
	static const char v4[] = V2 "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb";
	static const char tlv[] = V2 "\x21\x11\0\x11\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb\x04\0\2hi";
	static const char local[] = V2 "\x20\0\0\0";
	static const char udp[] = V2 "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb";
	char v6[16 + 36];
	struct iso_proxy_header header = good(v4, sizeof(v4) - 1);

	(void)state;
	check(&header, "192.0.2.1:56324", "198.51.100.2:443");
	header = good(tlv, sizeof(tlv) - 1);
	check(&header, "192.0.2.1:56324", "198.51.100.2:443");
	header = good(local, sizeof(local) - 1);
	assert_false(header.known);
	header = good(udp, sizeof(udp) - 1);
	assert_false(header.known);
	memset(v6, 0, sizeof(v6));
	memcpy(v6, V2 "\x21\x21\0\x24", 16);
	v6[16 + 15] = 1;
	v6[16 + 31] = 2;
	v6[16 + 33] = 80;
	v6[16 + 35] = 81;
	header = good(v6, sizeof(v6));
	check(&header, "[::1]:80", "[::2]:81");
}

static void test_bad(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = {
#define CASE(text) { text, sizeof(text) - 1 }
		CASE("GET / HTTP/1.1\r\n"),
		CASE("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n"),
		CASE("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 x\r\n"),
		CASE("PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n"),
		CASE("PROXY TCP4 192.0.2.1 198.51.100.2 056 443\r\n"),
		CASE("PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n"),
		CASE("PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n"),
		CASE("PROXY TCP4 ::1 ::1 1 443\r\n"),
		CASE("PROXY TCP6 192.0.2.1 198.51.100.2 1 443\r\n"),
		CASE("PROXY TCP6 [::1] [::2] 1 443\r\n"),
		CASE("PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n"),
		CASE("PROXY TCP4 192.0.2.1 198.51.100.2 1 443\n"),
		CASE("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456789"
		     "0123456789012345678901234567890123456789\r\n"),
		CASE(V2 "\x31\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb"), /* another version */
		CASE(V2 "\x22\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb"), /* another command */
		CASE(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01"),     /* too short */
		CASE(V2 "\x21\x11\xff\xff"),                                       /* too long */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iso_proxy_header header;
		size_t used;

		if (iso_proxy_header_parse((const uint8_t *)cases[i].bytes, cases[i].n, &header, &used) !=
		    ISO_EBAD)
			fail_msg("case %zu is no header", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_version_1),
					    cmocka_unit_test(test_version_2), cmocka_unit_test(test_bad) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
