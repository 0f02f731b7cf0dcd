/*
 * The resolver against a scripted DNS server on the same loop, and once against dnsmasq where there is one.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "net/dns_script.h"

static const struct dns_record records[] = {
	{ "both.test", DNS_A, 30, "192.0.2.1" },           { "both.test", DNS_AAAA, 20, "2001:db8::1" },
	{ "four.test", DNS_A, 60, "192.0.2.4" },           { "alias.test", DNS_CNAME, 5, "middle.test" },
	{ "middle.test", DNS_CNAME, 300, "four.test" },    { "zero.test", DNS_A, 0, "192.0.2.5" },
	{ "spread.test", DNS_A, 90, "192.0.2.6" },         { "spread.test", DNS_A, 7, "192.0.2.7" },
	{ "dangling.test", DNS_CNAME, 9, "nowhere.test" }, { "many.test", DNS_A, 10, "192.0.2.10" },
	{ "many.test", DNS_A, 10, "192.0.2.11" },          { "many.test", DNS_A, 10, "192.0.2.12" },
	{ "many.test", DNS_A, 10, "192.0.2.13" },          { "many.test", DNS_A, 10, "192.0.2.14" },
	{ "many.test", DNS_A, 10, "192.0.2.15" },          { "many.test", DNS_A, 10, "192.0.2.16" },
	{ "many.test", DNS_A, 10, "192.0.2.17" },          { "many.test", DNS_A, 10, "192.0.2.18" },
	{ "many.test", DNS_A, 10, "192.0.2.19" },          { "alias6.test", DNS_CNAME, 4, "both.test" },
};

static struct guarded_loop g;
static struct dns_script dns;
static struct iso_resolver *resolver;
static struct iso_resolve query;
static struct iso_resolution answer;
static int answers, again;
static bool starting;
static int family = AF_INET;

static void on_done(struct iso_resolve *q, const struct iso_resolution *a)
{
	assert_false(starting); /* never inside start */
	assert_ptr_equal(q, &query);
	answers++;
	answer = *a;
	if (again-- > 0)
		assert_int_equal(iso_resolve_start(q, resolver, "four.test", AF_INET, 5000000), ISO_OK);
	else
		iso_loop_stop(&g.loop);
}

static int setup(void **state)
{
	(void)state;
	guarded_init(&g);
	dns_start(&dns, &g.loop, records, sizeof(records) / sizeof(records[0]));
	resolver = NULL;
	assert_int_equal(iso_resolver_new(&g.loop, dns.address, &resolver), ISO_OK);
	query = (struct iso_resolve){ .done = on_done, .port = 443 };
	answers = again = 0;
	family = AF_INET;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iso_resolver_free(resolver);
	dns_stop(&dns);
	guarded_done(&g);
	return 0;
}

static void start(const char *host, uint64_t timeout_us)
{
	starting = true;
	g.loop.now_us = iso_clock_mono_us();
	assert_int_equal(iso_resolve_start(&query, resolver, host, family, timeout_us), ISO_OK);
	starting = false;
}

static void resolve(const char *host, uint64_t timeout_us)
{
	int before = answers;

	memset(&answer, 0x5a, sizeof(answer));
	start(host, timeout_us);
	guarded_run(&g);
	assert_int_equal(answers, before + 1);
}

static bool has(const char *expected)
{
	char text[64];

	for (size_t i = 0; i < answer.n; i++) {
		iso_sockaddr_format(&answer.addr[i].u.sa, text, sizeof(text));
		if (strcmp(text, expected) == 0)
			return true;
	}
	return false;
}

