/*
 * Retry safety: the table of PRODUCT.md section 6, and the rule that a POST never runs twice, over all
 * inputs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iso/policy/safety.h"

static struct iso_verdict judge(struct iso_safety_facts f)
{
	struct iso_verdict v = { (enum iso_retry)99, (enum iso_retry_reason)99, (enum iso_stay)99 };

	iso_safety_judge(&f, &v);
	assert_in_range(v.stay, ISO_STAY_NONE, ISO_STAY_COUNT - 1);
	assert_true((v.retry == ISO_RETRY_NO) == (v.stay != ISO_STAY_NONE));
	assert_in_range(v.retry, ISO_RETRY_NO, ISO_RETRY_ANYWHERE);
	assert_in_range(v.reason, 0, ISO_RETRY_REASON_COUNT - 1);
	return v;
}

#define FACTS(...) ((struct iso_safety_facts){ .replayable = true, __VA_ARGS__ })

static void test_not_executed_goes_anywhere(void **state)
{
	static const enum iso_ending endings[] = { ISO_ENDING_CONNECT,        ISO_ENDING_TLS,
						   ISO_ENDING_REFUSED_STREAM, ISO_ENDING_GOAWAY,
						   ISO_ENDING_RESET,          ISO_ENDING_TIMEOUT,
						   ISO_ENDING_OVERLOAD };
	static const enum iso_retry_reason reasons[] = {
		ISO_RETRY_REASON_CONNECT,  ISO_RETRY_REASON_TLS,   ISO_RETRY_REASON_REFUSED_STREAM,
		ISO_RETRY_REASON_GOAWAY,   ISO_RETRY_REASON_RESET, ISO_RETRY_REASON_TIMEOUT,
		ISO_RETRY_REASON_OVERLOAD,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		struct iso_verdict v = judge(FACTS(.ending = endings[i], .executed = ISO_EXECUTED_NO));

		assert_int_equal(v.retry, ISO_RETRY_ANYWHERE);
		assert_int_equal(v.reason, reasons[i]);
	}
}

static void test_maybe_executed_post_is_final(void **state)
{
	(void)state;
	for (int e = ISO_ENDING_CONNECT; e <= ISO_ENDING_OVERLOAD; e++)
		assert_int_equal(
			judge(FACTS(.ending = (enum iso_ending)e, .executed = ISO_EXECUTED_MAYBE)).retry,
			ISO_RETRY_NO);
	assert_int_equal(judge(FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_MAYBE,
				     .fault = ISO_FAULT_REGION, .status = 503, .listed = true))
				 .retry,
			 ISO_RETRY_NO);
}

static void test_maybe_executed_idempotent(void **state)
{
	struct iso_verdict v =
		judge(FACTS(.ending = ISO_ENDING_RESET, .executed = ISO_EXECUTED_MAYBE, .idempotent = true));

	(void)state;
	assert_int_equal(v.retry, ISO_RETRY_ANYWHERE);
	assert_int_equal(v.reason, ISO_RETRY_REASON_RESET);
	assert_int_equal(
		judge(FACTS(.executed = ISO_EXECUTED_YES, .ending = ISO_ENDING_RESET, .idempotent = true))
			.retry,
		ISO_RETRY_NO);
}

static void test_keys(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_TIMEOUT, .executed = ISO_EXECUTED_MAYBE);

	(void)state;
	f.key = ISO_KEY_REGION;
	assert_int_equal(judge(f).retry, ISO_RETRY_SAME_REGION);
	f.key = ISO_KEY_GLOBAL;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	f.executed = ISO_EXECUTED_NO;
	f.key = ISO_KEY_REGION;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE); /* it has not run: no key needed */
	f.executed = ISO_EXECUTED_YES;
	f.key = ISO_KEY_GLOBAL;
	f.ending = ISO_ENDING_RESPONSE;
	f.status = 503;
	f.fault = ISO_FAULT_APPLICATION;
	f.listed = true;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO); /* a key helps a "maybe" only */
}

