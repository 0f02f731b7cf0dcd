/*
 * Millions of random fault schedules through classification, safety and the plan of attempts, without a
 * network. A region does something to each attempt; what it did is the truth, what the proxy can know of it
 * the facts. A request that must not run twice never does, and one that may is answered whenever a region
 * within its attempts would have answered it. ISO_SIM_SCHEDULES sets how many (default 1,000,000).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "iso/base/rng.h"
#include "iso/policy/retry.h"

enum { REGIONS = 3 };

struct request {
	bool idempotent;
	enum iso_key_scope key;
	bool marked; /* the API's owner has set the marker */
	bool replayable;
};

/* What a region did to an attempt. */
struct deed {
	bool ran;       /* the function did */
	bool good;      /* and this is its answer */
	bool retriable; /* a failure that an idempotent request outlives by the default statuses */
	struct iso_safety_facts facts;
};

static uint32_t below(struct iso_rng *rng, uint32_t n)
{
	return (uint32_t)((iso_rng_next(rng) >> 32) * n >> 32);
}

static bool is_listed(uint16_t status)
{
	return status == 502 || status == 503 || status == 504;
}

/* handled: an API has taken the request, and the gateway's id is on the answer. */
static void classify(struct deed *d, uint16_t status, const char *type, const char *marker, bool handled)
{
	struct iso_classify_input input = { status, iso_slice_str(type), iso_slice_str(marker), handled };
	struct iso_classification c = iso_classify(&input);

	d->facts.ending = ISO_ENDING_RESPONSE;
	d->facts.status = status;
	d->facts.listed = is_listed(status);
	d->facts.executed = c.executed;
	d->facts.fault = c.fault;
}

/* The transport broke: RFC 9113's promises hold, and nobody runs what was never sent. */
static void do_break(struct iso_rng *rng, struct deed *d)
{
	static const enum iso_ending endings[ISO_BREAK_COUNT] = {
		[ISO_BREAK_CONNECT] = ISO_ENDING_CONNECT,
		[ISO_BREAK_TLS] = ISO_ENDING_TLS,
		[ISO_BREAK_REFUSED] = ISO_ENDING_REFUSED_STREAM,
		[ISO_BREAK_GOAWAY_ABOVE] = ISO_ENDING_GOAWAY,
		[ISO_BREAK_GOAWAY_COVERED] = ISO_ENDING_RESET,
		[ISO_BREAK_STREAM] = ISO_ENDING_RESET,
		[ISO_BREAK_CLOSE] = ISO_ENDING_RESET,
		[ISO_BREAK_GIVEN_UP] = ISO_ENDING_TIMEOUT,
	};
	enum iso_break how = (enum iso_break)below(rng, ISO_BREAK_COUNT);
	enum iso_written written = (enum iso_written)below(rng, ISO_WRITTEN_COUNT);
	/* A server that has said 100 and then refuses has looked at it: no promise is taken from it. */
	bool answered = written != ISO_WRITTEN_NOTHING && how > ISO_BREAK_TLS && below(rng, 10) == 0;
	bool promised = how <= ISO_BREAK_GOAWAY_ABOVE && !answered;

	d->ran = !promised && written != ISO_WRITTEN_NOTHING && below(rng, 2) == 0;
	d->retriable = true;
	d->facts.ending = endings[how];
	d->facts.executed = iso_safety_executed(how, written, answered);
}

/* The gateway answers itself, truly; with its marker where the owner has set it. */
static void do_gateway(struct iso_rng *rng, const struct request *r, struct deed *d)
{
	static const struct {
		const char *marker, *type;
		uint16_t status;
		bool may_have_run;
	} rows[] = {
		{ "THROTTLED", "TooManyRequestsException", 429, false },
		{ "QUOTA_EXCEEDED", "LimitExceededException", 429, false },
		{ "INTEGRATION_TIMEOUT", "InternalServerErrorException", 504, true },
		{ "INTEGRATION_FAILURE", "InternalServerErrorException", 504, true },
		{ "API_CONFIGURATION_ERROR", "InternalServerErrorException", 500, true },
		{ "AUTHORIZER_FAILURE", "", 500, false },
		{ "DEFAULT_5XX", "", 503, true },
		{ "ACCESS_DENIED", "AccessDeniedException", 403, false },
		{ "MISSING_AUTHENTICATION_TOKEN", "MissingAuthenticationTokenException", 403, false },
		{ "", "", 421, false },
		{ "", "", 425, false },
	};
	uint32_t i = below(rng, sizeof(rows) / sizeof(rows[0]));

	d->ran = rows[i].may_have_run && below(rng, 2) == 0;
	d->retriable = is_listed(rows[i].status) || rows[i].status == 421 || rows[i].status == 425;
	classify(d, rows[i].status, rows[i].type, r->marked ? rows[i].marker : "",
		 rows[i].status != 421 && rows[i].status != 425);
}