static void test_addresses_and_ttl(void **state)
{
	static const struct {
		const char *host;
		size_t n;
		uint32_t ttl_s;
		const char *address;
		int family;
	} cases[] = {
		{ "four.test", 1, 60, "192.0.2.4:443", AF_INET },
		{ "both.test", 1, 30, "192.0.2.1:443", AF_INET },
		{ "both.test", 1, 20, "[2001:db8::1]:443", AF_INET6 },
		{ "alias6.test", 1, 4, "[2001:db8::1]:443", AF_INET6 },
		{ "alias.test", 1, 5, "192.0.2.4:443", AF_INET }, /* a short CNAME before a long address */
		{ "middle.test", 1, 60, "192.0.2.4:443", AF_INET },
		{ "zero.test", 1, 0, "192.0.2.5:443", AF_INET },
		{ "spread.test", 2, 7, "192.0.2.6:443", AF_INET },
		{ "many.test", ISO_RESOLVE_MAX, 10, "192.0.2.10:443", AF_INET },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		family = cases[i].family;
		resolve(cases[i].host, 5000000);
		if (answer.err != ISO_OK || answer.n != cases[i].n || answer.ttl_s != cases[i].ttl_s)
			fail_msg("%s: err %d, n %zu, ttl %u", cases[i].host, answer.err, answer.n,
				 answer.ttl_s);
		if (cases[i].n < ISO_RESOLVE_MAX)
			assert_true(has(cases[i].address));
	}
}

/* One family of a name that has only the other: the server is sure of it. It is not, of a name that fails. */
static void test_no_such_address(void **state)
{
	(void)state;
	family = AF_INET6;
	resolve("four.test", 5000000);
	assert_int_equal(answer.err, ISO_EDNS);
	assert_true(answer.none);
	resolve("192.0.2.9", 5000000);
	assert_true(answer.none);
	resolve("missing.test", 5000000);
	assert_int_equal(answer.err, ISO_EDNS);
	assert_false(answer.none);
	dns.manner_aaaa = DNS_SERVFAIL;
	resolve("both.test", 5000000);
	assert_true(answer.err != ISO_OK);
	assert_false(answer.none);
}

static void test_failures(void **state)
{
	static const char *const hosts[] = { "missing.test",   "dangling.test", "a..b.test", ".", "",
					     "with space.test" };
	char label[80], name[400];

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		resolve(hosts[i], 5000000);
		if (answer.err != ISO_EDNS || answer.n != 0 || answer.why == NULL || answer.ttl_s != 0)
			fail_msg("\"%s\": err %d, n %zu", hosts[i], answer.err, answer.n);
	}
	memset(label, 'a', 70); /* RFC 1035 section 2.3.4: a label has 63 at most, a name 255 */
	memcpy(label + 70, ".test", 6);
	resolve(label, 5000000);
	assert_int_equal(answer.err, ISO_EDNS);
	for (int i = 0; i < 398; i++)
		name[i] = i % 10 == 9 ? '.' : 'a';
	name[398] = '\0';
	resolve(name, 5000000);
	assert_int_equal(answer.err, ISO_EDNS);
}

static void test_bad_servers(void **state)
{
	static const enum dns_manner manners[] = { DNS_GARBAGE, DNS_WRONG_ID, DNS_SERVFAIL, DNS_CUT };

	(void)state;
	for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
		dns.manner = manners[i];
		resolve("four.test", 200000);
		if ((answer.err != ISO_EDNS && answer.err != ISO_ETIMEOUT) || answer.n != 0 ||
		    answer.why == NULL)
			fail_msg("manner %d: err %d, n %zu", manners[i], answer.err, answer.n);
	}
	assert_true(dns.queries > 0);
	dns.manner = DNS_ANSWERS;
	resolve("four.test", 5000000);
	assert_int_equal(answer.err, ISO_OK);
}

static void test_timeout(void **state)
{
	uint64_t began = iso_clock_mono_us(), took;

	(void)state;
	dns.manner = DNS_SILENT;
	resolve("four.test", 100000);
	took = iso_clock_mono_us() - began;
	assert_int_equal(answer.err, ISO_ETIMEOUT);
	assert_non_null(answer.why);
	assert_int_equal(answer.n, 0);
	assert_true(dns.queries > 0);
	assert_true(took >= 100000);
	assert_true(took < 900000); /* ours, not that of c-ares */
	/* The server wakes up when we have given up: c-ares asks again and ends its query, and nobody hears
	 * of it. */
	dns.manner = DNS_ANSWERS;
	for (int i = 0; i < 500 && dns.queries <= 1; i++)
		guarded_run_for(&g, 20000);
	assert_true(dns.queries > 1);
	guarded_run_for(&g, 20000);
	assert_int_equal(answers, 1);
}