static void test_executed_needs_a_listed_status(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_YES,
					  .status = 500, .fault = ISO_FAULT_APPLICATION, .idempotent = true);

	(void)state;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.fault = ISO_FAULT_REGION;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.listed = true;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	assert_int_equal(judge(f).reason, ISO_RETRY_REASON_STATUS);
	f.idempotent = false;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
}

static void test_504_only_in_the_first_half(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_MAYBE,
					  .status = 504, .fault = ISO_FAULT_REGION, .idempotent = true,
					  .listed = true);

	(void)state;
	f.deadline_used_milli = 499;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	f.deadline_used_milli = 500;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.status = 503;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	f.status = 504;
	f.idempotent = false;
	f.key = ISO_KEY_GLOBAL;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
}

/* An authorizer that failed ran nothing; a plain 500 may have, and is not on the default list. */
static void test_unlisted_status(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_MAYBE,
					  .status = 500, .fault = ISO_FAULT_REGION, .idempotent = true);

	(void)state;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.executed = ISO_EXECUTED_NO;
	f.idempotent = false;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
}

static void test_throttle(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_NO,
					  .status = 429, .fault = ISO_FAULT_THROTTLE);

	(void)state;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	assert_int_equal(judge(f).reason, ISO_RETRY_REASON_THROTTLE);
	f.executed = ISO_EXECUTED_MAYBE; /* by status alone: not certain */
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.idempotent = true;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	f.fault = ISO_FAULT_CLIENT; /* the client's quota */
	f.listed = true;
	f.executed = ISO_EXECUTED_NO;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
}

static void test_client_faults_are_not_shopped_around(void **state)
{
	static const uint16_t statuses[] = { 400, 401, 403, 404, 413, 415 };

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_NO,
						  .fault = ISO_FAULT_CLIENT, .idempotent = true);

		f.status = statuses[i];
		assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	}
}

static void test_a_good_answer_is_final(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_YES,
					  .status = 200, .idempotent = true, .listed = true);

	(void)state;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
}

static void test_misdirected(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_NO,
					  .status = 421, .fault = ISO_FAULT_REGION);

	(void)state;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	f.executed = ISO_EXECUTED_MAYBE; /* a function may have said it after it ran */
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.idempotent = true;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	f.executed = ISO_EXECUTED_NO;
	f.committed = true;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
}

static void test_committed_cancelled_or_body_gone(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_CONNECT, .executed = ISO_EXECUTED_NO,
					  .idempotent = true);

	(void)state;
	f.committed = true;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.committed = false;
	f.replayable = false;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.replayable = true;
	f.ending = ISO_ENDING_CANCELLED;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
}

static void test_too_early(void **state)
{
	struct iso_safety_facts f = FACTS(.ending = ISO_ENDING_RESPONSE, .executed = ISO_EXECUTED_NO,
					  .status = 425, .fault = ISO_FAULT_APPLICATION);

	(void)state;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	f.executed = ISO_EXECUTED_MAYBE;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.key = ISO_KEY_REGION;
	assert_int_equal(judge(f).retry, ISO_RETRY_SAME_REGION);
	f.idempotent = true;
	assert_int_equal(judge(f).retry, ISO_RETRY_ANYWHERE);
	f.early = true; /* the client took the risk: it is the one to be told */
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
}

/* RFC 9113 sections 6.8 and 8.7, and what the kernel took: every combination. */
static void test_what_a_break_says(void **state)
{
	(void)state;
	for (int how = 0; how < ISO_BREAK_COUNT; how++) {
		for (int written = 0; written < ISO_WRITTEN_COUNT; written++) {
			bool never = how == ISO_BREAK_CONNECT || how == ISO_BREAK_TLS ||
				     how == ISO_BREAK_REFUSED || how == ISO_BREAK_GOAWAY_ABOVE ||
				     written == ISO_WRITTEN_NOTHING;

			assert_int_equal(iso_safety_executed((enum iso_break)how, (enum iso_written)written,
							     false),
					 never ? ISO_EXECUTED_NO : ISO_EXECUTED_MAYBE);
			/* Who has answered has looked at it, whatever it says afterwards. */
			assert_int_equal(iso_safety_executed((enum iso_break)how, (enum iso_written)written,
							     true),
					 ISO_EXECUTED_MAYBE);
		}
	}
	assert_string_equal(iso_break_text(ISO_BREAK_COUNT), "?");
}

