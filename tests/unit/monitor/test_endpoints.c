/*
 * A slot's addresses by two lookups against a scripted DNS server on the same loop: each family by itself.
 */
#include <stdlib.h>

#include "endpoints_priv.h"
#include "net/dns_script.h"

enum { MS = 1000, TTL_S = 1 };

static const struct dns_record both[] = {
	{ "api.test", DNS_A, TTL_S, "192.0.2.1" },
	{ "api.test", DNS_AAAA, TTL_S, "2001:db8::1" },
};
static const struct dns_record only_v4[] = { { "api.test", DNS_A, TTL_S, "192.0.2.1" } };
static const struct dns_record only_v6[] = { { "api.test", DNS_AAAA, TTL_S, "2001:db8::1" } };
static const struct dns_record nothing[] = { { "api.test", DNS_CNAME, TTL_S, "none.test" } };

static struct guarded_loop g;
static struct dns_script dns;
static struct iso_endpoints *endpoints;
static struct iso_cfg_region region;
static struct iso_cfg_service service;
static struct iso_snapshot snapshot;
static int changes;
static uint64_t began_us, first_us;

static void on_changed(void *arg)
{
	(void)arg;
	if (changes++ == 0)
		first_us = g.loop.now_us - began_us;
}

static int setup(void **state)
{
	(void)state;
	guarded_init(&g);
	dns_start(&dns, &g.loop, both, 2);
	memset(&region, 0, sizeof(region));
	memset(&service, 0, sizeof(service));
	memset(&snapshot, 0, sizeof(snapshot));
	region.host = ISO_SLICE("api.test");
	region.port = 443;
	service.regions[0] = region;
	service.region_count = 1;
	snapshot.services = &service;
	snapshot.service_count = 1;
	snapshot.dns_min_ttl_us = 200 * MS;
	snapshot.dns_max_ttl_us = 300 * MS;
	changes = 0;
	first_us = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iso_endpoints_free(endpoints);
	endpoints = NULL;
	dns_stop(&dns);
	guarded_done(&g);
	return 0;
}

static void begin(void)
{
	struct iso_endpoints_hook hook = { on_changed, NULL };

	assert_int_equal(iso_endpoints_new(&g.loop, dns.address, &hook, &endpoints), ISO_OK);
	g.loop.now_us = began_us = iso_clock_mono_us();
	iso_endpoints_bind(endpoints, &snapshot);
}

/* Runs until so many addresses are in the current answers, for two seconds at most. */
static void until_fresh(uint32_t n)
{
	uint32_t fresh = 0;

	for (int i = 0; i < 2000; i++) {
		struct iso_board_region r = { 0 };

		guarded_run_for(&g, MS);
		iso_endpoints_read(endpoints, 0, &r);
		fresh = 0;
		for (uint32_t k = 0; k < r.endpoint_count; k++)
			fresh += r.endpoints[k].fresh;
		if (fresh == n)
			return;
	}
	fail_msg("%u addresses instead of %u", fresh, n);
}

static void records(const struct dns_record *now, size_t n)
{
	dns.records = now;
	dns.n = n;
}

static void test_both_families(void **state)
{
	(void)state;
	begin();
	until_fresh(2);
	assert_null(iso_endpoints_why(endpoints, 0));
	assert_true(iso_endpoints_took_us(endpoints, 0) > 0);
}

/* RFC 8305 section 3: the IPv4 answer waits 50 ms for the other, and no longer. */
static void test_silent_for_aaaa(void **state)
{
	(void)state;
	dns.manner_aaaa = DNS_SILENT;
	begin();
	until_fresh(1);
	assert_true(first_us >= 50 * MS);
	assert_true(first_us < 500 * MS);
}

static void test_ipv6_does_not_wait(void **state)
{
	(void)state;
	records(only_v6, 1);
	begin();
	until_fresh(1);
	assert_true(first_us < 50 * MS);
	assert_null(iso_endpoints_why(endpoints, 0));
}

static void test_no_aaaa_ends_the_wait(void **state)
{
	(void)state;
	records(only_v4, 1);
	begin();
	until_fresh(1);
	assert_true(first_us < 50 * MS);
	assert_null(iso_endpoints_why(endpoints, 0)); /* most names have none: nothing to tell */
}

/* A failing answer for one family keeps its last good set, and goes on asking. */
static void test_servfail_for_aaaa_keeps_ipv6(void **state)
{
	int asked;

	(void)state;
	begin();
	until_fresh(2);
	dns.manner_aaaa = DNS_SERVFAIL;
	asked = dns.queries;
	for (int i = 0; i < 2000 && dns.queries < asked + 6; i++)
		guarded_run_for(&g, MS);
	until_fresh(2);
	assert_non_null(iso_endpoints_why(endpoints, 0));
	records(only_v4, 1);
	dns.manner_aaaa = DNS_ANSWERS;
}

/* It is sure that there is none: then none is used. */
static void test_aaaa_is_gone(void **state)
{
	(void)state;
	begin();
	until_fresh(2);
	records(only_v4, 1);
	until_fresh(1);
	records(both, 2);
	until_fresh(2);
	records(nothing, 1); /* no address at all: the last good set */
	for (int i = 0; i < 700; i++)
		guarded_run_for(&g, MS);
	until_fresh(2);
	assert_non_null(iso_endpoints_why(endpoints, 0));
}

static void test_nameless_only_when_both_have_failed(void **state)
{
	(void)state;
	records(nothing, 1);
	dns.manner_aaaa = DNS_SILENT;
	begin();
	guarded_run_for(&g, 100 * MS);
	assert_null(iso_endpoints_why(endpoints, 0));
	dns.manner_aaaa = DNS_ANSWERS;
	for (int i = 0; i < 3000 && iso_endpoints_why(endpoints, 0) == NULL; i++)
		guarded_run_for(&g, MS);
	assert_non_null(iso_endpoints_why(endpoints, 0));
}

static void test_literals_are_resolved_once(void **state)
{
	(void)state;
	service.regions[0].host = ISO_SLICE("192.0.2.9");
	begin();
	until_fresh(1);
	for (int i = 0; i < 20; i++)
		guarded_run_for(&g, MS);
	assert_null(iso_endpoints_why(endpoints, 0));
	assert_int_equal(dns.queries, 0);
	assert_int_equal(iso_endpoints_took_us(endpoints, 0), 0);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(test_both_families),
		WITH_SERVER(test_silent_for_aaaa),
		WITH_SERVER(test_ipv6_does_not_wait),
		WITH_SERVER(test_no_aaaa_ends_the_wait),
		WITH_SERVER(test_servfail_for_aaaa_keeps_ipv6),
		WITH_SERVER(test_aaaa_is_gone),
		WITH_SERVER(test_nameless_only_when_both_have_failed),
		WITH_SERVER(test_literals_are_resolved_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