static void test_cancelled_is_never_heard_of(void **state)
{
	int asked;

	(void)state;
	start("four.test", 5000000);
	iso_resolve_cancel(&query);
	iso_resolve_cancel(&query);
	iso_resolve_cancel(NULL);
	memset(&query, 0xee, sizeof(query)); /* the owner may free it */
	guarded_run_for(&g, 50000);
	asked = dns.queries;
	assert_true(asked > 0); /* the answer did come */
	assert_int_equal(answers, 0);

	query = (struct iso_resolve){ .done = on_done, .port = 443 };
	start("127.0.0.1", 5000000); /* its answer is ready */
	iso_resolve_cancel(&query);
	guarded_run_for(&g, 5000);
	assert_int_equal(answers, 0);
	assert_int_equal(dns.queries, asked);

	query = (struct iso_resolve){ .done = on_done, .port = 443 };
	resolve("four.test", 5000000);
	assert_int_equal(answer.err, ISO_OK);
	iso_resolve_cancel(&query); /* after the end: nothing */
}

static void test_literals(void **state)
{
	(void)state;
	resolve("192.0.2.9", 5000000);
	assert_int_equal(answer.err, ISO_OK);
	assert_int_equal(answer.n, 1);
	assert_true(answer.ttl_s == UINT32_MAX);
	assert_true(has("192.0.2.9:443"));
	family = AF_INET6;
	resolve("2001:db8::9", 5000000);
	assert_true(has("[2001:db8::9]:443"));
	resolve("[2001:db8::9]", 5000000);
	assert_true(has("[2001:db8::9]:443"));
	assert_int_equal(dns.queries, 0);
}

static void test_localhost_needs_no_server(void **state)
{
	(void)state;
	resolve("localhost", 5000000);
	assert_int_equal(answer.err, ISO_OK);
	assert_true(has("127.0.0.1:443"));
	assert_int_equal(dns.queries, 0);
}

static void test_done_may_start_again(void **state)
{
	(void)state;
	again = 3;
	start("192.0.2.9", 5000000);
	guarded_run(&g);
	assert_int_equal(answers, 4);
	assert_true(has("192.0.2.4:443"));
}

static void on_done_frees(struct iso_resolve *q, const struct iso_resolution *a)
{
	(void)a;
	answers++;
	iso_resolver_free(q == &query ? resolver : NULL);
	resolver = NULL;
	memset(q, 0xee, sizeof(*q));
	iso_loop_stop(&g.loop);
}

static void test_done_may_free_everything(void **state)
{
	static const char *const hosts[] = { "four.test", "192.0.2.9", "missing.test" };

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		query = (struct iso_resolve){ .done = on_done_frees };
		start(hosts[i], 5000000);
		guarded_run(&g);
		assert_null(resolver);
		assert_int_equal(iso_resolver_new(&g.loop, dns.address, &resolver), ISO_OK);
	}
	dns.manner = DNS_SILENT; /* now from the timer, while c-ares still waits */
	query = (struct iso_resolve){ .done = on_done_frees };
	start("four.test", 20000);
	guarded_run(&g);
	assert_null(resolver);
	assert_int_equal(answers, 4);
	(void)state;
}

static void test_free_ends_what_runs(void **state)
{
	struct iso_resolve other = { .done = on_done, .port = 443 };

	(void)state;
	dns.manner = DNS_SILENT;
	start("four.test", 5000000);
	assert_int_equal(iso_resolve_start(&other, resolver, "192.0.2.9", AF_INET, 5000000),
			 ISO_OK); /* its answer is queued */
	iso_resolver_free(resolver);
	resolver = NULL;
	guarded_run_for(&g, 20000);
	assert_int_equal(answers, 0);
	iso_resolve_cancel(&query); /* harmless, late as it is */
	iso_resolve_cancel(&other);
}