/* The function ran and says what it likes, also in the gateway's name; the marker's secret it does not know.
 */
static void do_function(struct iso_rng *rng, struct deed *d)
{
	static const char *const types[] = { "", "TooManyRequestsException", "ForbiddenException",
					     "InternalServerErrorException", "UnauthorizedException" };
	static const uint16_t statuses[] = {
		400, 401, 403, 404, 409, 421, 422, 425, 429, 500, 502, 503, 504
	};
	uint16_t status = statuses[below(rng, sizeof(statuses) / sizeof(statuses[0]))];

	d->ran = true;
	d->retriable = false;
	classify(d, status, types[below(rng, sizeof(types) / sizeof(types[0]))], "", true);
	/* Even a forged field that names a type: the value does not begin with the secret. */
	assert_int_equal(iso_classify_marker(ISO_SLICE("THROTTLED"), ISO_SLICE("secret")).len, 0);
}

static void act(struct iso_rng *rng, const struct request *r, struct deed *d)
{
	memset(d, 0, sizeof(*d));
	switch (below(rng, 8)) {
	case 0:
	case 1:
	case 2:
		do_break(rng, d);
		break;
	case 3:
	case 4:
		do_gateway(rng, r, d);
		break;
	case 5:
		do_function(rng, d);
		break;
	default:
		d->ran = d->good = true;
		classify(d, 200, "", "", true);
	}
	d->facts.idempotent = r->idempotent;
	d->facts.key = r->key;
	d->facts.replayable = r->replayable;
}

/* As exchange/attempts does: another region first. */
static uint32_t pick(struct iso_rng *rng, uint16_t allowed, uint16_t tried)
{
	uint16_t from = (uint16_t)(allowed & ~(uint32_t)tried);
	uint32_t region;

	if (from == 0)
		from = allowed;
	do
		region = below(rng, REGIONS);
	while ((from >> region & 1) == 0);
	return region;
}

static void check(const struct request *r, const uint32_t ran[REGIONS], uint64_t seed)
{
	uint32_t all = ran[0] + ran[1] + ran[2], regions = 0;

	for (int i = 0; i < REGIONS; i++)
		regions += ran[i] > 0;
	if (!r->idempotent && r->key == ISO_KEY_NONE && all > 1)
		fail_msg("schedule %llu: ran %u times", (unsigned long long)seed, all);
	if (!r->idempotent && r->key == ISO_KEY_REGION && regions > 1)
		fail_msg("schedule %llu: ran in %u regions", (unsigned long long)seed, regions);
}

/* Whether it was answered well. */
static bool run(uint64_t seed, uint64_t *ret_retries)
{
	struct iso_rng rng;
	struct request r;
	struct iso_retry_plan plan;
	struct iso_retry_step step = { .allowed = (1u << REGIONS) - 1 };
	uint32_t ran[REGIONS] = { 0 };
	bool outlives = true, good = false;

	iso_rng_seed(&rng, seed);
	r.idempotent = below(&rng, 2) == 0;
	r.key = (enum iso_key_scope)below(&rng, 3);
	r.marked = below(&rng, 2) == 0;
	r.replayable = below(&rng, 10) != 0;
	iso_retry_init(&plan, 1 + below(&rng, ISO_ATTEMPTS_MAX));
	for (;;) {
		uint32_t region = pick(&rng, step.allowed, plan.tried);
		struct iso_verdict verdict;
		struct deed d;

		iso_retry_begin(&plan, region);
		act(&rng, &r, &d);
		ran[region] += d.ran;
		good = d.good;
		outlives = outlives && d.retriable;
		if (good)
			break;
		iso_safety_judge(&d.facts, &verdict);
		iso_retry_next(&plan, &verdict, region, (1u << REGIONS) - 1, &step);
		if (!step.go)
			break;
		(*ret_retries)++;
	}
	check(&r, ran, seed);
	/* What is idempotent and kept goes on until its attempts are used up. */
	if (!good && r.idempotent && r.replayable && outlives)
		assert_int_equal(plan.used, plan.limit);
	return good;
}

static void test_schedules(void **state)
{
	const char *text = getenv("ISO_SIM_SCHEDULES");
	uint64_t n = text != NULL ? strtoull(text, NULL, 10) : 1000000, good = 0, retries = 0;

	(void)state;
	assert_true(n > 0);
	for (uint64_t seed = 1; seed <= n; seed++)
		good += run(seed, &retries);
	/* A model in which nothing fails, or nothing is tried again, would prove nothing. */
	assert_in_range(good * 100 / n, 25, 75);
	assert_true(retries * 10 > n);
	print_message("%llu schedules: %llu good, %llu tries after the first\n", (unsigned long long)n,
		      (unsigned long long)good, (unsigned long long)retries);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_schedules) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