/*
 * The whole table: every ending, whatever ran, every fault, every status, listed or not, early or late, early
 * data or not. A request that is neither idempotent nor keyed is tried again only when it has not run; a key
 * of the region never leads elsewhere; what is committed, cancelled or not kept is final.
 */
static void check_row(struct iso_safety_facts f, uint64_t *retried)
{
	enum iso_retry plain, region, global, idempotent;

	plain = judge(f).retry;
	*retried += plain != ISO_RETRY_NO;
	if (plain != ISO_RETRY_NO)
		assert_int_equal(f.executed, ISO_EXECUTED_NO);
	assert_int_not_equal(plain, ISO_RETRY_SAME_REGION);
	f.key = ISO_KEY_REGION;
	region = judge(f).retry;
	if (f.executed == ISO_EXECUTED_MAYBE)
		assert_int_not_equal(region, ISO_RETRY_ANYWHERE);
	f.key = ISO_KEY_GLOBAL;
	global = judge(f).retry;
	f.key = ISO_KEY_NONE;
	f.idempotent = true;
	idempotent = judge(f).retry;
	/* Who knows more may do more. */
	assert_true(plain <= region && region <= global && global <= idempotent);
	f.replayable = false;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
	f.replayable = true;
	f.committed = true;
	assert_int_equal(judge(f).retry, ISO_RETRY_NO);
}

static void test_a_post_never_runs_twice(void **state)
{
	uint64_t retried = 0;

	(void)state;
	for (uint32_t c = 0; c < 9 * 3 * 5 * 2 * 2 * 2; c++) {
		uint32_t x = c;
		struct iso_safety_facts f = FACTS(.key = ISO_KEY_NONE);

		f.ending = (enum iso_ending)(x % 9), x /= 9;
		f.executed = (enum iso_executed)(x % 3), x /= 3;
		f.fault = (enum iso_fault)(x % 5), x /= 5;
		f.listed = x % 2, x /= 2;
		f.early = x % 2, x /= 2;
		f.deadline_used_milli = x * 600;
		for (uint16_t status = 200; status < 600; status++) {
			f.status = status;
			check_row(f, &retried);
		}
	}
	assert_true(retried > 10000);
}

static void test_doubling_is_for_safe_methods(void **state)
{
	(void)state;
	assert_true(iso_safety_may_double(true, false));
	assert_true(iso_safety_may_double(false, true));
	assert_false(iso_safety_may_double(false, false));
}

static void test_reason_texts(void **state)
{
	(void)state;
	assert_string_equal(iso_retry_reason_text(ISO_RETRY_REASON_REFUSED_STREAM), "refused_stream");
	assert_string_equal(iso_retry_reason_text(ISO_RETRY_REASON_RESCUE), "rescue");
	assert_string_equal(iso_retry_reason_text(ISO_RETRY_REASON_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_executed_goes_anywhere),
		cmocka_unit_test(test_maybe_executed_post_is_final),
		cmocka_unit_test(test_maybe_executed_idempotent),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_executed_needs_a_listed_status),
		cmocka_unit_test(test_504_only_in_the_first_half),
		cmocka_unit_test(test_unlisted_status),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_client_faults_are_not_shopped_around),
		cmocka_unit_test(test_a_good_answer_is_final),
		cmocka_unit_test(test_misdirected),
		cmocka_unit_test(test_committed_cancelled_or_body_gone),
		cmocka_unit_test(test_too_early),
		cmocka_unit_test(test_what_a_break_says),
		cmocka_unit_test(test_a_post_never_runs_twice),
		cmocka_unit_test(test_doubling_is_for_safe_methods),
		cmocka_unit_test(test_reason_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