static void test_refused_server_lists(void **state)
{
	static const char *const bad[] = { "no address", "127.0.0.1:port", "300.0.0.1" };
	struct iso_resolver *none = (void *)&query;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (iso_resolver_new(&g.loop, bad[i], &none) == ISO_OK)
			fail_msg("accepted: %s", bad[i]);
		assert_ptr_equal(none, &query);
	}
	iso_resolver_free(NULL);
}

/* dnsmasq on a free port; 0 when it is not installed. */
static pid_t dnsmasq_start(uint16_t port)
{
	char port_option[32];
	pid_t pid;

	if (access("/usr/sbin/dnsmasq", X_OK) != 0)
		return 0;
	snprintf(port_option, sizeof(port_option), "--port=%u", port);
	pid = fork();
	if (pid == 0) {
		execl("/usr/sbin/dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
		      "--no-resolv", "--no-hosts", "--pid-file", "--listen-address=127.0.0.1",
		      "--bind-interfaces", "--user=root", "--log-facility=/dev/null",
		      "--host-record=real.test,192.0.2.33,2001:db8::33,40", "--cname=short.test,real.test,3",
		      "--local=/test/", port_option, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static uint16_t free_port(void)
{
	struct iso_sockaddr own;
	int probe = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(iso_sockaddr_parse("127.0.0.1", 0, &own), ISO_OK);
	assert_int_equal(bind(probe, &own.u.sa, own.len), 0);
	assert_int_equal(getsockname(probe, &own.u.sa, &own.len), 0);
	close(probe);
	return ntohs(own.u.v4.sin_port);
}

/* Whether it answered before it ended: the port may have been taken by somebody else meanwhile. */
static bool dnsmasq_answers(pid_t pid, uint16_t port)
{
	char servers[32];

	snprintf(servers, sizeof(servers), "127.0.0.1:%u", port);
	iso_resolver_free(resolver);
	assert_int_equal(iso_resolver_new(&g.loop, servers, &resolver), ISO_OK);
	for (int i = 0; i < 100; i++) {
		resolve("real.test", 500000);
		if (answer.err == ISO_OK)
			return true;
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return false;
		guarded_run_for(&g, 50000); /* it is not there yet: refused at once */
	}
	fail_msg("dnsmasq runs and does not answer: %s", answer.why);
	return false;
}

static void test_dnsmasq(void **state)
{
	pid_t pid = 0;
	bool up = false;
	int status;

	(void)state;
	for (int i = 0; i < 5 && !up; i++) {
		uint16_t port = free_port();

		pid = dnsmasq_start(port);
		if (pid <= 0)
			fail_msg("dnsmasq is not installed: scripts/packages test");
		up = dnsmasq_answers(pid, port);
	}
	assert_true(up);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.ttl_s, 40);
	assert_true(has("192.0.2.33:443"));
	resolve("short.test", 5000000);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.ttl_s, 3);
	family = AF_INET6;
	resolve("short.test", 5000000);
	assert_int_equal(answer.ttl_s, 3);
	assert_true(has("[2001:db8::33]:443"));
	resolve("missing.test", 5000000);
	assert_int_equal(answer.err, ISO_EDNS);
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(test_addresses_and_ttl),
		WITH_SERVER(test_no_such_address),
		WITH_SERVER(test_failures),
		WITH_SERVER(test_bad_servers),
		WITH_SERVER(test_timeout),
		WITH_SERVER(test_cancelled_is_never_heard_of),
		WITH_SERVER(test_literals),
		WITH_SERVER(test_localhost_needs_no_server),
		WITH_SERVER(test_done_may_start_again),
		WITH_SERVER(test_done_may_free_everything),
		WITH_SERVER(test_free_ends_what_runs),
		WITH_SERVER(test_refused_server_lists),
		WITH_SERVER(test_dnsmasq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
